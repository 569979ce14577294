/**
 * The limits that follow from the options of a log, and the checks of a commit request. A request
 * is refused here, before any byte is written. Pure.
 */
import { configError, KeelsonError } from '../../errors.ts'
import { stampBytes } from '../frames/control-payload.ts'
import { commitmentBytesMax, frameBytes, frameHeaderBytes, roundUp } from '../frames/frame.ts'
import { isSectorSize, segmentHeaderBytes } from '../frames/segment-header.ts'
import type { Commit, CommitRequest, LogOptions } from '../ports/log-host.ts'

/**
 * Refuses payloads that fit no segment, and commits near the end of the LSNs.
 * @throws KeelsonError `TOO_LARGE` for a payload beyond `payloadMax`; `NO_SPACE` with the reason
 * `lsn` if the log, at `lastLsn`, is about to run out of LSNs
 */
export const refuseLengths = (
  lengths: ArrayLike<number>,
  payloadMax: number,
  lastLsn: number,
): void => {
  for (let at = 0; at < lengths.length; at++) {
    const size = lengths[at] ?? 0
    if (size > payloadMax)
      throw new KeelsonError('TOO_LARGE', `a frame holds at most ${payloadMax} bytes`, {
        details: { limit: payloadMax, size },
      })
  }
  // Each frame may take a commitment and cause a roll, which takes two LSNs. Closing takes two more.
  if (lastLsn + 4 * lengths.length + 2 > Number.MAX_SAFE_INTEGER)
    throw new KeelsonError('NO_SPACE', 'the log has used up its LSNs', {
      details: { reason: 'lsn', lastLsn },
    })
}

/**
 * The offset of each frame in the bytes of the request.
 * @throws KeelsonError `INVALID_ARGUMENT` for lengths that do not match the bytes, and as
 * `refuseLengths`
 */
export const frameOffsets = (
  { bytes, lengths, now }: CommitRequest,
  payloadMax: number,
  lastLsn: number,
): number[] => {
  refuseLengths(lengths, payloadMax, lastLsn)
  const offsets: number[] = []
  let offset = 0
  for (let at = 0; at < lengths.length; at++) {
    const length = lengths[at] ?? 0
    if (!(length >= stampBytes)) throw invalid('a frame is shorter than its stamp')
    offsets.push(offset)
    offset += length
  }
  if (offset !== bytes.length) throw invalid('the lengths do not add up to the bytes')
  if (!Number.isSafeInteger(now) || now < 0) throw invalid('the time is not in whole ms')
  return offsets
}

/** Refuses to read or hold what was released. @throws KeelsonError `BAD_CURSOR` */
export const refuseBefore = (firstLsn: number, from: number): void => {
  if (from >= firstLsn) return
  throw new KeelsonError('BAD_CURSOR', `the log begins with lsn ${firstLsn}`, {
    details: { from, firstLsn },
  })
}

/** A request that was decided in an earlier epoch of the log comes too late. @throws `FENCED` */
export const refuseOtherRequest = (epoch: number, found: number): void => {
  if (found === epoch) return
  throw new KeelsonError('FENCED', `the log has epoch ${epoch}: this is a request of ${found}`, {
    details: { epoch, found },
  })
}

/** Allocating less memory than this costs less than transferring it back. */
const returnedFrom = 64 * 1024

/**
 * Returns the memory of a large request with the answer. New pages for a large one would cost more
 * than the transfer.
 */
export const givenBack = ({ bytes, isGiven }: CommitRequest): Pick<Commit, 'spent'> =>
  isGiven === true && bytes.buffer.byteLength >= returnedFrom ? { spent: bytes } : {}

const invalid = (what: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `a commit is refused: ${what}`)

/** Sectors that groups leave free, so that CHECKPOINT, an end mark and one marker always fit. */
const reservedSectors = 3

/** The offset at which groups must end in a segment of this size. */
export const groupLimit = (allocatedBytes: number, sectorBytes: number): number =>
  allocatedBytes - reservedSectors * sectorBytes

/**
 * The greatest payload of an empty segment, including the time stamp. A longer frame is
 * `TOO_LARGE`.
 */
export const framePayloadMax = (options: LogOptions): number => {
  const { maxFileSize, sectorBytes, commitments } = options
  const room = groupLimit(maxFileSize, sectorBytes) - segmentHeaderBytes
  const ownFrames = frameHeaderBytes + (commitments ? frameBytes(commitmentBytesMax) : 0)
  return Math.floor(room / sectorBytes) * sectorBytes - ownFrames
}

/**
 * The greatest unit that the store accepts. A frame with one such unit and everything around it
 * fits a segment.
 */
export const unitBytesMax = ({ maxFileSize }: LogOptions): number => maxFileSize - 64 * 1024

/**
 * The greatest segment that is made while the opening of a log waits for it: filling it with zeros
 * takes a few ms. Later segments are made in the background at full size.
 */
const openingBytesMax = 1024 * 1024

/** The size of the first segment of an epoch, whose first group takes `groupBytes`. */
export const openingBytes = (options: LogOptions, groupBytes = 0): number =>
  Math.max(
    Math.min(options.maxFileSize, openingBytesMax),
    segmentHeaderBytes +
      roundUp(groupBytes, options.sectorBytes) +
      reservedSectors * options.sectorBytes,
  )

/**
 * Checks the options of a log. @throws KeelsonError `CONFIG` for options with which no log can work
 */
export const checkLogOptions = (options: LogOptions): void => {
  if (!isSectorSize(options.sectorBytes))
    throw configError('sectorBytes', 'a power of two from 64 to 4096', options.sectorBytes)
  const least = frameBytes(frameHeaderBytes)
  if (!Number.isSafeInteger(options.maxFileSize) || framePayloadMax(options) < least)
    throw configError('maxFileSize', 'room for a header and a frame', options.maxFileSize)
  if (options.maxFileSize > 2 ** 31)
    throw configError('maxFileSize', 'at most 2 GiB', options.maxFileSize)
}
