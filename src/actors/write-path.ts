/**
 * The way of every write from its caller to the log: gate and admission first, then the log, so that a write that is
 * refused leaves nothing behind. Most go straight into the log's queue; those of a window go through the batcher. Writes to one
 * key take effect in the order of their issue, whichever way each takes (`order-marks.ts`).
 */
import { KeelsonError } from '../errors.ts'
import type { System } from '../runtime/index.ts'
import {
  encodeFrame,
  namespaceOf,
  rootNamespace,
  type Unit,
  type UnitAnswer,
  unitBytesMax,
} from '../storage/index.ts'
import type { Admission } from './admission.ts'
import type { Weight } from './allowance.ts'
import * as BatcherServer from './batcher-server.ts'
import { sideChannelCandidate } from './blob-command.ts'
import { valueBytesOf, writeLarge } from './large-write.ts'
import type { MarkedKeys } from './order-marks.ts'
import { inTurn } from './order-turn.ts'
import { projectedUpTo } from './projected-wait.ts'
import type { Shard } from './shard.ts'
import { outcomeOf, type Ticket, ticketFor } from './ticket.ts'
import * as WalWriter from './wal-writer.ts'
import type { CheckedWrite } from './write-options.ts'
import { weightOf } from './write-weight.ts'

/**
 * What is to be written to one shard: units that take effect one after another and share one frame's durability, and the
 * keys that they change (`'all'` for what changes keys that it does not name).
 */
export type Write = {
  readonly units: readonly Unit[]
  readonly keys: MarkedKeys
  readonly options: CheckedWrite
  /** How long it may wait for others to share its frame, in ms; by default as long as the namespace of its first key says. */
  readonly windowMs?: number | undefined
}

/** Where a write stands, and what each of its units answered. */
export type Submitted = {
  readonly position: WalWriter.Position
  readonly answers: readonly UnitAnswer[]
}

/** A write on its way. */
type Passage = {
  readonly system: System
  readonly shard: Shard
  readonly write: Write
  readonly ticket: Ticket
  readonly weight: Weight
  /** Some of its values become blobs: the ticket has no frame yet, and only says that nothing was submitted. */
  readonly isLarge: boolean
  /** When its caller gives up, by the monotonic clock. */
  readonly endsAt: number
}

/**
 * Writes. Resolves at the level that the options ask for. Synchronous up to the gate: two calls enter it in their order.
 * @throws KeelsonError `TOO_LARGE`, `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing was written. `NOT_SUBMITTED`: never
 * reached the disk. `UNKNOWN_OUTCOME`: it may be there. `TIMEOUT`, `DEGRADED` with `ack` `projected`: it stands at `details.position`.
 */
export const submit = async (system: System, shard: Shard, write: Write): Promise<Submitted> => {
  const passage = passageOf(system, shard, write)
  const { position, answer } = await admitted(passage)
  if (write.options.ack === 'projected')
    await projectedUpTo(system, shard, position, leftOf(passage))
  return { position, answers: answer }
}

/**
 * The same for a write that has entered the gate already: the token stays with whoever has it.
 * @throws KeelsonError as `submit` does
 */
export const submitAdmitted = async (
  system: System,
  shard: Shard,
  write: Write,
): Promise<Submitted> => {
  const passage = passageOf(system, shard, write)
  const { position, answer } = await forward(passage).catch((failure: unknown) => {
    throw outcomeOf(passage.ticket, failure)
  })
  if (write.options.ack === 'projected')
    await projectedUpTo(system, shard, position, leftOf(passage))
  return { position, answers: answer }
}

const passageOf = (system: System, shard: Shard, write: Write): Passage => {
  const endsAt = system.clock.monotonic() + write.options.deadlineMs
  if (sideChannelCandidate(write.units, shard.blobs.parts.terms)) {
    const weight = weightOf(write.units, valueBytesOf(write.units))
    return { system, shard, write, ticket: ticketFor(noFrame), weight, isLarge: true, endsAt }
  }
  const frame = encodeFrame(write.units)
  checkSize(frame.length, shard)
  const weight = weightOf(write.units, frame.length)
  return { system, shard, write, ticket: ticketFor(frame), weight, isLarge: false, endsAt }
}

const noFrame: Uint8Array = new Uint8Array(0)

/** Through the gate and on, in one go when there is room. */
const admitted = (passage: Passage): Promise<WalWriter.Applied> => {
  const { shard, ticket, write, weight } = passage
  const { whenFull, deadlineMs } = write.options
  return new Promise((resolve, reject) => {
    const go = (admission: Admission) => {
      forward(passage).then(
        (applied) => {
          admission.leave()
          resolve(applied)
        },
        (failure) => {
          admission.leave()
          reject(outcomeOf(ticket, failure))
        },
      )
    }
    const { bytes, commands } = weight
    shard.gate.enter({ bytes, commands, whenFull, deadlineMs }, go, reject)
  })
}

/** An admitted write goes on: straight into the log's queue, before this returns, when nothing stands before it and it has no window. */
const forward = (passage: Passage): Promise<WalWriter.Applied> => {
  const { shard, write } = passage
  if (passage.isLarge) return blobsFirst(passage)
  const windowMs = windowOf(passage)
  if (windowMs === 0 && shard.marks.isFree(write.keys)) return append(passage)
  return detour(passage, windowMs)
}

/** Its large values become blobs, then it goes into the log's queue; no window holds it, it has waited for a disk already. */
const blobsFirst = ({ system, shard, write, endsAt }: Passage): Promise<WalWriter.Applied> =>
  writeLarge({
    system,
    shard,
    units: write.units,
    keys: write.keys,
    endsAt,
    deadlineMs: write.options.deadlineMs,
    append: (units) => {
      const frame = encodeFrame(units)
      checkSize(frame.length, shard)
      const ticket = ticketFor(frame)
      const weight = weightOf(units, frame.length)
      return append({ system, shard, write, ticket, weight, isLarge: false, endsAt }).catch(
        (failure: unknown) => {
          throw outcomeOf(ticket, failure)
        },
      )
    },
  })

/** Into the log's queue: it is there when this returns. */
const append = (passage: Passage): Promise<WalWriter.Applied> => {
  const { system, shard, ticket } = passage
  const writer = system.to(WalWriter.name(shard.parts.instance, shard.index))
  return WalWriter.append(writer, ticket, leftOf(passage))
}

/**
 * Behind what stands before it, and through its slot when it has one. A write without a window whose keys stand in one slot joins
 * it there, and sends it; one that has to wait asks those before it to be gone soon.
 */
const detour = (passage: Passage, windowMs: number): Promise<WalWriter.Applied> => {
  const { system, shard, write, endsAt } = passage
  const { marks } = shard
  const { keys, options } = write
  const { deadlineMs } = options
  const slot = windowMs > 0 ? namespaceOfFirst(keys) : marks.slotBefore(keys)
  const hurry = () => {
    if (slot !== undefined) BatcherServer.hurry(system.to(batcherName(shard)), slot)
  }
  return inTurn(
    { marks, clock: system.clock, endsAt, deadlineMs, keys, slot, hurry },
    (mark, queued) => {
      if (slot !== undefined && system.whereis(batcherName(shard)) !== undefined)
        return batched(passage, slot, mark.isUrgent ? 0 : windowMs, queued)
      const ended = append(passage)
      queued()
      return ended
    },
  )
}

/** Into its slot. Nobody waits for a window while the gate lets nobody in: what is under way is to end. */
const batched = (
  passage: Passage,
  namespace: string,
  windowMs: number,
  queued: () => void,
): Promise<WalWriter.Applied> => {
  const { system, shard, write, ticket, weight, endsAt } = passage
  return BatcherServer.write(
    system.to(batcherName(shard)),
    {
      ticket,
      namespace,
      units: write.units.length,
      commands: weight.commands,
      endsAt,
      windowMs: shard.gate.isHeld ? 0 : windowMs,
      whenFull: write.options.whenFull,
      queued,
    },
    leftOf(passage),
  )
}

const batcherName = ({ parts: { instance, index } }: Shard) => BatcherServer.name(instance, index)

const windowOf = ({ shard, write }: Passage): number => {
  if (write.windowMs !== undefined) return write.windowMs
  const { windows } = shard.parts
  return windows.isEmpty ? 0 : windows.of(namespaceOfFirst(write.keys))
}

const namespaceOfFirst = (keys: MarkedKeys): string => {
  const first = keys === 'all' ? undefined : keys[0]
  return first === undefined ? rootNamespace : namespaceOf(first)
}

const leftOf = ({ system, endsAt }: Passage): number =>
  Math.max(1, endsAt - system.clock.monotonic())

const checkSize = (length: number, shard: Shard): void => {
  const lengthMax = unitBytesMax(shard.files.parts.logOptions)
  if (length > lengthMax)
    throw new KeelsonError('TOO_LARGE', `A write takes at most ${lengthMax} bytes here.`, {
      details: { length, lengthMax },
    })
}
