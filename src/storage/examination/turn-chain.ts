/**
 * The verdict about the turns of one durable actor in a log: which of them took effect. Refused
 * turns stay in the log, and so do late turns of killed processes. A turn that took effect names the
 * one that it follows. So the chain is walked backward, from the main row that is there now. Forward
 * it cannot be found: a refused turn and the next one may have the same mark. Pure.
 */
import type { TurnMark } from '../values/entity-row.ts'
import type { LoggedTurn, UnitPlace, WantedTurn } from './logged-turn.ts'

/** A part of the chain, the newest turn first, and the turn to find before it. */
export type ChainPart = { readonly turns: readonly LoggedTurn[]; readonly wanted: WantedTurn }

/**
 * The part of the chain that is in a stretch of the log, at most `limit` turns up to `atLsn`.
 * `found`: all turns of the actor in the stretch, in the order of the log.
 */
export const chainIn = (
  found: readonly LoggedTurn[],
  from: WantedTurn,
  { atLsn, limit }: { readonly atLsn: number; readonly limit: number },
): ChainPart => {
  const turns: LoggedTurn[] = []
  let wanted = from
  for (let at = found.length - 1; at >= 0 && turns.length < limit; at--) {
    const turn = found[at] as LoggedTurn
    if (!isWanted(turn, wanted)) continue
    if (turn.lsn <= atLsn) turns.push(turn)
    // A birth follows nothing. Before it there may be an end.
    wanted = { before: { lsn: turn.lsn, unit: turn.unit }, mark: turn.follows ?? 'removal' }
  }
  return { turns, wanted }
}

/**
 * Of the turns with a mark, the last one took effect: after it nothing leaves its mark again. Of the
 * ends before a birth too: a refused end leaves the actor alive, until a later one ends it. (Only if
 * a birth is refused together with an end after it, both are taken for true.)
 */
const isWanted = (turn: LoggedTurn, { before, mark }: WantedTurn): boolean => {
  if (!isBefore(turn, before)) return false
  return mark === 'removal' ? isEnd(turn) : isSame(turn.mark, mark)
}

const isBefore = ({ lsn, unit }: UnitPlace, place: UnitPlace): boolean =>
  lsn < place.lsn || (lsn === place.lsn && unit < place.unit)

const isEnd = ({ mark, follows }: LoggedTurn): boolean =>
  mark === undefined && follows !== undefined

const isSame = (left: TurnMark | undefined, right: TurnMark): boolean =>
  left?.seq === right.seq && left.incarnation === right.incarnation
