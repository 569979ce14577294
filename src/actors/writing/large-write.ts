/**
 * A write with large values. They go to the blob store first, and the log gets references. The
 * write marks its keys until it is in the log's queue, so that no later write to them overtakes it.
 * Its blobs are pinned until its outcome is known.
 */
import { leftUntil } from '../../clock.ts'
import { isGone, isKeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type BlobRef,
  commandsOf,
  type FrameUnits,
  type Turn,
  type Unit,
  unitsIn,
  valuesOfUnit,
} from '../../storage/index.ts'
import { withBlobs } from '../blobs/blob-command.ts'
import type { BlobPin } from '../blobs/blob-pins.ts'
import * as BlobStore from '../blobs/blob-store.ts'
import { inTurn, type MarkedKeys } from './key-marks.ts'
import type { WritingShard } from './writing-shard.ts'

/** A large write that has been admitted. `pin` keeps its blobs. */
export type LargeWrite = {
  readonly system: System
  readonly shard: WritingShard
  readonly units: FrameUnits
  readonly keys: MarkedKeys
  readonly pin: BlobPin
  /** Its deadline by the monotonic clock, and as its caller gave it, in ms. */
  readonly endsAt: number
  readonly deadlineMs: number
  /** Puts the units, with references in them, into the log's queue before it returns. */
  readonly append: (units: readonly Unit[]) => void
}

/**
 * Writes the blobs. Resolves when the write is in the log's queue.
 * @throws KeelsonError as the blob store or `append` does: then the log has no part of the write
 */
export const writeLarge = (write: LargeWrite): Promise<void> => {
  const { system, shard, keys, endsAt, deadlineMs } = write
  const terms = { marks: shard.marks, clock: system.clock, keys, endsAt, deadlineMs }
  return inTurn(terms, async () => {
    const units = await withBlobs(write.units, shard.blobs.parts.terms, (payloads) =>
      storePayloads(
        write,
        hasTurn(write) ? payloads.map((bytes) => new Uint8Array(bytes)) : payloads,
      ),
    )
    write.append(units)
  })
}

/**
 * The blob store takes the memory of what it stores. The values of a turn are read by later turns
 * before it is durable, and are written again when it has failed, so it gets copies of them.
 */
const hasTurn = ({ units }: LargeWrite): boolean =>
  unitsIn(units).some(({ kind }) => kind === 'turn')

/** The bytes of all values and rows in the units, stored or compared: their weight at the gate. */
export const valueBytesOf = (units: FrameUnits): number => {
  let bytes = 0
  for (const unit of unitsIn(units)) {
    if (unit.kind === 'turn') bytes += rowBytesOf(unit)
    for (const value of valuesOfUnit(unit)) bytes += value.bytes.length
    for (const command of commandsOf(unit))
      if (command.kind === 'compareAndSet') bytes += command.expected?.bytes.length ?? 0
  }
  return bytes
}

const rowBytesOf = ({ row, rows, entries = [], streams }: Turn): number =>
  rows.reduce((sum, [, bytes]) => sum + (bytes?.length ?? 0), row?.length ?? 0) +
  entries.reduce((sum, { body }) => sum + body.length, 0) +
  (streams ? messageBytesOf(streams) : 0)

const messageBytesOf = (parts: NonNullable<Turn['streams']>): number =>
  parts.reduce((sum, part) => sum + (part.act === 'append' ? part.packed.length : 0), 0)

/**
 * Ends the pin of a write that failed. Only a write that may be on the disk has an unknown outcome:
 * its pin hardens. Otherwise the rows show which blobs are referred to.
 */
export const endPin = (pin: BlobPin, failure: unknown): void => {
  if (isKeelsonError(failure, 'UNKNOWN_OUTCOME')) pin.harden()
  else pin.release()
}

/** Awaits `work`, and ends the pin according to its outcome. */
export const settlingPin = async <Outcome>(
  pin: BlobPin,
  work: Promise<Outcome>,
): Promise<Outcome> => {
  try {
    const outcome = await work
    pin.release()
    return outcome
  } catch (error) {
    endPin(pin, error)
    throw error
  }
}

/** The write for which payloads are stored. */
type Storing = Pick<LargeWrite, 'system' | 'shard' | 'pin' | 'endsAt'>

/**
 * Writes the payloads. If the blob store dies first, the next one writes them, or answers for what
 * was handed to the files.
 * @throws KeelsonError as `BlobStore.put` does
 */
export const storePayloads = async (
  write: Storing,
  payloads: readonly Uint8Array[],
): Promise<readonly BlobRef[]> => {
  const { shard, pin } = write
  for (;;) {
    const { opened } = shard
    try {
      return await BlobStore.put(blobStoreOf(write), payloads, pin, leftOf(write))
    } catch (failure) {
      if (!isGone(failure)) throw failure
      if (await shard.reopened(opened, leftOf(write))) continue
      throw shard.isStill ? shard.unavailable() : failure
    }
  }
}

const blobStoreOf = ({ system, shard: { parts, index } }: Storing) =>
  system.to(BlobStore.name(parts.instance, index))

const leftOf = ({ system, endsAt }: Storing): number => leftUntil(system.clock, endsAt)
