/**
 * The storage side of the log of turns: how a unit is written, when earlier writes are decided, and
 * what the main row says.
 */
import type { System } from '../../runtime/index.ts'
import {
  entityRowKey,
  type Refusal,
  readEntityRow,
  type Turn,
  type TurnMark,
} from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'
import { type Shape, settled, submitAs } from '../writing/write-path.ts'

/** How long a unit may wait for the log before it is looked after, in ms. It is not withdrawn. */
const unitDeadlineMs = 60_000

/** The pause before another look at a shard that cannot decide, in ms. */
const lookAgainMs = 10

const options = {
  ...({ ack: 'applied', whenFull: 'wait', windowMs: 0 } as const),
  deadlineMs: unitDeadlineMs,
}

/** Writes a unit. A rejection says nothing about its fate. */
export const writeTurn = (system: System, shard: Shard, unit: Turn): Promise<'durable' | Refusal> =>
  submitAs(system, shard, { units: unit, options }, fateOf)

const fateOf: Shape<'durable' | Refusal> = (_position, [answer]) =>
  answer?.kind === 'refused' ? answer : 'durable'

/**
 * Resolves when the shard is open and every earlier write is decided, however long that takes.
 * @throws KeelsonError `CLOSED`: the instance has closed
 */
export const turnsDecided = async (system: System, shard: Shard): Promise<void> => {
  for (;;) {
    const { kind } = await shard.settled()
    if (kind === 'closed') throw shard.unavailable()
    if (kind === 'down') await shard.changed()
    else if (await isDone(settled(system, shard))) return
    await new Promise<void>((resolve) => system.clock.after(lookAgainMs, resolve))
  }
}

const isDone = (work: Promise<void>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )

/** The mark of the main row of an actor. @throws KeelsonError `SHARD_DOWN`, `CORRUPT` */
export const markIn = (shard: Shard, entity: string): TurnMark | undefined => {
  const row = shard.view().row(entityRowKey(entity))
  return row && readEntityRow(row).mark
}

/** Resolves when nothing can become durable in the shard for now: it is down, or closed. */
export const standstill = async (shard: Shard): Promise<void> => {
  while (shard.phase.kind !== 'down' && shard.phase.kind !== 'closed') await shard.changed()
}
