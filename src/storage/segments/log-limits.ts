/** How much fits: what follows from the options of a log. Pure. */
import { configError, KeelsonError } from '../../errors.ts'
import { stampBytes } from '../frames/control-payload.ts'
import { frameBytes, frameHeaderBytes, roundUp } from '../frames/frame.ts'
import { isSectorSize, segmentHeaderBytes } from '../frames/segment-header.ts'
import type { Commit, CommitRequest, LogOptions } from '../ports/log-host.ts'

// What a commit may ask for. Pure: a request is refused here, before any byte is written.

/**
 * Refuses payloads that no segment takes, and numbers that the log does not have any more.
 * @throws KeelsonError `TOO_LARGE` for one beyond `payloadMax`; `NO_SPACE` with the reason `lsn` when the log, at
 * `lastLsn`, is about to run out of numbers.
 */
export const refuseLengths = (
  lengths: ArrayLike<number>,
  payloadMax: number,
  lastLsn: number,
): void => {
  for (let at = 0; at < lengths.length; at++) {
    const size = lengths[at] ?? 0
    if (size > payloadMax)
      throw new KeelsonError('TOO_LARGE', `A frame holds at most ${payloadMax} bytes`, {
        details: { limit: payloadMax, size },
      })
  }
  // Each frame may cause a roll, which takes two numbers, and closing takes two more.
  if (lastLsn + 3 * lengths.length + 2 > Number.MAX_SAFE_INTEGER)
    throw new KeelsonError('NO_SPACE', 'The log has used up its numbers', {
      details: { reason: 'lsn', lastLsn },
    })
}

/**
 * Where each frame begins in the request's bytes.
 * @throws KeelsonError `INVALID_ARGUMENT` for what does not add up, and as `refuseLengths`.
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

/** Smaller memory is taken anew for less than the work of giving it back. */
const returnedFrom = 64 * 1024

/** A request's memory, as part of the answer, where it is worth it: the pages of a large one would all be taken anew. */
export const givenBack = ({ bytes, isGiven }: CommitRequest): Pick<Commit, 'spent'> =>
  isGiven === true && bytes.buffer.byteLength >= returnedFrom ? { spent: bytes } : {}

const invalid = (what: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `A commit is refused: ${what}`)

/** Sectors that no group may use, so that there is always room for CHECKPOINT, an end mark and one marker. */
const reservedSectors = 3

/** Where groups must end in a segment of that size. */
export const groupLimit = (allocatedBytes: number, sectorBytes: number): number =>
  allocatedBytes - reservedSectors * sectorBytes

/** The longest payload that fits an empty segment, the stamp included. A frame beyond it is `TOO_LARGE`. */
export const framePayloadMax = ({ maxFileSize, sectorBytes }: LogOptions): number => {
  const room = groupLimit(maxFileSize, sectorBytes) - segmentHeaderBytes
  return Math.floor(room / sectorBytes) * sectorBytes - frameHeaderBytes
}

/** The longest unit that the store accepts; a frame that carries one of them fits with all that is around it. */
export const unitBytesMax = ({ maxFileSize }: LogOptions): number => maxFileSize - 64 * 1024

/**
 * A segment that is made while somebody waits for the log to open is no larger than this: filling it with zeros takes a
 * few ms. Those that follow are made in the background, at their full size.
 */
const openingBytesMax = 1024 * 1024

/** The size of the segment with which a life of a log begins, when its first group takes `groupBytes`. */
export const openingBytes = (options: LogOptions, groupBytes = 0): number =>
  Math.max(
    Math.min(options.maxFileSize, openingBytesMax),
    segmentHeaderBytes +
      roundUp(groupBytes, options.sectorBytes) +
      reservedSectors * options.sectorBytes,
  )

/** @throws KeelsonError `CONFIG` for options that no log can be kept with. */
export const checkLogOptions = (options: LogOptions): void => {
  if (!isSectorSize(options.sectorBytes))
    throw configError('sectorBytes', 'a power of two from 64 to 4096', options.sectorBytes)
  const least = frameBytes(frameHeaderBytes)
  if (!Number.isSafeInteger(options.maxFileSize) || framePayloadMax(options) < least)
    throw configError('maxFileSize', 'room for a header and a frame', options.maxFileSize)
  if (options.maxFileSize > 2 ** 31)
    throw configError('maxFileSize', 'at most 2 GiB', options.maxFileSize)
}
