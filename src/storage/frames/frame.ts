/**
 * The frame: one entry of the log, a header of 32 bytes and a payload. The CRCs of both are seeded
 * with the salt of the segment. A frame can be verified alone (to find frames after damage) and
 * against its predecessor (to detect a missing frame). Reading never throws and never allocates by
 * an unverified length. FORMAT.md describes the bytes.
 */
import { crc32Within } from '../../bytes/crc32.ts'
import { readU64, type ViewedBytes, writeU64 } from '../../bytes/u64.ts'

/** Bytes before a payload. */
export const frameHeaderBytes = 32

/** The types of frames. A reader may skip types from 128 on that it does not know. */
export const frameTypes = {
  data: 1,
  checkpoint: 2,
  idle: 3,
  seal: 4,
  cleanClose: 5,
  commitment: 6,
  lost: 128,
} as const

/** No COMMITMENT frame has a longer payload. */
export const commitmentBytesMax = 200

/** The version of each type's payload that this code writes, and the newest that it reads. */
export const frameTypeVersion = 1

/** Set on the first frame of a group, at the start of a sector. */
export const groupFlag = 1

/**
 * A random number of each segment, as two halves. It seeds the CRCs of the frames. Old bytes of a
 * reused file, or a payload that contains frames, therefore never verify as frames of this segment.
 */
export type Salt = { readonly low: number; readonly high: number }

/** The fields of a frame header. Offsets and CRCs are unsigned. */
export type FrameHeader = {
  readonly payloadBytes: number
  readonly lsn: number
  readonly type: number
  readonly flags: number
  readonly typeVersion: number
  /** The header CRC of the frame with the LSN before. */
  readonly prevCrc: number
  /** `lsn` minus the last LSN known to be durable at the time of writing; `noEvidence`: unknown. */
  readonly durableLag: number
  readonly payloadCrc: number
  readonly headerCrc: number
}

/** A mutable header, to read into. */
export type FrameHeaderSlot = { -readonly [K in keyof FrameHeader]: FrameHeader[K] }

/** The lag that proves nothing. Greater lags are stored as this one. */
export const noEvidence = 0xffff_ffff

/** `size` rounded up to a multiple of `unit`. */
export const roundUp = (size: number, unit: number): number => Math.ceil(size / unit) * unit

/** Bytes of a frame in the file, for this many payload bytes. */
export const frameBytes = (payloadBytes: number): number =>
  frameHeaderBytes + roundUp(payloadBytes, 8)

/** The input of a frame header; the payload is already in the buffer after it. */
export type FrameFacts = {
  readonly payloadBytes: number
  readonly lsn: number
  readonly type: number
  readonly flags: number
  readonly prevCrc: number
  readonly durableLsn: number
}

/** Writes the header at `at` for the payload at `at + 32`. Returns the header's CRC. */
export const writeFrameHeader = (
  buffer: ViewedBytes,
  at: number,
  facts: FrameFacts,
  salt: Salt,
): number => {
  const { view } = buffer
  const payloadAt = at + frameHeaderBytes
  view.setUint32(at + 4, facts.payloadBytes, true)
  writeU64(view, at + 8, facts.lsn)
  view.setUint8(at + 16, facts.type)
  view.setUint8(at + 17, facts.flags)
  view.setUint16(at + 18, frameTypeVersion, true)
  view.setUint32(at + 20, facts.prevCrc, true)
  view.setUint32(at + 24, Math.min(facts.lsn - facts.durableLsn, noEvidence), true)
  const payloadCrc = crc32Within(buffer, payloadAt, payloadAt + facts.payloadBytes, salt.high)
  view.setUint32(at + 28, payloadCrc, true)
  const headerCrc = crc32Within(buffer, at + 4, payloadAt, salt.low)
  view.setUint32(at, headerCrc, true)
  return headerCrc
}

/** An empty header that can be reused for reading. */
export const emptyFrameHeader = (): FrameHeaderSlot => ({
  payloadBytes: 0,
  lsn: 0,
  type: 0,
  flags: 0,
  typeVersion: 0,
  prevCrc: 0,
  durableLag: 0,
  payloadCrc: 0,
  headerCrc: 0,
})

/** Reads the header at `at` into `into`; `undefined` when it is not a header of this salt. */
export const readFrameHeader = (
  buffer: ViewedBytes,
  at: number,
  salt: Salt,
  into: FrameHeaderSlot = emptyFrameHeader(),
): FrameHeader | undefined => {
  const { bytes, view } = buffer
  if (at + frameHeaderBytes > bytes.length) return undefined
  const type = view.getUint8(at + 16)
  const lsn = readU64(view, at + 8)
  if (type === 0 || lsn === 0 || !Number.isSafeInteger(lsn)) return undefined
  const headerCrc = view.getUint32(at, true)
  if (crc32Within(buffer, at + 4, at + frameHeaderBytes, salt.low) !== headerCrc) return undefined
  into.payloadBytes = view.getUint32(at + 4, true)
  into.lsn = lsn
  into.type = type
  into.flags = view.getUint8(at + 17)
  into.typeVersion = view.getUint16(at + 18, true)
  into.prevCrc = view.getUint32(at + 20, true)
  into.durableLag = view.getUint32(at + 24, true)
  into.payloadCrc = view.getUint32(at + 28, true)
  into.headerCrc = headerCrc
  return into
}

/**
 * Whether the CRC of the payload after the header at `at` is right. The payload must be in the
 * buffer.
 */
export const payloadIsWhole = (
  buffer: ViewedBytes,
  at: number,
  header: FrameHeader,
  salt: Salt,
): boolean => {
  const from = at + frameHeaderBytes
  const to = from + header.payloadBytes
  return crc32Within(buffer, from, to, salt.high) === header.payloadCrc
}

/**
 * The last LSN that was durable before this frame was written, as the frame proves; 0: no proof.
 */
export const provenBy = (header: FrameHeader): number =>
  header.durableLag === noEvidence ? 0 : Math.max(0, header.lsn - header.durableLag)

const isKnown = (type: number): boolean => type >= frameTypes.data && type <= frameTypes.commitment

/** Whether this version can read or skip the frame. Any other frame is from a newer version. */
export const isReadable = ({ type, flags, typeVersion }: FrameHeader): boolean =>
  type >= 128 || (isKnown(type) && typeVersion === frameTypeVersion && flags <= groupFlag)
