/**
 * Searches a log without files for the turns of one durable actor: through the port of the log,
 * stretch by stretch from the end.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { LogHost } from '../ports/log-host.ts'
import type { LoggedTurn, TurnScan, TurnScannerFactory, TurnScanRequest } from './logged-turn.ts'
import { chainIn } from './turn-chain.ts'
import { lastLsnBefore, turnsOf } from './turn-scan.ts'

/** After which time a search gives what it has, in ms. */
const scanMs = 2_000

/** The LSNs of the first stretch, and the most of any: frames may be small. */
const [firstLsns, lsnsMax] = [128, 65_536]

/** The bytes that one request reads, and the aim for the bytes of a stretch. */
const readBytes = 1024 * 1024

/** Makes a scanner that reads through the log. */
export const engineTurnScanner =
  (clock: Clock): TurnScannerFactory =>
  (signal) =>
  async (request, log) => {
    const late = clock.monotonic() + scanMs
    const isLate = (): boolean => {
      if (signal.aborted) throw new KeelsonError('CLOSED', 'the history was ended')
      return clock.monotonic() >= late
    }
    return scanned(log, request, isLate)
  }

const scanned = async (
  log: LogHost,
  { to, entity, atLsn, limit, ...request }: TurnScanRequest,
  isLate: () => boolean,
): Promise<TurnScan> => {
  const { firstLsn } = await log.run('describe', null)
  const turns: LoggedTurn[] = []
  let { wanted } = request
  let lsns = firstLsns
  for (let last = Math.min(to, lastLsnBefore(wanted)); last >= firstLsn; ) {
    const from = Math.max(firstLsn, last - lsns + 1)
    const { found, bytes } = await turnsBetween(log, entity, from, last)
    const part = chainIn(found, wanted, { atLsn, limit: limit - turns.length })
    turns.push(...part.turns)
    if (turns.length === limit) return { turns, wanted: part.wanted, firstLsn }
    // The stretch has no more of the chain.
    wanted = { ...part.wanted, before: { lsn: from, unit: 0 } }
    if (from > firstLsn && isLate()) return { turns, wanted, firstLsn }
    last = from - 1
    lsns = bytes > readBytes ? Math.ceil(lsns / 2) : Math.min(2 * lsns, lsnsMax)
  }
  return { turns, firstLsn }
}

/** The turns of the actor from one LSN to another, and the bytes of all frames there. */
const turnsBetween = async (
  log: LogHost,
  entity: string,
  from: number,
  to: number,
): Promise<{ readonly found: readonly LoggedTurn[]; readonly bytes: number }> => {
  const found: LoggedTurn[] = []
  const take = turnsOf(entity, found)
  let bytes = 0
  for (let next = from; next <= to; ) {
    const read = await log.run('read', { from: next, to, maxBytes: readBytes })
    for (const { lsn, time, offset, length } of read.frames)
      take(lsn, time, read.bytes.subarray(offset, offset + length))
    bytes += read.bytes.length
    next = read.next
  }
  return { found, bytes }
}
