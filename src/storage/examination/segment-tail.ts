/**
 * Examines the bytes after the last valid frame of a segment: how far bytes other than zero reach,
 * and what later frames prove to have been durable. Zeros do not prove an end: a lost sector reads
 * as zeros too.
 */

import {
  type FrameBuffer,
  frameBuffer,
  frameHeaderBytes,
  provenBy,
  readFrameHeader,
  roundUp,
} from '../frames/frame.ts'
import type { FrameEnd, SegmentFacts } from '../frames/frame-cursor.ts'
import { segmentHeaderBytes } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'

/** The findings after a `FrameEnd`. */
export type SegmentTail = {
  /** The offset after the last byte other than zero, or the start of the tail if there is none. */
  readonly usedEnd: number
  /** The greatest LSN that a later frame proves to have been durable; 0 without one. */
  readonly provenLsn: number
}

const chunkBytes = 256 * 1024

/** Examines all bytes from `last` to `to`, in chunks. */
export const examineTail = (
  file: DiskFile,
  facts: SegmentFacts,
  last: FrameEnd,
  to: number,
): SegmentTail => {
  const most = Math.min(chunkBytes, Math.max(0, to - last.offset))
  const zeros = Buffer.alloc(most)
  const chunk = frameBuffer(Buffer.allocUnsafeSlow(most))
  let usedEnd = last.offset
  let provenLsn = provenAstray(file, facts, last)
  // All chunks except the first begin on sector boundaries, so no frame header is split between
  // chunks.
  let next: number
  for (let at = last.offset; at < to; at = next) {
    next = Math.min(to, roundUp(at + 1, chunkBytes))
    const count = file.read(chunk.bytes.subarray(0, next - at), at)
    if (zeros.compare(chunk.bytes, 0, count, 0, count) === 0) continue
    usedEnd = at + lastUsed(chunk.bytes, count)
    provenLsn = Math.max(provenLsn, provenInChunk(chunk, count, at, facts))
  }
  return { usedEnd, provenLsn }
}

/**
 * The greatest LSN proven by a frame at a wrong place. A misdirected write may begin in the gaps of
 * the header block, or in the sector where the last valid frame ends, and damage only the bytes
 * after it.
 */
export const provenAstray = (file: DiskFile, facts: SegmentFacts, last: FrameEnd): number => {
  const block = frameBuffer(new Uint8Array(segmentHeaderBytes))
  const inBlock = provenInChunk(block, file.read(block.bytes, 0), 0, facts)
  const sector = frameBuffer(new Uint8Array(facts.sectorBytes))
  const at = last.offset - (last.offset % facts.sectorBytes)
  return Math.max(inBlock, provenInChunk(sector, file.read(sector.bytes, at), at, facts))
}

const lastUsed = (bytes: Uint8Array, count: number): number => {
  let end = count
  while (bytes[end - 1] === 0) end--
  return end
}

/** Searches later frames only where groups begin: all frames of a group prove the same LSN. */
const provenInChunk = (
  chunk: FrameBuffer,
  count: number,
  chunkAt: number,
  { salt, sectorBytes }: SegmentFacts,
): number => {
  let proven = 0
  const first = roundUp(chunkAt, sectorBytes) - chunkAt
  for (let at = first; at + frameHeaderBytes <= count; at += sectorBytes) {
    const header = readFrameHeader(chunk, at, salt)
    // A valid header is enough: it was true when it was written, whatever happened to its payload
    // and wherever it is. A copy of an earlier frame proves nothing new.
    if (header) proven = Math.max(proven, provenBy(header))
  }
  return proven
}
