/**
 * The storage side of the log of turns: how a unit is written, when earlier writes are decided, and
 * what the main row says.
 */
import { backoffMs } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  entityRowKey,
  readEntityRow,
  refusalError,
  type Turn,
  type TurnMark,
} from '../../storage/index.ts'
import { type Shape, settled, submitTo } from '../writing/write-path.ts'
import type { ActorShard } from './actor-shard.ts'
import { takesNothing } from './decide.ts'
import type { Written } from './turn-log.ts'

const unitDeadlineMs = 60_000

/** The pauses before the unit of a failed write is written again. */
const pauses = { baseMs: 10, maxMs: 1_000 }

const options = {
  ...({ ack: 'applied', whenFull: 'wait', windowMs: 0 } as const),
  deadlineMs: unitDeadlineMs,
}

/** Writes a unit, and calls `decided` once, later. */
export const writeTurn = (
  system: System,
  shard: ActorShard,
  unit: Turn,
  decided: (fate: Written, lsn?: number) => void,
): void => {
  const failed = (error: unknown): void => soon(decided, unwritten(error))
  try {
    submitTo(
      system,
      shard,
      { units: unit, options },
      fateAt,
      ({ fate, lsn }) => (fate === 'durable' ? decided(fate, lsn) : soon(decided, fate)),
      failed,
    )
  } catch (error) {
    failed(error)
  }
}

/** Other outcomes are delivered in a later microtask, so the applier is not held up. */
const soon = (decided: (fate: Written) => void, fate: Written): void =>
  void Promise.resolve(fate).then(decided)

/**
 * The fate of a unit after a failed write. If the unit is too large for the log, or the disk was
 * full, no byte was written: the unit is refused. After any other failure its bytes may be on the
 * disk: the fate is unknown.
 */
const unwritten = (error: unknown): Written =>
  isKeelsonError(error, 'TOO_LARGE') || takesNothing(error)
    ? { error, isOvertaken: false }
    : 'unknown'

const fateAt: Shape<{ readonly fate: Written; readonly lsn: number }> = ({ lsn }, answers) => ({
  fate: fateOf(answers),
  lsn,
})

const fateOf = ([answer]: Parameters<Shape<unknown>>[1]): Written => {
  if (answer?.kind !== 'refused') return 'durable'
  const { reason } = answer
  // With `present`: the main row is not the one that the unit follows.
  const isOvertaken = reason.code === 'CONFLICT' && 'present' in reason
  return { error: refusalError(answer), isOvertaken }
}

/**
 * The mark of the main row, once the shard is open and every earlier write is decided, however long
 * that takes. `tries`: how often in a row writes have failed. @throws KeelsonError `CLOSED`: the
 * instance has closed
 */
export const decidedMark = async (
  system: System,
  shard: ActorShard,
  entity: string,
  tries: number,
): Promise<TurnMark | undefined> => {
  for (let looks = tries; ; looks++) {
    if (looks > 0)
      await new Promise<void>((resolve) => system.clock.after(backoffMs(pauses, looks), resolve))
    while (shard.phase.kind === 'down') await shard.changed()
    const isDecided = await settled(system, shard).then(
      () => true,
      () => false,
    )
    if (shard.phase.kind === 'closed') throw shard.unavailable()
    if (!isDecided || shard.phase.kind !== 'open') continue
    try {
      return markIn(shard, entity)
    } catch (error) {
      if (!shard.mends(error)) throw error
    }
  }
}

const markIn = (shard: ActorShard, entity: string): TurnMark | undefined => {
  const row = shard.view().row(entityRowKey(entity))
  return row && readEntityRow(row).mark
}
