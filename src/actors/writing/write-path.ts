/**
 * The way of every write from its caller to the log: gate and admission first, then the log, so that a write that is
 * refused leaves nothing behind. Most go straight into the log's queue; those of a window go through the batcher. Writes to one
 * key take effect in the order of their issue, whichever way each takes (`order-marks.ts`).
 */

import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type FrameUnits,
  namespaceOf,
  rootNamespace,
  type UnitAnswer,
} from '../../storage/index.ts'
import type { MarkedKeys } from '../admission/order-marks.ts'
import { writeLarge } from '../blobs/large-write.ts'
import { appendToLog } from '../log/log-append.ts'
import type * as WalWriter from '../log/wal-writer.ts'
import type { Position } from '../log/wal-writer.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { Arrivals, type BatchedWrite } from '../queue/arrivals.ts'
import { PendingAppend } from '../queue/pending-append.ts'
import type { Shard } from '../shard/shard.ts'
import * as BatcherServer from './batcher-server.ts'
import { Detour, type Ways } from './detour.ts'
import { checkedLength, Passage, type Shape, type Write } from './passage.ts'

// Waits until the projection shows a write: what `ack: 'projected'` adds to an acknowledged one.

/**
 * Resolves once the projection durably shows everything up to `position`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write stands
 */
export const projectedUpTo = async (
  system: System,
  shard: Shard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { clock } = system
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  const endsAt = clock.monotonic() + timeoutMs
  try {
    for (;;) {
      const failure = await LmdbWriter.request(writer, position.lsn, endsAt - clock.monotonic())
        .then(() => undefined)
        .catch((error) => error)
      if (failure === undefined) return
      const isOver = shard.phase.kind === 'closed' || clock.monotonic() >= endsAt
      if (isOver || !isPassing(failure)) throw failure
      // What waits for the projection was discarded, or its writer starts again: the log brings it, so wait on.
      await new Promise<void>((resolve) => clock.after(retryMs, resolve))
    }
  } catch (error) {
    const code = isKeelsonError(error, 'DEGRADED') ? 'DEGRADED' : 'TIMEOUT'
    throw new KeelsonError(code, 'The write stands; the projection does not show it yet.', {
      details: { position },
      cause: error,
    })
  }
}

/** Failures of a wait that say nothing about the projection itself. */
const isPassing = (error: unknown): boolean =>
  ['DISCARDED', 'EXITED', 'NO_PROCESS'].some((code) => isKeelsonError(error, code as ErrorCode))

/** How long a wait pauses before it asks again. */
const retryMs = 10

export type { Shape, Write } from './passage.ts'

/** Where a write stands, and what each of its units answered. */
export type Submitted = {
  readonly position: WalWriter.Position
  readonly answers: readonly UnitAnswer[]
}

const submitted: Shape<Submitted> = (position, answers) => ({ position, answers })

/**
 * Writes. Resolves at the level that the options ask for. Synchronous up to the gate: two calls enter it in their order.
 * @throws KeelsonError `TOO_LARGE`, `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing was written. `NOT_SUBMITTED`: never
 * reached the disk. `UNKNOWN_OUTCOME`: it may be there. `TIMEOUT`, `DEGRADED` with `ack` `projected`: it stands at `details.position`.
 */
export const submit = (system: System, shard: Shard, write: Write): Promise<Submitted> =>
  submitAs(system, shard, write, submitted)

/** `submit`, answered in the shape that its caller wants. @throws KeelsonError as `submit` does, and what `shape` throws */
export const submitAs = <T>(
  system: System,
  shard: Shard,
  write: Write,
  shape: Shape<T>,
): Promise<T> =>
  write.options.ack === 'projected'
    ? projectedToo(system, shard, write, enter).then((at) => shape(at.position, at.answers))
    : passing(system, shard, write, shape, enter)

/**
 * `submit` for a write that has entered the gate already: the token stays with whoever has it.
 * @throws KeelsonError as `submit` does
 */
export const submitAdmitted = (system: System, shard: Shard, write: Write): Promise<Submitted> =>
  write.options.ack === 'projected'
    ? projectedToo(system, shard, write, forward)
    : passing(system, shard, write, submitted, forward)

/** A passage that begins with `begin`, and its end. */
const passing = <T>(
  system: System,
  shard: Shard,
  write: Write,
  shape: Shape<T>,
  begin: (passage: Passage) => void,
): Promise<T> =>
  new Promise((resolve, reject) => {
    begin(new Passage(system, shard, write, shape, resolve, reject) as Passage)
  })

const projectedToo = async (
  system: System,
  shard: Shard,
  write: Write,
  begin: (passage: Passage) => void,
): Promise<Submitted> => {
  const endsAt = system.clock.monotonic() + write.options.deadlineMs
  const at = await passing(system, shard, write, submitted, begin)
  const leftMs = Math.max(1, endsAt - system.clock.monotonic())
  await projectedUpTo(system, shard, at.position, leftMs)
  return at
}

/** Through the gate and on, in one go when there is room. */
const enter = (passage: Passage): void => {
  passage.shard.gate.enter(passage, admitted, refused)
}

const admitted = (passage: Passage): void => {
  passage.isInside = true
  forward(passage)
}

const refused = (refusal: KeelsonError, passage: Passage): void => passage.refused(refusal)

/** An admitted write goes on: straight into the log's queue, before this returns, when nothing stands before it and it has no window. */
const forward = (passage: Passage): void => {
  const { system, shard, isLarge } = passage
  if (isLarge) {
    passage.follow(blobsFirst(passage))
    return
  }
  const windowMs = windowOf(passage)
  if (windowMs === 0 && (shard.marks.isEmpty || shard.marks.isFree(passage.keys)))
    appendToLog(system, shard, passage)
  else detour(passage, windowMs)
}

/** Its large values become blobs, then it goes into the log's queue; no window holds it, it has waited for a disk already. */
const blobsFirst = (passage: Passage): Promise<WalWriter.Applied> => {
  const { system, shard, units, keys, endsAt, deadlineMs } = passage
  return writeLarge({
    system,
    shard,
    units,
    keys,
    endsAt,
    deadlineMs,
    append: (prepared) => append(passage, prepared, checkedLength(prepared, shard)),
  })
}

/** Units into the log's queue: they are there when this returns. */
const append = (
  { system, shard, endsAt }: Passage,
  units: FrameUnits,
  length: number,
): Promise<WalWriter.Applied> => {
  const pending = new PendingAppend({ shard: shard.index, units, length, endsAt })
  appendToLog(system, shard, pending)
  return pending.ended
}

/**
 * Behind what stands before it, and through its slot when it has one. A write without a window whose keys stand in one slot joins
 * it there, and sends it; one that has to wait asks those before it to be gone soon.
 */
const detour = (passage: Passage, windowMs: number): void => {
  const { shard, keys } = passage
  const slot = windowMs > 0 ? namespaceOfFirst(keys) : shard.marks.slotBefore(keys)
  new Detour(passage, keys, slot, windowMs, ways).begin()
}

const ways: Ways = {
  go: (detour) => {
    const { system, shard } = detour.write
    if (!isBatched(detour)) {
      appendToLog(system, shard, detour.write)
      detour.queued()
      return
    }
    // Nobody waits for a window while the gate lets nobody in: what is under way is to end.
    if (shard.gate.isHeld) detour.windowMs = 0
    arrivalsOf(system, shard).add(detour)
  },
  hurry: ({ slot, write: { system, shard } }) => {
    if (slot !== undefined) BatcherServer.hurry(system.to(batcherName(shard)), slot)
  },
}

/** Whether it has a slot, and somebody is there to take it. */
const isBatched = (detour: Detour): detour is Detour & BatchedWrite =>
  detour.slot !== undefined &&
  detour.write.system.whereis(batcherName(detour.write.shard)) !== undefined

/** Those on their way to the batcher, whom a write may join. When the batcher ends, they are told here. */
const arrivalsOf = (system: System, shard: Shard): Arrivals => {
  const { arrivals } = shard
  if (arrivals && !arrivals.isTaken) return arrivals
  const begun = new Arrivals(system.clock)
  shard.arrivals = begun
  const batcher = system.to(batcherName(shard))
  BatcherServer.write(batcher, begun).catch((failure: unknown) => begun.fail(failure))
  return begun
}

const batcherName = ({ parts: { instance, index } }: Shard) => BatcherServer.name(instance, index)

const windowOf = (passage: Passage): number => {
  const { shard, options } = passage
  if (options.windowMs !== undefined) return options.windowMs
  const { windows } = shard.parts
  return windows.isEmpty ? 0 : windows.of(namespaceOfFirst(passage.keys))
}

const namespaceOfFirst = (keys: MarkedKeys): string => {
  const first = keys === 'all' ? undefined : keys[0]
  return first === undefined ? rootNamespace : namespaceOf(first)
}
