/** How much fits: what follows from the options of a log. Pure. */
import { KeelsonError } from '../errors.ts'
import { frameBytes, frameHeaderBytes, roundUp } from './frame.ts'
import type { LogOptions } from './log-host.ts'
import { isSectorSize, segmentHeaderBytes } from './segment-header.ts'

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
    throw refused('sectorBytes', 'a power of two from 64 to 4096', options.sectorBytes)
  const least = frameBytes(frameHeaderBytes)
  if (!Number.isSafeInteger(options.maxFileSize) || framePayloadMax(options) < least)
    throw refused('maxFileSize', 'room for a header and a frame', options.maxFileSize)
  if (options.maxFileSize > 2 ** 31)
    throw refused('maxFileSize', 'at most 2 GiB', options.maxFileSize)
}

const refused = (path: string, expected: string, found: number): KeelsonError =>
  new KeelsonError('CONFIG', `${path}: expected ${expected}, found ${found}`, {
    details: { path, expected, found },
  })
