/**
 * Whether a segment that is not read whole is the one that its successor means. The successor repeats the header CRC of its
 * last frame, and that CRC is seeded with the salt of the file it was written into: so one small read tells a
 * segment of the same numbers and sizes that another life of a copied log wrote.
 */
import type { DiskFile } from './disk.ts'
import { frameBuffer, frameBytes, frameHeaderBytes, readFrameHeader } from './frame.ts'
import { type Predecessor, type SegmentHeader, segmentHeaderBytes } from './segment-header.ts'

/** A last frame is looked for in so many bytes before the end: an end mark is in the first, an entry of a crash in the second. */
const reaches = [512, 256 * 1024] as const

/**
 * Whether the frame that `successor` names as the last stands where it says, with its CRC. False may also mean that the
 * frame is longer than what is looked at: then only reading the segment tells.
 */
export const endsAsNamed = (
  file: DiskFile,
  header: SegmentHeader,
  successor: Predecessor,
): boolean => reaches.some((reach) => hasLastFrame(file, header, successor, reach))

const hasLastFrame = (
  file: DiskFile,
  { salt }: SegmentHeader,
  { endOffset, lastLsn, lastCrc }: Predecessor,
  reach: number,
): boolean => {
  const from = Math.max(segmentHeaderBytes, endOffset - reach)
  if (endOffset - from < frameHeaderBytes) return false
  const buffer = frameBuffer(new Uint8Array(endOffset - from))
  if (file.read(buffer.bytes, from) < buffer.bytes.length) return false
  // Frames begin on multiples of 8, and so do the ends from which is counted.
  for (let at = buffer.bytes.length - frameHeaderBytes; at >= 0; at -= 8) {
    if (buffer.view.getUint32(at, true) !== lastCrc) continue
    const frame = readFrameHeader(buffer, at, salt)
    const isLast = frame?.lsn === lastLsn
    if (isLast && at + frameBytes(frame.payloadBytes) === buffer.bytes.length) return true
  }
  return false
}
