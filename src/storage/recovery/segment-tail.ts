/**
 * What stands behind the last whole frame of a segment: how far bytes other than zero reach, and what later frames say
 * had been durable before they were written. Zeros prove no end: a lost sector reads as zeros too.
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

/** What was found behind `FrameEnd`. */
export type SegmentTail = {
  /** Just behind the last byte that is not zero; the place where the tail begins when there is none. */
  readonly usedEnd: number
  /** The greatest LSN that a later frame proves to have been durable; 0 without one. */
  readonly provenLsn: number
}

const chunkBytes = 256 * 1024

/** Looks from `last` to `to`. Reads all of it, in chunks. */
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
  // Chunks begin on sector boundaries but for the first, so that no header lies across two of them.
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
 * What is proven by a frame that stands where none may: a write that went elsewhere on the disk may begin in the header block,
 * whose gaps nothing else uses, or in the sector in which the last whole frame ends, and damage only what comes behind.
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

/** Later frames are looked for where groups begin: all frames of a group say the same. */
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
    // The header alone is evidence: what it says was true when it was written, whatever became of its payload, and
    // wherever it stands: a copy of an earlier frame says nothing that is not known anyway.
    if (header) proven = Math.max(proven, provenBy(header))
  }
  return proven
}
