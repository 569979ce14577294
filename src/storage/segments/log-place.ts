/**
 * The place of a log: its disk, folder, clock and options, and the headers of new segments.
 *
 * It also detects a lost lock. A user may remove the folder's LOCK by hand because it looks stale.
 * Then another process opens the log, and two processes write. So a synced group is acknowledged
 * only if LOCK is still the file that was there at the inspection. A later owner of the folder
 * finds the group.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { lockFileName } from '../ports/folder-layout.ts'
import type { LogOptions } from '../ports/log-host.ts'
import { framePayloadMax } from './log-limits.ts'
import type { LogSegment } from './segment-chain.ts'

/**
 * A log's folder, and the identity of its LOCK file. Without a LOCK the folder is not protected.
 */
export type OwnedFolder = {
  readonly disk: Disk
  readonly dir: string
  readonly lock?: string | undefined
}

/**
 * Checks that LOCK is unchanged. @throws DiskError; KeelsonError `SHARD_DOWN` with the reason
 * `poisoned` and the file if LOCK is gone or replaced
 */
export const refuseLostLock = ({ disk, dir, lock }: OwnedFolder): void => {
  if (lock === undefined) return
  const file = pathIn(dir, lockFileName)
  if (disk.identity(file) === lock) return
  throw new KeelsonError(
    'SHARD_DOWN',
    `the log belongs to another process now: ${file} was removed or replaced`,
    {
      details: { reason: 'poisoned', file },
    },
  )
}

/**
 * Runs `action` between two checks of LOCK. The check before prevents writes to the files of
 * another owner. The check after prevents an acknowledgement that another owner did not see.
 * @throws as `refuseLostLock`
 */
export const whileOwned = <T>(folder: OwnedFolder, action: () => T): T => {
  refuseLostLock(folder)
  const result = action()
  refuseLostLock(folder)
  return result
}

/** A folder on a disk, the clock for time stamps and random ids, and the options in force. */
export type LogPlace = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly options: LogOptions
  /** The identity of LOCK while the log is ours; absent if the folder is not locked. */
  readonly lock?: string | undefined
}

/** The header of a new segment. Missing fields are drawn at random or follow from the options. */
export const newSegmentHeader = (
  { clock, options }: Pick<LogPlace, 'clock' | 'options'>,
  facts: Pick<SegmentHeader, 'walId' | 'epoch' | 'seq' | 'baseLsn' | 'prev'> &
    Partial<SegmentHeader>,
): SegmentHeader => {
  const salt = Buffer.from(clock.randomBytes(8))
  return {
    salt: { low: salt.readUInt32LE(0), high: salt.readUInt32LE(4) },
    payloadMax: framePayloadMax(options),
    createdMs: clock.now(),
    allocatedBytes: options.maxFileSize,
    sectorBytes: options.sectorBytes,
    features: 0,
    chain: undefined,
    ...facts,
  }
}

/**
 * The header of the segment after `segment` in the same epoch, with `features` besides its own, the
 * chain of commitments as it is, and a time that no set clock has moved.
 */
export const successorHeader = (
  place: LogPlace,
  { header, lastLsn, endOffset, lastCrc }: LogSegment,
  { features, chain, createdMs }: Pick<SegmentHeader, 'features' | 'chain' | 'createdMs'>,
): SegmentHeader => {
  const { walId, epoch, seq } = header
  const prev = { seq, lastLsn, endOffset, lastCrc }
  const facts = { walId, epoch, seq: seq + 1, baseLsn: lastLsn + 1, prev, chain, createdMs }
  return newSegmentHeader(place, { ...facts, features: header.features | features })
}
