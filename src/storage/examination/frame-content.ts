/**
 * Decodes the payload of a frame for people: the units of a store, the entry of a log as a library,
 * or a control payload. Any other payload is bytes. Pure; never throws.
 */

import { viewOf, writeU64 } from '../../bytes/u64.ts'
import { isKeelsonError } from '../../errors.ts'
import type { Unit } from '../commands/command.ts'
import { decodeFrame } from '../commands/command-decoding.ts'
import { type CommitmentHeader, decodeHeader } from '../commitments/commitment-header.ts'
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeEndMark,
  type EndMark,
  readStamp,
  stampBytes,
} from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { decodeLost, type LsnRange } from '../frames/lost-frame.ts'
import { decodeEntry } from '../frames/wal-entry.ts'

/** The decoded content. Bytes are views. `time` is in ms since 1970. */
export type FrameContent =
  | { readonly kind: 'units'; readonly time: number; readonly units: readonly Unit[] }
  | {
      readonly kind: 'entry'
      readonly time: number
      readonly type: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'mark'; readonly mark: EndMark }
  | { readonly kind: 'lost'; readonly range: LsnRange | undefined }
  | { readonly kind: 'commitment'; readonly header: CommitmentHeader; readonly hash: string }
  /** `time` is present for a DATA frame, `why` if its units could not be read. */
  | {
      readonly kind: 'bytes'
      readonly time?: number
      readonly why?: string
      readonly bytes: Uint8Array
    }

/** The content of a frame of `type`. */
export const contentOf = (type: number, payload: Uint8Array): FrameContent => {
  if (type === frameTypes.data) return dataOf(payload)
  if (type === frameTypes.lost) return { kind: 'lost', range: decodeLost(payload) }
  const checkpoint = type === frameTypes.checkpoint ? decodeCheckpoint(payload) : undefined
  if (checkpoint) return { kind: 'checkpoint', checkpoint }
  const read = type === frameTypes.commitment ? decodeHeader(payload.slice()) : undefined
  if (read) return { kind: 'commitment', header: read.header, hash: read.hash }
  const isMark = type === frameTypes.seal || type === frameTypes.cleanClose
  const mark = isMark ? decodeEndMark(payload) : undefined
  return mark ? { kind: 'mark', mark } : { kind: 'bytes', bytes: payload }
}

const dataOf = (payload: Uint8Array): FrameContent => {
  const time = readStamp(viewOf(payload), 0, payload.length)
  const entry = attempt(() => decodeEntry(payload))
  if (typeof entry !== 'string') return { kind: 'entry', time, ...entry }
  const frame = attempt(() => decodeFrame(payload))
  if (typeof frame === 'string') return { kind: 'bytes', time, why: frame, bytes: payload }
  return { kind: 'units', time: frame.time, units: frame.units }
}

/** The content of a record of a DATA frame: a unit without its length, or a whole payload. */
export const recordContent = ({
  time,
  bytes,
}: {
  readonly time: number
  readonly bytes: Uint8Array
}): FrameContent => {
  const frame = Buffer.alloc(stampBytes + 6 + bytes.length)
  writeU64(viewOf(frame), 0, time)
  frame.writeUInt16LE(1, stampBytes)
  frame.writeUInt32LE(bytes.length, stampBytes + 2)
  frame.set(bytes, stampBytes + 6)
  const content = dataOf(frame)
  if (content.kind === 'units') return content
  const whole = Buffer.concat([frame.subarray(0, stampBytes), bytes])
  return dataOf(whole)
}

/** The result of `read`, or the message of its error. */
const attempt = <T extends object>(read: () => T): T | string => {
  try {
    return read()
  } catch (error) {
    if (isKeelsonError(error)) return error.message
    throw error
  }
}
