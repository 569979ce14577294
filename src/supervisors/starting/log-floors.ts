/**
 * The least extent of the logs according to `keelson.json`: it is noted when an instance has
 * started and when it was closed, and a log with less has lost its newest files.
 */
import { levelOf, type Shard } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import type { LogFloor } from '../../storage/index.ts'

/** The epoch of each shard's log when it was inspected; none of a shard that was not sound. */
export type InspectedEpochs = ReadonlyMap<Shard, number>

/**
 * The least extent of the log of a shard. An opening begins the epoch after that of its inspection.
 * Nothing is known of a shard that is down, or that acknowledges writes before they are durable.
 */
export const floorOf = (shard: Shard, epochs: InspectedEpochs): LogFloor | undefined => {
  const epoch = epochs.get(shard)
  const isDurable = levelOf(shard.parts.settings) === 'durable'
  if (epoch === undefined || shard.phase.kind === 'down' || !isDurable) return undefined
  return { epoch: epoch + 1, lsn: shard.appliedLsn }
}

/** The error for a log whose newest file is of an earlier epoch than its floor. */
export const olderLog = ({ index, parts }: Shard, epoch: number, floor: number): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the log of shard ${index} in ${parts.folders.wal} has lost its newest files`,
    {
      details: {
        shard: index,
        file: parts.folders.wal,
        evidence: `keelson.json names epoch ${floor}, and the newest file is of epoch ${epoch}`,
      },
    },
  )
