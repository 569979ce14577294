/**
 * The way of every write from its caller to the log: gate and admission first, then the log, so that a write that is
 * refused leaves nothing behind. What comes back is where its frame stands and what its units answered.
 */
import { KeelsonError } from '../errors.ts'
import type { System } from '../runtime/index.ts'
import { encodeFrame, type Unit, type UnitAnswer, unitBytesMax } from '../storage/index.ts'
import { projectedUpTo } from './projected-wait.ts'
import type { Shard } from './shard.ts'
import { outcomeOf, ticketFor } from './ticket.ts'
import * as WalWriter from './wal-writer.ts'
import type { CheckedWrite } from './write-options.ts'

/**
 * What is to be written to one shard: units that take effect one after another and share one frame's durability, and the
 * keys that they change (`'all'` for what changes keys that it does not name).
 */
export type Write = {
  readonly units: readonly Unit[]
  readonly keys: readonly string[] | 'all'
  readonly options: CheckedWrite
}

/** Where a write stands, and what each of its units answered. */
export type Submitted = {
  readonly position: WalWriter.Position
  readonly answers: readonly UnitAnswer[]
}

/**
 * Writes. Resolves at the level that the options ask for. Synchronous up to the gate: two calls enter it in their order.
 * @throws KeelsonError `TOO_LARGE`, `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing was written. `NOT_SUBMITTED`: never
 * reached the disk. `UNKNOWN_OUTCOME`: it may be there. `TIMEOUT`, `DEGRADED` with `ack` `projected`: it stands at `details.position`.
 */
export const submit = async (system: System, shard: Shard, write: Write): Promise<Submitted> => {
  const { options } = write
  const frame = encodeFrame(write.units)
  checkSize(frame.length, shard)
  const startedAt = system.clock.monotonic()
  const left = () => Math.max(1, options.deadlineMs - (system.clock.monotonic() - startedAt))
  const { position, answer } = await append(system, shard, frame, options, left)
  if (options.ack === 'projected') await projectedUpTo(system, shard, position, left())
  return { position, answers: answer }
}

/** Gate, then log. The gate calls back synchronously, so that writes reach the log in the order in which they came. */
const append = (
  system: System,
  shard: Shard,
  frame: Uint8Array,
  { whenFull, deadlineMs }: CheckedWrite,
  left: () => number,
): Promise<WalWriter.Applied> => {
  const ticket = ticketFor(frame)
  const cost = Math.max(costMin, frame.length)
  const writer = system.to(WalWriter.name(shard.parts.instance, shard.index))
  return new Promise((resolve, reject) => {
    const admitted = () => {
      WalWriter.append(writer, ticket, left()).then(
        (applied) => {
          shard.gate.leave(cost)
          resolve(applied)
        },
        (failure) => {
          shard.gate.leave(cost)
          reject(outcomeOf(ticket, failure))
        },
      )
    }
    shard.gate.enter({ cost, whenFull, deadlineMs }, admitted, reject)
  })
}

/** What a write counts at least at the gate, in bytes: its ticket, its call and its entry in the overlay cost as much. */
const costMin = 256

const checkSize = (length: number, shard: Shard): void => {
  const lengthMax = unitBytesMax(shard.files.parts.logOptions)
  if (length > lengthMax)
    throw new KeelsonError('TOO_LARGE', `A write takes at most ${lengthMax} bytes here.`, {
      details: { length, lengthMax },
    })
}
