/**
 * The frame: one entry of the log, a header of 32 bytes and a payload, both under CRCs that are seeded with the salt of
 * their segment. A frame can be checked on its own (to find one behind damage) and against its predecessor (to know that
 * none is missing). Reading never throws and allocates nothing that an unchecked length asks for. FORMAT.md has the bytes.
 */
import { crc32Within } from '../bytes/crc32.ts'
import { readU64, viewOf, writeU64 } from '../bytes/u64.ts'

/** Bytes before a payload. */
export const frameHeaderBytes = 32

/** What a frame is. Types from 128 on may be skipped by whoever does not know them. */
export const frameTypes = {
  data: 1,
  checkpoint: 2,
  idle: 3,
  seal: 4,
  cleanClose: 5,
  commitment: 6,
  lost: 128,
} as const

/** The version of each type's payload that this code writes, and the newest that it reads. */
export const frameTypeVersion = 1

/** Set on the first frame of a group, which stands at the beginning of a sector. */
export const groupFlag = 1

/**
 * A random number that each segment draws anew, as two halves. It seeds the CRCs of its frames, so that neither bytes of
 * an older life nor a payload that looks like frames pass for frames of this segment.
 */
export type Salt = { readonly low: number; readonly high: number }

/** Bytes with a view over them: what frames are written into and read from. */
export type FrameBuffer = { readonly bytes: Uint8Array; readonly view: DataView }

/** What a frame's header says. Offsets and CRCs are unsigned. */
export type FrameHeader = {
  readonly payloadBytes: number
  readonly lsn: number
  readonly type: number
  readonly flags: number
  readonly typeVersion: number
  /** The header CRC of the frame with the LSN before. */
  readonly prevCrc: number
  /** `lsn` minus the LSN that was known to be durable when the frame was written; `noEvidence` says nothing. */
  readonly durableLag: number
  readonly payloadCrc: number
  readonly headerCrc: number
}

/** A place for a header, to be read into. */
export type FrameHeaderSlot = { -readonly [K in keyof FrameHeader]: FrameHeader[K] }

/** The lag that proves nothing: greater ones are cut to it. */
export const noEvidence = 0xffff_ffff

/** A buffer for frames over `bytes`. */
export const frameBuffer = (bytes: Uint8Array): FrameBuffer => ({ bytes, view: viewOf(bytes) })

/** `size` rounded up to a multiple of `unit`. */
export const roundUp = (size: number, unit: number): number => Math.ceil(size / unit) * unit

/** What a frame with so many bytes of payload takes in a file. */
export const frameBytes = (payloadBytes: number): number =>
  frameHeaderBytes + roundUp(payloadBytes, 8)

/** What a frame is written from; its payload already stands behind the header's place. */
export type FrameFacts = {
  readonly payloadBytes: number
  readonly lsn: number
  readonly type: number
  readonly flags: number
  readonly prevCrc: number
  readonly durableLsn: number
}

/** Writes the header at `at` over the payload that stands at `at + 32`, and answers its CRC. */
export const writeFrameHeader = (
  buffer: FrameBuffer,
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

/** A header that nothing was read into yet, and that may be read into again and again. */
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

/** The header at `at`, read into `into`; or `undefined` when what stands there is not one of this salt. */
export const readFrameHeader = (
  buffer: FrameBuffer,
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

/** Whether the payload that follows the header at `at` is the one that it was written for. It must be in the buffer. */
export const payloadIsWhole = (
  buffer: FrameBuffer,
  at: number,
  header: FrameHeader,
  salt: Salt,
): boolean => {
  const from = at + frameHeaderBytes
  const to = from + header.payloadBytes
  return crc32Within(buffer, from, to, salt.high) === header.payloadCrc
}

/** Up to which LSN a frame proves the log to have been durable before it was written; 0 when it proves nothing. */
export const provenBy = (header: FrameHeader): number =>
  header.durableLag === noEvidence ? 0 : Math.max(0, header.lsn - header.durableLag)

const isKnown = (type: number): boolean => type >= frameTypes.data && type <= frameTypes.commitment

/** Whether this code may pass over the frame or read it; a frame that it may not is from a newer version. */
export const isReadable = ({ type, flags, typeVersion }: FrameHeader): boolean =>
  type >= 128 || (isKnown(type) && typeVersion === frameTypeVersion && flags <= groupFlag)
