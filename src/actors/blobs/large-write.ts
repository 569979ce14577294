/**
 * A write with large values: they go to the blob store first, and the log gets references. Its keys are marked from the gate
 * to the log's queue, so that a later write to one of them does not overtake it while its blobs are written. What it has
 * written is pinned until its outcome is known.
 */
import { isKeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { commandsOf, type FrameUnits, type Unit, unitsIn, valuesOf } from '../../storage/index.ts'
import type { MarkedKeys } from '../admission/order-marks.ts'
import { inTurn } from '../admission/order-turn.ts'
import type { Applied } from '../log/wal-writer.ts'
import { withBlobs } from '../shard/blob-command.ts'
import type { Shard } from '../shard/shard.ts'
import type { BlobPin } from '../shard/shard-blobs.ts'
import * as BlobStore from './blob-store.ts'

/** A large write that has been admitted. */
export type LargeWrite = {
  readonly system: System
  readonly shard: Shard
  readonly units: FrameUnits
  readonly keys: MarkedKeys
  /** When its caller gives up, by the monotonic clock; and how long that was to be. */
  readonly endsAt: number
  readonly deadlineMs: number
  /** Puts the units into the log's queue, before it returns; rejects with what its caller is to be told. */
  readonly append: (units: readonly Unit[]) => Promise<Applied>
}

/**
 * Writes the blobs, then the log.
 * @throws KeelsonError what `append` rejects with; what the blob store does: the log has nothing of it then
 */
export const writeLarge = async (write: LargeWrite): Promise<Applied> => {
  const { system, shard, keys, endsAt, deadlineMs } = write
  const { marks } = shard
  const pin = shard.blobs.pins.hold()
  const terms = {
    marks,
    clock: system.clock,
    endsAt,
    deadlineMs,
    keys,
    slot: undefined,
    hurry: () => undefined,
  }
  return settlingPin(
    pin,
    inTurn(terms, async (queued) => {
      const units = await withBlobs(write.units, shard.blobs.parts.terms, (payloads) =>
        BlobStore.put(blobStoreOf(write), payloads, pin, leftOf(write)),
      )
      const ended = write.append(units)
      queued()
      return ended
    }),
  )
}

/** Bytes of all values in the units: what they count at the gate. */
export const valueBytesOf = (units: FrameUnits): number => {
  let bytes = 0
  for (const unit of unitsIn(units))
    for (const command of commandsOf(unit))
      for (const value of valuesOf(command)) bytes += value.bytes.length
  return bytes
}

/**
 * Ends a pin as the outcome of its write says: known, and the rows tell what is referred to; or unknown, and it hardens. What
 * cannot be known is only what came to the disk.
 */
export const settlingPin = async <Outcome>(
  pin: BlobPin,
  work: Promise<Outcome>,
): Promise<Outcome> => {
  try {
    const outcome = await work
    pin.release()
    return outcome
  } catch (error) {
    if (isKeelsonError(error, 'UNKNOWN_OUTCOME')) pin.harden()
    else pin.release()
    throw error
  }
}

const blobStoreOf = ({ system, shard: { parts, index } }: LargeWrite) =>
  system.to(BlobStore.name(parts.instance, index))

const leftOf = ({ system, endsAt }: LargeWrite): number =>
  Math.max(1, endsAt - system.clock.monotonic())
