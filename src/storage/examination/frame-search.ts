/**
 * Searches for a frame after damage, at every place where one may begin. The salt of the segment
 * identifies its frames: bytes of an older epoch have another salt. A frame with an LSN that is
 * impossible at its place is skipped. Zeros are skipped fast.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { readU64, type ViewedBytes, viewedBytes } from '../../bytes/u64.ts'
import {
  type FrameHeader,
  frameBytes,
  frameHeaderBytes,
  groupFlag,
  provenBy,
  readFrameHeader,
  roundUp,
} from '../frames/frame.ts'
import type { FrameEnd, SegmentFacts } from '../frames/frame-cursor.ts'
import { segmentHeaderBytes } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'

/**
 * The area to search: from `offset` to `limit`, for frames after `known`, the last certain frame.
 */
export type SearchArea = {
  readonly offset: number
  readonly known: FrameEnd
  readonly limit: number
}

/** The result of a search. */
export type Found = {
  /** The place before the frame; absent if none was found. */
  readonly frame?: FrameEnd
  /**
   * The greatest LSN that a valid header proves to have been durable, even at an impossible place.
   */
  readonly provenLsn: number
  readonly startsWithZeros: boolean
  /** The offset after the last byte other than zero, or the start of the area if there is none. */
  readonly usedEnd: number
}

const chunkBytes = 256 * 1024

/** Searches, and yields the bytes of each chunk. */
export function* findFrame(
  file: DiskFile,
  facts: SegmentFacts,
  area: SearchArea,
): Generator<number, Found> {
  const { offset: begin, limit } = area
  const size = Math.max(0, Math.min(chunkBytes, limit - begin)) + frameHeaderBytes
  const buffer = viewedBytes(Buffer.allocUnsafeSlow(size))
  const zeros = Buffer.alloc(buffer.bytes.length)
  let provenLsn = 0
  let usedEnd = begin
  let startsWithZeros: boolean | undefined
  for (let at = begin; at < limit; at += chunkBytes) {
    // A header at the end of a chunk extends into the next one.
    const wanted = Math.min(chunkBytes + frameHeaderBytes, limit - at)
    const count = file.read(buffer.bytes.subarray(0, wanted), at)
    const own = Math.min(count, chunkBytes)
    startsWithZeros ??= isZero(zeros, buffer.bytes.subarray(0, Math.min(count, frameHeaderBytes)))
    if (!isZero(zeros, buffer.bytes.subarray(0, own))) {
      usedEnd = at + lastUsed(buffer.bytes, own)
      const found = searchChunk(buffer, { at, count, own }, facts, area)
      provenLsn = Math.max(provenLsn, found.provenLsn)
      if (found.frame) return { frame: found.frame, provenLsn, startsWithZeros, usedEnd }
    }
    yield own
    if (count < wanted) break
  }
  return { provenLsn, startsWithZeros: startsWithZeros ?? true, usedEnd }
}

type Chunk = { readonly at: number; readonly count: number; readonly own: number }

/** The bytes that may still be checksummed for wrong lengths. All holes of a segment share it. */
export type Patience = { bytes: number }

/** A payload up to this length is always tried: it costs no more than the search. */
const alwaysTried = 16 * 1024

/**
 * The offset at which the search after `offset` begins. A damaged header may still have the right
 * length, and it is used if the payload has the checksum next to it. Then nothing in that payload
 * is searched, whatever it looks like. When `patience` is used up, only short lengths are tried.
 */
export const behindDamagedHeaders = (
  file: DiskFile,
  facts: SegmentFacts,
  offset: number,
  limit: number,
  patience: Patience,
): number => {
  for (let at = offset; ; ) {
    const end =
      damagedFrameEnd(file, facts, at, limit, patience) ??
      damagedFrameEnd(file, facts, roundUp(at, facts.sectorBytes), limit, patience)
    if (end === undefined) return at
    at = end
  }
}

const damagedFrameEnd = (
  file: DiskFile,
  { salt, payloadMax }: SegmentFacts,
  offset: number,
  limit: number,
  patience: Patience,
): number | undefined => {
  const header = viewedBytes(new Uint8Array(frameHeaderBytes))
  if (offset + frameHeaderBytes > limit) return undefined
  if (file.read(header.bytes, offset) < frameHeaderBytes) return undefined
  if (readFrameHeader(header, 0, salt)) return undefined
  const payloadBytes = header.view.getUint32(4, true)
  const end = offset + frameBytes(payloadBytes)
  if (payloadBytes > payloadMax || end > limit) return undefined
  if (payloadBytes > alwaysTried && payloadBytes > patience.bytes) return undefined
  const chunk = new Uint8Array(Math.min(payloadBytes, chunkBytes))
  let sum = salt.high
  for (let at = 0; at < payloadBytes; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, payloadBytes - at))
    if (file.read(part, offset + frameHeaderBytes + at) < part.length) return undefined
    sum = crc32(part, sum)
  }
  if (sum === header.view.getUint32(28, true)) return end
  patience.bytes -= payloadBytes
  return undefined
}

const searchChunk = (
  buffer: ViewedBytes,
  { at, count, own }: Chunk,
  { salt, sectorBytes, payloadMax }: SegmentFacts,
  area: SearchArea,
): { readonly frame?: FrameEnd; readonly provenLsn: number } => {
  let provenLsn = 0
  for (let index = roundUp(at, 8) - at; index < own; index += 8) {
    if (index + frameHeaderBytes > count) break
    const offset = at + index
    const isSector = offset % sectorBytes === 0
    // The checksum is the expensive test, so the LSN is tested first.
    if (!isSector && !isPossible(readU64(buffer.view, index + 8), offset, area)) continue
    const header = readFrameHeader(buffer, index, salt)
    if (!header) continue
    // At the start of a sector every valid header is evidence, as it is at an opening.
    if (isSector) provenLsn = Math.max(provenLsn, provenBy(header))
    if (header.payloadBytes > payloadMax || !mayStand(header, offset, isSector, area)) continue
    provenLsn = Math.max(provenLsn, provenBy(header))
    return { frame: { offset, lsn: header.lsn - 1, crc: header.prevCrc }, provenLsn }
  }
  return { provenLsn }
}

/** Groups begin on a sector, and the frame must end before the limit. */
const mayStand = (
  header: FrameHeader,
  offset: number,
  isSector: boolean,
  area: SearchArea,
): boolean =>
  (isSector || (header.flags & groupFlag) === 0) &&
  offset + frameBytes(header.payloadBytes) <= area.limit &&
  isPossible(header.lsn, offset, area)

/** LSNs increase, and every frame takes at least the bytes of a header. */
const isPossible = (lsn: number, offset: number, { known }: SearchArea): boolean =>
  lsn > known.lsn && lsn <= known.lsn + 1 + (offset - known.offset) / frameHeaderBytes

const isZero = (zeros: Buffer, bytes: Uint8Array): boolean =>
  zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0

const lastUsed = (bytes: Uint8Array, count: number): number => {
  let end = count
  while (bytes[end - 1] === 0) end--
  return end
}

/** The findings after a `FrameEnd`. */
export type SegmentTail = {
  /** The offset after the last byte other than zero, or the start of the tail if there is none. */
  readonly usedEnd: number
  /** The greatest LSN that a later frame proves to have been durable; 0 without one. */
  readonly provenLsn: number
}

/**
 * Examines all bytes from `last` to `to`, the end of a segment: how far bytes other than zero reach,
 * and what later frames prove to have been durable. Zeros prove no end: a lost sector reads as zeros.
 */
export const examineTail = (
  file: DiskFile,
  facts: SegmentFacts,
  last: FrameEnd,
  to: number,
): SegmentTail => {
  const most = Math.min(chunkBytes, Math.max(0, to - last.offset))
  const zeros = Buffer.alloc(most)
  const chunk = viewedBytes(Buffer.allocUnsafeSlow(most))
  let usedEnd = last.offset
  let provenLsn = provenAstray(file, facts, last)
  // All chunks except the first begin on sector boundaries, so no frame header is split between
  // chunks.
  let next: number
  for (let at = last.offset; at < to; at = next) {
    next = Math.min(to, roundUp(at + 1, chunkBytes))
    const count = file.read(chunk.bytes.subarray(0, next - at), at)
    if (isZero(zeros, chunk.bytes.subarray(0, count))) continue
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
  const block = viewedBytes(new Uint8Array(segmentHeaderBytes))
  const inBlock = provenInChunk(block, file.read(block.bytes, 0), 0, facts)
  const sector = viewedBytes(new Uint8Array(facts.sectorBytes))
  const at = last.offset - (last.offset % facts.sectorBytes)
  return Math.max(inBlock, provenInChunk(sector, file.read(sector.bytes, at), at, facts))
}

/** Searches later frames only where groups begin: all frames of a group prove the same LSN. */
const provenInChunk = (
  chunk: ViewedBytes,
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
