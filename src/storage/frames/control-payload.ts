/**
 * The payloads that the log itself writes and reads: the time stamp of each DATA payload,
 * CHECKPOINT, and the end marks SEAL and CLEAN_CLOSE. The log does not interpret the rest of a
 * payload.
 */
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
export const encodeEndMark = ({ lastLsn, count, endOffset }: EndMark): Uint8Array => {
  const bytes = new Uint8Array(endMarkBytes)
  const view = viewOf(bytes)
  writeU64(view, 0, lastLsn)
  writeU64(view, 8, count)
  writeU64(view, 16, endOffset)
  return bytes
}

/** SEAL or CLEAN_CLOSE from bytes, or `undefined` when they are none. */
export const decodeEndMark = (bytes: Uint8Array): EndMark | undefined => {
  if (bytes.length < endMarkBytes) return undefined
  const view = viewOf(bytes)
  return { lastLsn: readU64(view, 0), count: readU64(view, 8), endOffset: readU64(view, 16) }
}

/** The time stamp of a DATA payload in ms; 0 when the payload is too short. */
export const readStamp = (view: DataView, at: number, payloadBytes: number): number =>
  payloadBytes < stampBytes ? 0 : readU64(view, at)
