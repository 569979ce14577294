/**
 * Walks the frames of a segment in order. It verifies each frame's CRCs, its LSN and the CRC of its
 * predecessor. It reads ahead in a bounded window and uses no length before the header's CRC has
 * been verified. It reports where and why it stopped. Recovery decides whether a bad frame is a
 * torn tail.
 */

import { type ViewedBytes, viewedBytes } from '../../bytes/u64.ts'
import type { DiskFile } from '../ports/disk.ts'
import { decodeCheckpoint, decodeEndMark, readStamp } from './control-payload.ts'
import {
  emptyFrameHeader,
  type FrameHeader,
  frameBytes,
  frameHeaderBytes,
  frameTypes,
  groupFlag,
  isReadable,
  payloadIsWhole,
  provenBy,
  readFrameHeader,
  roundUp,
  type Salt,
} from './frame.ts'
import { segmentHeaderBytes } from './segment-header.ts'

/** A place between two frames: the end of one, its LSN and its header's CRC. */
export type FrameEnd = { readonly offset: number; readonly lsn: number; readonly crc: number }

/** The facts of a segment that a cursor needs. */
export type SegmentFacts = {
  readonly salt: Salt
  readonly sectorBytes: number
  readonly payloadMax: number
}

/**
 * Why a cursor stopped. `end`: no further frame fits before the limit. `bad`: the next bytes are
 * not the next frame. `unsupported`: only a newer version can read the next frame.
 */
export type Stop = 'end' | 'bad' | 'unsupported'

/** The default window: larger ones miss the processor's cache and read no faster from a disk. */
const usualWindowBytes = 256 * 1024

/** The place before a segment's first frame. */
export const segmentStart = (header: {
  readonly baseLsn: number
  readonly prev: { readonly lastCrc: number }
}): FrameEnd => ({
  offset: segmentHeaderBytes,
  lsn: header.baseLsn - 1,
  crc: header.prev.lastCrc,
})

/** A place in a segment, moving from frame to frame. */
export class FrameCursor {
  readonly #file: DiskFile
  readonly #facts: SegmentFacts
  readonly #limit: number
  readonly #windowBytes: number
  /** Part of the file, from `#windowAt` on; `#windowSize` bytes of the buffer are filled. */
  #window: ViewedBytes = viewedBytes(new Uint8Array(0))
  #windowAt = 0
  #windowSize = 0
  /** The index of the current frame in the window. */
  #frameIndex = 0
  /**
   * The end of the last frame, as three numbers: an object for each frame costs as much as reading
   * its header.
   */
  #endOffset: number
  #endLsn: number
  #endCrc: number
  #frameOffset: number
  /** Reused for the header of every frame. */
  readonly #header = emptyFrameHeader()
  #mayRead = true
  #stop: Stop = 'end'

  /**
   * Walks frames that end at or before `limit`. Reads `windowBytes` at once, or a whole longer
   * frame.
   */
  constructor(
    file: DiskFile,
    facts: SegmentFacts,
    from: FrameEnd,
    limit: number,
    windowBytes = usualWindowBytes,
  ) {
    this.#file = file
    this.#facts = facts
    this.#limit = limit
    this.#windowBytes = windowBytes
    this.#endOffset = from.offset
    this.#endLsn = from.lsn
    this.#endCrc = from.crc
    this.#frameOffset = from.offset
  }

  /** The end of the last frame that `next` returned. */
  get end(): FrameEnd {
    return { offset: this.#endOffset, lsn: this.#endLsn, crc: this.#endCrc }
  }

  /** The file offset of the current frame. */
  get frameOffset(): number {
    return this.#frameOffset
  }

  /** Why `next` returned `undefined`. */
  get stop(): Stop {
    return this.#stop
  }

  /** The buffer of the current frame and the index of its payload; valid until the next `next`. */
  get payload(): { readonly buffer: ViewedBytes; readonly at: number } {
    return { buffer: this.#window, at: this.#frameIndex + frameHeaderBytes }
  }

  /** The payload of the current frame as a view of the window; valid until the next `next`. */
  payloadBytes(header: FrameHeader): Uint8Array {
    const { buffer, at } = this.payload
    return buffer.bytes.subarray(at, at + header.payloadBytes)
  }

  /**
   * The next frame, or `undefined` where the walk stops. The header is reused by the next call. A
   * group begins on a sector, so the frame after a group is at the next sector boundary. The
   * padding between them is not examined.
   */
  next(): FrameHeader | undefined {
    const at = this.#endOffset
    const boundary = roundUp(at, this.#facts.sectorBytes)
    const follower = this.#frameAt(at, at === boundary)
    if (follower) return this.#accept(at, follower)
    const leader = at === boundary ? undefined : this.#frameAt(boundary, true)
    if (leader) return this.#accept(boundary, leader)
    this.#stop = at + frameHeaderBytes > this.#limit ? 'end' : 'bad'
    return undefined
  }

  /**
   * The next frame if the window holds all of it, else `undefined`. Frames that were already
   * returned stay in the window.
   */
  nextInWindow(): FrameHeader | undefined {
    this.#mayRead = false
    const header = this.next()
    this.#mayRead = true
    return header
  }

  #accept(at: number, header: FrameHeader): FrameHeader | undefined {
    if (!isReadable(header)) {
      this.#stop = 'unsupported'
      return undefined
    }
    this.#frameOffset = at
    this.#frameIndex = at - this.#windowAt
    this.#endOffset = at + frameBytes(header.payloadBytes)
    this.#endLsn = header.lsn
    this.#endCrc = header.headerCrc
    return header
  }

  /** The frame at `at` if it is the next one. `leads`: it may be the first frame of a group. */
  #frameAt(at: number, leads: boolean): FrameHeader | undefined {
    if (!this.#load(at, frameHeaderBytes)) return undefined
    const { salt, payloadMax } = this.#facts
    const header = readFrameHeader(this.#window, at - this.#windowAt, salt, this.#header)
    if (!header || header.lsn !== this.#endLsn + 1 || header.prevCrc !== this.#endCrc) return
    // A group begins only on a boundary, and padding is followed only by a group.
    const isLeader = (header.flags & groupFlag) !== 0
    if (isLeader ? !leads : at !== this.#endOffset) return undefined
    if (header.payloadBytes > payloadMax) return undefined
    if (!this.#load(at, frameBytes(header.payloadBytes))) return undefined
    return payloadIsWhole(this.#window, at - this.#windowAt, header, salt) ? header : undefined
  }

  /** Loads `length` bytes at `offset` into the window; false when they reach beyond the limit. */
  #load(offset: number, length: number): boolean {
    const end = offset + length
    if (end > this.#limit) return false
    if (offset >= this.#windowAt && end <= this.#windowAt + this.#windowSize) return true
    if (!this.#mayRead) return false
    const wanted = Math.min(Math.max(length, this.#windowBytes), this.#limit - offset)
    if (this.#window.bytes.length < wanted) this.#window = viewedBytes(new Uint8Array(wanted))
    const into = this.#window.bytes.subarray(0, wanted)
    this.#windowAt = offset
    this.#windowSize = this.#file.read(into, offset)
    return length <= this.#windowSize
  }
}

/**
 * Facts about the log, collected from its valid frames. Recovery (which stops at damage) and the
 * verifier (which continues after it) use the same rule.
 */
export type FrameSums = {
  /** The greatest stamp of a DATA frame; 0 without one. */
  lastTime: number
  /** The greatest LSN in a CHECKPOINT; 0 without one. */
  checkpointLsn: number
  /** The greatest LSN that a frame proves to have been durable. */
  provenLsn: number
  /** Whether the last frame is a SEAL or CLEAN_CLOSE that names its own place. */
  mark: 'none' | 'seal' | 'closed'
}

/** The facts before the first frame. */
export const noSums = (): FrameSums => ({
  lastTime: 0,
  checkpointLsn: 0,
  provenLsn: 0,
  mark: 'none',
})

/** Adds the frame that `cursor` has just returned. */
export const addFrame = (sums: FrameSums, cursor: FrameCursor, frame: FrameHeader): void => {
  sums.provenLsn = Math.max(sums.provenLsn, provenBy(frame))
  sums.mark = 'none'
  if (frame.type === frameTypes.data) {
    const { buffer, at } = cursor.payload
    sums.lastTime = Math.max(sums.lastTime, readStamp(buffer.view, at, frame.payloadBytes))
  } else if (frame.type === frameTypes.checkpoint) {
    const checkpoint = decodeCheckpoint(cursor.payloadBytes(frame))
    sums.checkpointLsn = Math.max(sums.checkpointLsn, checkpoint?.lsn ?? 0)
  } else if (frame.type === frameTypes.seal || frame.type === frameTypes.cleanClose) {
    // A mark that was copied forward names a place in its old segment and ends nothing here.
    const mark = decodeEndMark(cursor.payloadBytes(frame))
    if (mark?.endOffset === cursor.end.offset && mark.lastLsn === frame.lsn - 1)
      sums.mark = frame.type === frameTypes.seal ? 'seal' : 'closed'
  }
}
