/**
 * Looks for a frame behind damage: at every place where one may begin, with the segment's salt as the test. Bytes of an
 * older life have another salt; a frame that stands where its LSN cannot be is passed over. Zeros are passed over fast.
 */
import { crc32 } from '../bytes/crc32.ts'
import { readU64 } from '../bytes/u64.ts'
import {
  type FrameBuffer,
  type FrameHeader,
  frameBuffer,
  frameBytes,
  frameHeaderBytes,
  groupFlag,
  provenBy,
  readFrameHeader,
  roundUp,
} from '../frames/frame.ts'
import type { FrameEnd, SegmentFacts } from '../frames/frame-cursor.ts'
import type { DiskFile } from '../ports/disk.ts'

/** Where to look: from `offset` to `limit`, for frames behind `known`, the end of what is certain. */
export type SearchArea = {
  readonly offset: number
  readonly known: FrameEnd
  readonly limit: number
}

/** What was found. */
export type Found = {
  /** The place before the frame; absent when there is none. */
  readonly frame?: FrameEnd
  /** The greatest LSN that a header proves to have been durable, whether it could be believed to stand there or not. */
  readonly provenLsn: number
  readonly startsWithZeros: boolean
  /** Just behind the last byte that is not zero; the beginning of the area when there is none. */
  readonly usedEnd: number
}

const chunkBytes = 256 * 1024

/** Searches. Pauses after each chunk with its bytes. */
export function* findFrame(
  file: DiskFile,
  facts: SegmentFacts,
  area: SearchArea,
): Generator<number, Found> {
  const { offset: begin, limit } = area
  const size = Math.max(0, Math.min(chunkBytes, limit - begin)) + frameHeaderBytes
  const buffer = frameBuffer(Buffer.allocUnsafeSlow(size))
  const zeros = Buffer.alloc(buffer.bytes.length)
  let provenLsn = 0
  let usedEnd = begin
  let startsWithZeros: boolean | undefined
  for (let at = begin; at < limit; at += chunkBytes) {
    // A header that begins at the end of a chunk reaches into the next one.
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

/** How many bytes may still be summed for lengths that turn out to be wrong. One for all holes of a segment. */
export type Patience = { bytes: number }

/** A length up to this is tried in any case: it costs no more than the search that follows. */
const alwaysTried = 16 * 1024

/**
 * Where to begin the search behind `offset`. A damaged header may still say how long its payload is, and that is believed
 * when the payload has the sum that stands beside it: then nothing in the payload is searched, whatever it looks like. Where
 * there is so much damage that `patience` ends, only short lengths are still believed.
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
  const header = frameBuffer(new Uint8Array(frameHeaderBytes))
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
  buffer: FrameBuffer,
  { at, count, own }: Chunk,
  { salt, sectorBytes, payloadMax }: SegmentFacts,
  area: SearchArea,
): { readonly frame?: FrameEnd; readonly provenLsn: number } => {
  let provenLsn = 0
  for (let index = roundUp(at, 8) - at; index < own; index += 8) {
    if (index + frameHeaderBytes > count) break
    const offset = at + index
    const isSector = offset % sectorBytes === 0
    // The sum is what costs; an LSN that cannot stand there says no for less.
    if (!isSector && !isPossible(readU64(buffer.view, index + 8), offset, area)) continue
    const header = readFrameHeader(buffer, index, salt)
    if (!header) continue
    // At a sector whatever a header says counts, as it does when a log is opened.
    if (isSector) provenLsn = Math.max(provenLsn, provenBy(header))
    if (header.payloadBytes > payloadMax || !mayStand(header, offset, isSector, area)) continue
    provenLsn = Math.max(provenLsn, provenBy(header))
    return { frame: { offset, lsn: header.lsn - 1, crc: header.prevCrc }, provenLsn }
  }
  return { provenLsn }
}

/** A group begins on a sector, and the frame ends before the limit. */
const mayStand = (
  header: FrameHeader,
  offset: number,
  isSector: boolean,
  area: SearchArea,
): boolean =>
  (isSector || (header.flags & groupFlag) === 0) &&
  offset + frameBytes(header.payloadBytes) <= area.limit &&
  isPossible(header.lsn, offset, area)

/** LSNs rise, and every frame takes the bytes of a header at least. */
const isPossible = (lsn: number, offset: number, { known }: SearchArea): boolean =>
  lsn > known.lsn && lsn <= known.lsn + 1 + (offset - known.offset) / frameHeaderBytes

const isZero = (zeros: Buffer, bytes: Uint8Array): boolean =>
  zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0

const lastUsed = (bytes: Uint8Array, count: number): number => {
  let end = count
  while (bytes[end - 1] === 0) end--
  return end
}
