/**
 * The payloads that the log itself writes and reads: the time stamp of each DATA payload,
 * CHECKPOINT, and the end marks SEAL and CLEAN_CLOSE. The log does not interpret the rest of a
 * payload.
 */
import { layout, u64 } from '../../bytes/layout.ts'
import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'

/** Bytes of the time stamp at the start of each DATA payload. */
export const stampBytes = 8

/** A checkpoint: a projection or an archive durably holds everything up to `lsn`. */
export type Checkpoint = { readonly lsn: number; readonly opaque: Uint8Array }

/** The end mark of a segment: the last frame before it, the number of frames, and its own end. */
export type EndMark = {
  readonly lastLsn: number
  readonly count: number
  readonly endOffset: number
}

const endMarkBytes = 24
const endMark = layout<EndMark>({ lastLsn: u64(0), count: u64(8), endOffset: u64(16) })

/** Bytes of a CHECKPOINT's payload. */
export const checkpointBytes = (opaqueBytes: number): number => 8 + opaqueBytes

/** CHECKPOINT as bytes. */
export const encodeCheckpoint = ({ lsn, opaque }: Checkpoint): Uint8Array => {
  const bytes = new Uint8Array(checkpointBytes(opaque.length))
  writeU64(viewOf(bytes), 0, lsn)
  bytes.set(opaque, 8)
  return bytes
}

/** CHECKPOINT from bytes, or `undefined` when they are none. */
export const decodeCheckpoint = (bytes: Uint8Array): Checkpoint | undefined => {
  if (bytes.length < 8) return undefined
  const lsn = readU64(viewOf(bytes), 0)
  return Number.isSafeInteger(lsn) ? { lsn, opaque: bytes.slice(8) } : undefined
}

/** SEAL or CLEAN_CLOSE as bytes. */
export const encodeEndMark = (mark: EndMark): Uint8Array => {
  const bytes = new Uint8Array(endMarkBytes)
  endMark.write(viewOf(bytes), mark)
  return bytes
}

/** SEAL or CLEAN_CLOSE from bytes, or `undefined` when they are none. */
export const decodeEndMark = (bytes: Uint8Array): EndMark | undefined =>
  bytes.length < endMarkBytes ? undefined : endMark.read(viewOf(bytes))

/** The time stamp of a DATA payload in ms; 0 when the payload is too short. */
export const readStamp = (view: DataView, at: number, payloadBytes: number): number =>
  payloadBytes < stampBytes ? 0 : readU64(view, at)
