/** Where a log lives, and what its new segments are drawn from. */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { lockFileName } from '../disk/data-folder.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { LogOptions } from '../ports/log-host.ts'
import { framePayloadMax } from './log-limits.ts'
import type { LogSegment } from './segment-chain.ts'

// Whether a log is still ours. Its folder's LOCK tells: whoever removes it by hand, because it looks stale, lets another
// process in, and then two write. So a group that was synced is acknowledged only when LOCK is still the file that was there
// when the log was inspected: whoever takes the folder later finds the group.

/** A log's folder, and which file its LOCK was; without one nobody locks it, and nobody is kept out. */
export type OwnedFolder = { readonly disk: Disk; readonly dir: string; readonly lock?: string }

/** Which file is LOCK in `dir`, as `OwnedFolder` has it. @throws DiskError */
export const lockIn = (disk: Disk, dir: string): Pick<OwnedFolder, 'lock'> => {
  const lock = disk.identity(pathIn(dir, lockFileName))
  return lock === undefined ? {} : { lock }
}

/** @throws KeelsonError `SHARD_DOWN` with the reason `poisoned` and the file, when LOCK is gone or another file; DiskError. */
export const refuseLostLock = ({ disk, dir, lock }: OwnedFolder): void => {
  if (lock === undefined) return
  const file = pathIn(dir, lockFileName)
  if (disk.identity(file) === lock) return
  throw new KeelsonError('SHARD_DOWN', `The log is not ours any more: ${file} was removed`, {
    details: { reason: 'poisoned', file },
  })
}

/**
 * Runs `action`, which is to be believed only if the log was ours all the while: before, so that nothing of another's is
 * touched; after, so that nothing is acknowledged that another did not see. @throws as `refuseLostLock`.
 */
export const whileOwned = <T>(folder: OwnedFolder, action: () => T): T => {
  refuseLostLock(folder)
  const result = action()
  refuseLostLock(folder)
  return result
}

/** A folder on a disk, with the clock that stamps and draws, and the options in force. */
export type LogPlace = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly options: LogOptions
  /** Which file is LOCK as long as the log is ours; absent where nobody locks. */
  readonly lock?: string
}

/** The header of a segment to be made: what is not given is drawn, or follows from the options. */
export const newSegmentHeader = (
  { clock, options }: LogPlace,
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
    ...facts,
  }
}

/** The header of the segment that follows `segment` in the same life. */
export const successorHeader = (
  place: LogPlace,
  { header, lastLsn, endOffset, lastCrc }: LogSegment,
): SegmentHeader => {
  const { walId, epoch, seq } = header
  const prev = { seq, lastLsn, endOffset, lastCrc }
  return newSegmentHeader(place, { walId, epoch, seq: seq + 1, baseLsn: lastLsn + 1, prev })
}
