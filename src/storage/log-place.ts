/** Where a log lives, and what its new segments are drawn from. */
import type { Clock } from '../clock.ts'
import type { Disk } from './disk.ts'
import type { LogOptions } from './log-host.ts'
import { framePayloadMax } from './log-limits.ts'
import type { LogSegment } from './segment-chain.ts'
import type { SegmentHeader } from './segment-header.ts'

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
