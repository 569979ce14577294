/**
 * Walks the frames of a segment in order, verifying each: its CRCs, that its LSN follows, that it names its predecessor.
 * It reads ahead in a window of bounded size and never believes a length before its header's CRC held. It says
 * where and why it stopped, and judges nothing: whether a bad frame is a torn tail is for the recovery to say.
 */
import type { DiskFile } from '../ports/disk.ts'
import { decodeCheckpoint, decodeEndMark, readStamp } from './control-payload.ts'
import {
  emptyFrameHeader,
  type FrameBuffer,
  type FrameHeader,
  frameBuffer,
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

/** What a cursor has to know of a segment. */
export type SegmentFacts = {
  readonly salt: Salt
  readonly sectorBytes: number
  readonly payloadMax: number
}

/**
 * Why a cursor stopped: nothing more fits before the limit; what stands there is no next frame; it is one that only a
 * newer version can read.
 */
export type Stop = 'end' | 'bad' | 'unsupported'

/** How much is read at once, unless something else is said: larger windows leave the processor's cache, and no faster a disk. */
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
  #window: FrameBuffer = frameBuffer(new Uint8Array(0))
  #windowAt = 0
  #windowSize = 0
  /** Where the present frame stands in the window. */
  #frameIndex = 0
  /** The end of the last frame, as three numbers: an object for each frame costs as much as reading its header. */
  #endOffset: number
  #endLsn: number
  #endCrc: number
  #frameOffset: number
  /** The one header that every frame's is read into. */
  readonly #header = emptyFrameHeader()
  #mayRead = true
  #stop: Stop = 'end'
  #unreadable: FrameHeader | undefined

  /** Walks from `from` on, over frames that end at or before `limit`. `windowBytes` are read at once, or the frame when it is longer. */
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

  /** The end of the last frame that was walked over. */
  get end(): FrameEnd {
    return { offset: this.#endOffset, lsn: this.#endLsn, crc: this.#endCrc }
  }

  /** Where the present frame begins. */
  get frameOffset(): number {
    return this.#frameOffset
  }

  /** Why `next` answered `undefined`. */
  get stop(): Stop {
    return this.#stop
  }

  /** The frame that stopped an `unsupported` walk. */
  get unreadable(): FrameHeader | undefined {
    return this.#unreadable
  }

  /** The present frame's buffer and where its payload stands in it; valid until the next `next`. */
  get payload(): { readonly buffer: FrameBuffer; readonly at: number } {
    return { buffer: this.#window, at: this.#frameIndex + frameHeaderBytes }
  }

  /** The present frame's payload as a part of the window; valid until the next `next`. */
  payloadBytes(header: FrameHeader): Uint8Array {
    const { buffer, at } = this.payload
    return buffer.bytes.subarray(at, at + header.payloadBytes)
  }

  /**
   * The next frame, or `undefined` where the walk stops. The answer is valid until the next `next`, which reads another
   * header into it. A group begins on a sector, so after the last frame of a group
   * the next one stands at the following boundary; what fills the gap is nobody's, and is not looked at.
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
   * The next frame when all of it was read already, else `undefined`, and `next` will say why: frames that were walked over stay
   * where they are in the window.
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
      this.#unreadable = { ...header }
      return undefined
    }
    this.#frameOffset = at
    this.#frameIndex = at - this.#windowAt
    this.#endOffset = at + frameBytes(header.payloadBytes)
    this.#endLsn = header.lsn
    this.#endCrc = header.headerCrc
    return header
  }

  /** The whole frame at `at` that follows the last one, if there is one; `leads`: it may be the first of a group. */
  #frameAt(at: number, leads: boolean): FrameHeader | undefined {
    if (!this.#load(at, frameHeaderBytes)) return undefined
    const { salt, payloadMax } = this.#facts
    const header = readFrameHeader(this.#window, at - this.#windowAt, salt, this.#header)
    if (!header || header.lsn !== this.#endLsn + 1 || header.prevCrc !== this.#endCrc) return
    // Between boundaries nothing begins a group; behind padding nothing else stands.
    const isLeader = (header.flags & groupFlag) !== 0
    if (isLeader ? !leads : at !== this.#endOffset) return undefined
    if (header.payloadBytes > payloadMax) return undefined
    if (!this.#load(at, frameBytes(header.payloadBytes))) return undefined
    return payloadIsWhole(this.#window, at - this.#windowAt, header, salt) ? header : undefined
  }

  /** Brings `length` bytes from `offset` on into the window; false when they are not all before the limit. */
  #load(offset: number, length: number): boolean {
    const end = offset + length
    if (end > this.#limit) return false
    if (offset >= this.#windowAt && end <= this.#windowAt + this.#windowSize) return true
    if (!this.#mayRead) return false
    const wanted = Math.min(Math.max(length, this.#windowBytes), this.#limit - offset)
    if (this.#window.bytes.length < wanted) this.#window = frameBuffer(new Uint8Array(wanted))
    const into = this.#window.bytes.subarray(0, wanted)
    this.#windowAt = offset
    this.#windowSize = this.#file.read(into, offset)
    return length <= this.#windowSize
  }
}

// What whole frames say of the log that they stand in: how far it was durable, its checkpoint, its time, and whether it ends in
// order. One rule for recovery, which stops at damage, and for the verifier, which goes on behind it.

/** What the frames so far said. */
export type FrameSums = {
  /** The greatest stamp of a DATA frame; 0 without one. */
  lastTime: number
  /** The greatest LSN that a CHECKPOINT names; 0 without one. */
  checkpointLsn: number
  /** The greatest LSN that a frame proves to have been durable. */
  provenLsn: number
  /** The last frame is SEAL or CLEAN_CLOSE, at the place that it names. */
  mark: 'none' | 'seal' | 'closed'
}

/** Before the first frame. */
export const noSums = (): FrameSums => ({
  lastTime: 0,
  checkpointLsn: 0,
  provenLsn: 0,
  mark: 'none',
})

/** Adds the frame that `cursor` has just passed. */
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
    // A copied mark names a place in the segment that it was copied from, and ends nothing here.
    const mark = decodeEndMark(cursor.payloadBytes(frame))
    if (mark?.endOffset === cursor.end.offset && mark.lastLsn === frame.lsn - 1)
      sums.mark = frame.type === frameTypes.seal ? 'seal' : 'closed'
  }
}
