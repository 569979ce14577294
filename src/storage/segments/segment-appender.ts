/**
 * The segment that is being written. Frames are gathered into one write of whole sectors; where the segment stands moves
 * on only when all of it was taken, and what is durable only when a sync returned. It knows nothing of other segments.
 */

import type { Clock } from '../../clock.ts'
import { attempt, writeAll } from '../disk/disk-failure.ts'
import { encodeCheckpoint, encodeEndMark } from '../frames/control-payload.ts'
import { frameBytes, frameTypes, roundUp } from '../frames/frame.ts'
import type { FrameEnd } from '../frames/frame-cursor.ts'
import type { GroupEncoder } from '../frames/group-encoder.ts'
import { type SegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'
import { groupLimit } from './log-limits.ts'
import type { LogSegment } from './segment-chain.ts'

/** A segment's open file, and the end of the last frame in it; all up to there is durable. */
export type OpenSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly file: DiskFile
  readonly end: FrameEnd
}

const noBytes = new Uint8Array(0)

/** Appends to one segment. `encoder` is lent for the segment's life. */
export class SegmentAppender {
  readonly header: SegmentHeader
  readonly #name: string
  readonly #file: DiskFile
  readonly #clock: Clock
  readonly #encoder: GroupEncoder
  readonly #begin: FrameEnd
  #end: FrameEnd
  #durableLsn: number
  /** The last frame that is no marker. */
  #contentLsn: number
  /** Up to here something that is synced says that frames are durable; and what the last write says of it, once synced. */
  #provenLsn: number
  #claimedLsn: number

  constructor({ name, header, file, end }: OpenSegment, encoder: GroupEncoder, clock: Clock) {
    this.header = header
    this.#name = name
    this.#file = file
    this.#clock = clock
    this.#encoder = encoder
    this.#begin = end
    this.#end = end
    this.#durableLsn = end.lsn
    // The MANIFEST that names a segment speaks for all that it begins with.
    this.#contentLsn = end.lsn
    this.#provenLsn = end.lsn
    this.#claimedLsn = end.lsn
  }

  /** The end of the last frame that was written. */
  get end(): FrameEnd {
    return this.#end
  }

  /** Up to here frames are synced. */
  get durableLsn(): number {
    return this.#durableLsn
  }

  /**
   * Whether a marker is worth its write: something is there that nothing on the disk proves to be durable. There is room:
   * groups end before the sectors that are kept free, and no marker follows a marker. Numbers are kept for closing.
   */
  get wantsMarker(): boolean {
    return this.#contentLsn > this.#provenLsn && this.#end.lsn + 4 < Number.MAX_SAFE_INTEGER
  }

  /** Whether nothing was written since the segment was begun. */
  get isUntouched(): boolean {
    return this.#end === this.#begin
  }

  /** Whether more than half of its room is written. */
  get isHalfFull(): boolean {
    const written = this.#end.offset - segmentHeaderBytes
    return 2 * written > this.header.allocatedBytes - segmentHeaderBytes
  }

  /** The segment as it is now. */
  get segment(): LogSegment {
    const { offset: endOffset, lsn: lastLsn, crc: lastCrc } = this.#end
    return { name: this.#name, header: this.header, lastLsn, endOffset, lastCrc }
  }

  /** The first of `lengths`, from the given index on, that does not fit any more as part of one group. */
  firstThatDoesNotFit(lengths: ArrayLike<number>, from: number): number {
    const { allocatedBytes, sectorBytes } = this.header
    const limit = groupLimit(allocatedBytes, sectorBytes)
    let end = roundUp(this.#end.offset, sectorBytes)
    for (let at = from; at < lengths.length; at++) {
      end += frameBytes(lengths[at] ?? 0)
      if (roundUp(end, sectorBytes) > limit) return at
    }
    return lengths.length
  }

  /** Begins a write of DATA frames with payloads of these lengths, and of a few frames of the log's own. */
  begin(lengths: ArrayLike<number> = [], from = 0, to = lengths.length): void {
    const { salt, sectorBytes } = this.header
    let capacity = 4 * sectorBytes
    for (let at = from; at < to; at++) capacity += frameBytes(lengths[at] ?? 0)
    this.#encoder.begin(this.#end, { salt, sectorBytes, durableLsn: this.#durableLsn }, capacity)
  }

  /** Adds a DATA frame, stamped with `time`, and answers its LSN. */
  addData(source: Uint8Array, from: number, payloadBytes: number, time: number): number {
    return this.#encoder.addStamped(frameTypes.data, source, from, payloadBytes, time)
  }

  /** Adds a CHECKPOINT as a group of its own. */
  addCheckpoint(lsn: number, opaque: Uint8Array = noBytes): void {
    this.#encoder.endGroup()
    this.#encoder.add(frameTypes.checkpoint, encodeCheckpoint({ lsn, opaque }))
  }

  /** Writes and syncs a marker; what was durable before is proven after it. @throws DiskError, as `write` and `sync`. */
  mark(): void {
    const contentLsn = this.#contentLsn
    this.begin()
    this.#encoder.add(frameTypes.idle, noBytes)
    this.write()
    this.#contentLsn = contentLsn
    this.sync()
  }

  /** Adds SEAL or CLEAN_CLOSE as a group of its own. */
  addEndMark(type: number): void {
    this.#encoder.endGroup()
    const lastLsn = this.#encoder.end.lsn
    const count = lastLsn + 1 - (this.header.baseLsn - 1)
    const marked = (endOffset: number) => encodeEndMark({ lastLsn, count, endOffset })
    this.#encoder.add(type, marked(this.#encoder.nextOffset + frameBytes(marked(0).length)))
  }

  /** Writes what was added; answers how many bytes. @throws DiskError, and then nobody knows what the file holds. */
  write(): number {
    const bytes = this.#encoder.finish()
    if (bytes.length === 0) return 0
    writeAll(this.#file, bytes, this.#encoder.fileOffset)
    this.#end = this.#encoder.end
    this.#contentLsn = this.#end.lsn
    this.#claimedLsn = this.#durableLsn
    return bytes.length
  }

  /** Syncs what was written; answers the milliseconds, 0 when there was nothing. @throws DiskError, as `write`. */
  sync(): number {
    if (this.#durableLsn === this.#end.lsn) return 0
    const began = this.#clock.monotonic()
    this.#file.sync()
    this.#durableLsn = this.#end.lsn
    this.#provenLsn = this.#claimedLsn
    return this.#clock.monotonic() - began
  }

  /** The MANIFEST says that all that is durable is. */
  prove(): void {
    this.#provenLsn = this.#durableLsn
  }

  /** Gives back the space behind the last frame. Only behind an end mark that is durable; needs no sync. */
  trim(): void {
    this.#file.truncate(this.#end.offset)
  }

  /** Closes the file; what the disk says of it comes too late to matter. */
  close(): void {
    attempt(() => this.#file.close())
  }
}
