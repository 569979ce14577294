/**
 * Writes frames, group by group, into a file that has no readers yet. Nothing of the file is synced
 * before all of it is written, and all frames before it are durable.
 */
import { frameBytes, roundUp } from './frame.ts'
import { type FrameEnd, segmentStart } from './frame-cursor.ts'
import { GroupEncoder } from './group-encoder.ts'
import type { SegmentHeader } from './segment-header.ts'

/** The bytes gathered for one write; a single frame may be longer. */
export const groupBytes = 1024 * 1024

/** The frames of one new segment. */
export class GroupedFrames {
  readonly #header: SegmentHeader
  readonly #write: (bytes: Uint8Array, offset: number) => void
  readonly #encoder = new GroupEncoder()
  #end: FrameEnd
  /** The room left in the current group; negative without a group. */
  #room = -1

  /** `write` gets the bytes of each group, and their place in the file. */
  constructor(header: SegmentHeader, write: (bytes: Uint8Array, offset: number) => void) {
    this.#header = header
    this.#write = write
    this.#end = segmentStart(header)
  }

  /** The end of the last frame that was added. */
  get end(): FrameEnd {
    return this.#end
  }

  /** Whether the next frame begins another group. */
  begins(payloadBytes: number): boolean {
    return frameBytes(payloadBytes) > this.#room
  }

  /** Adds the frame of the next LSN. @throws DiskError */
  add(type: number, payload: Uint8Array): void {
    const size = frameBytes(payload.length)
    if (this.begins(payload.length)) {
      this.finish()
      const { salt, sectorBytes, baseLsn } = this.#header
      this.#room = roundUp(Math.max(size, groupBytes), sectorBytes)
      this.#encoder.begin(this.#end, { salt, sectorBytes, durableLsn: baseLsn - 1 }, this.#room)
    }
    this.#encoder.add(type, payload)
    this.#end = this.#encoder.end
    this.#room -= size
  }

  /** Writes the current group, and returns the end of the last frame. @throws DiskError */
  finish(): FrameEnd {
    if (this.#room >= 0) this.#write(this.#encoder.finish(), this.#encoder.fileOffset)
    this.#room = -1
    return this.#end
  }
}
