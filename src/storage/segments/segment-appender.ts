/**
 * Appends to the current segment. Frames are gathered into one write of whole sectors. The write
 * position advances only after the whole write, and the durable position only after a sync. It
 * knows no other segments.
 */

import type { Clock } from '../../clock.ts'
import { encodeCheckpoint, encodeEndMark } from '../frames/control-payload.ts'
import { commitmentBytesMax, frameBytes, frameTypes, roundUp } from '../frames/frame.ts'
import type { FrameEnd } from '../frames/frame-cursor.ts'
import type { GroupEncoder } from '../frames/group-encoder.ts'
import { type SegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { groupLimit } from './log-limits.ts'
import type { LogSegment } from './segment-chain.ts'

/** An open segment and the end of its last frame. All frames up to there are durable. */
export type OpenSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly file: DiskFile
  readonly end: FrameEnd
}

const noBytes = new Uint8Array(0)

/** Appends to one segment. `encoder` is lent to it until the segment ends. */
export class SegmentAppender {
  readonly header: SegmentHeader
  readonly #name: string
  readonly #file: DiskFile
  readonly #clock: Clock
  readonly #encoder: GroupEncoder
  readonly #begin: FrameEnd
  #end: FrameEnd
  #durableLsn: number
  /** Bytes that each group leaves for the commitment at its end. */
  readonly #reservedBytes: number
  /** The last frame that is not a marker. */
  #contentLsn: number
  /**
   * The greatest LSN that synced bytes prove to be durable. `#claimedLsn`: the same for the last
   * write, which counts once it is synced.
   */
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
    this.#reservedBytes = header.chain?.commits ? frameBytes(commitmentBytesMax) : 0
    // The MANIFEST that names a segment proves all frames that it starts with.
    this.#contentLsn = end.lsn
    this.#provenLsn = end.lsn
    this.#claimedLsn = end.lsn
  }

  /** The end of the last written frame. */
  get end(): FrameEnd {
    return this.#end
  }

  /** The last synced LSN. */
  get durableLsn(): number {
    return this.#durableLsn
  }

  /**
   * Whether a marker is useful: there is a frame that nothing on the disk proves to be durable.
   * There is always room: groups end before the reserved sectors, and no marker follows a marker.
   * LSNs are reserved for closing.
   */
  get wantsMarker(): boolean {
    return this.#contentLsn > this.#provenLsn && this.#end.lsn + 4 < Number.MAX_SAFE_INTEGER
  }

  /** Whether nothing was written since the segment was opened. */
  get isUntouched(): boolean {
    return this.#end === this.#begin
  }

  /** Whether more than half of the segment is written. */
  get isHalfFull(): boolean {
    const written = this.#end.offset - segmentHeaderBytes
    return 2 * written > this.header.allocatedBytes - segmentHeaderBytes
  }

  /** The current state of the segment. */
  get segment(): LogSegment {
    const { offset: endOffset, lsn: lastLsn, crc: lastCrc } = this.#end
    return { name: this.#name, header: this.header, lastLsn, endOffset, lastCrc }
  }

  /**
   * The index of the first of `lengths`, from `from` on, that does not fit as part of one group.
   */
  firstThatDoesNotFit(lengths: ArrayLike<number>, from: number): number {
    const { allocatedBytes, sectorBytes } = this.header
    const limit = groupLimit(allocatedBytes, sectorBytes)
    let end = roundUp(this.#end.offset, sectorBytes) + this.#reservedBytes
    for (let at = from; at < lengths.length; at++) {
      end += frameBytes(lengths[at] ?? 0)
      if (roundUp(end, sectorBytes) > limit) return at
    }
    return lengths.length
  }

  /** Begins a write of DATA frames with these payload lengths, and of a few control frames. */
  begin(lengths: ArrayLike<number> = [], from = 0, to = lengths.length): void {
    const { salt, sectorBytes } = this.header
    let capacity = 4 * sectorBytes + this.#reservedBytes
    for (let at = from; at < to; at++) capacity += frameBytes(lengths[at] ?? 0)
    this.#encoder.begin(this.#end, { salt, sectorBytes, durableLsn: this.#durableLsn }, capacity)
  }

  /** Adds a DATA frame stamped with `time` and returns its LSN. */
  addData(source: Uint8Array, from: number, payloadBytes: number, time: number): number {
    return this.#encoder.addStamped(frameTypes.data, source, from, payloadBytes, time)
  }

  /** Adds the COMMITMENT to the group before it, as its last frame. */
  addCommitment(payload: Uint8Array): void {
    this.#encoder.add(frameTypes.commitment, payload)
  }

  /** Adds a CHECKPOINT as a separate group. */
  addCheckpoint(lsn: number, opaque: Uint8Array = noBytes): void {
    this.#encoder.endGroup()
    this.#encoder.add(frameTypes.checkpoint, encodeCheckpoint({ lsn, opaque }))
  }

  /**
   * Writes and syncs a marker, which proves everything that was durable before. @throws DiskError
   * as `write` and `sync`
   */
  mark(): void {
    const contentLsn = this.#contentLsn
    this.begin()
    this.#encoder.add(frameTypes.idle, noBytes)
    this.write()
    this.#contentLsn = contentLsn
    this.sync()
  }

  /** Adds SEAL or CLEAN_CLOSE as a separate group. */
  addEndMark(type: number): void {
    this.#encoder.endGroup()
    const lastLsn = this.#encoder.end.lsn
    const count = lastLsn + 1 - (this.header.baseLsn - 1)
    const marked = (endOffset: number) => encodeEndMark({ lastLsn, count, endOffset })
    this.#encoder.add(type, marked(this.#encoder.nextOffset + frameBytes(marked(0).length)))
  }

  /**
   * Writes the added frames and returns the number of bytes. @throws DiskError; the content of the
   * file is then unknown
   */
  write(): number {
    const bytes = this.#encoder.finish()
    if (bytes.length === 0) return 0
    writeAll(this.#file, bytes, this.#encoder.fileOffset)
    this.#end = this.#encoder.end
    this.#contentLsn = this.#end.lsn
    this.#claimedLsn = this.#durableLsn
    return bytes.length
  }

  /**
   * Syncs the written frames and returns the duration in ms, 0 if there was nothing to sync.
   * @throws DiskError as `write`
   */
  sync(): number {
    const file = this.unsynced
    if (!file) return 0
    const began = this.#clock.monotonic()
    file.sync()
    this.synced()
    return this.#clock.monotonic() - began
  }

  /** The file, if it has frames that were not synced. */
  get unsynced(): DiskFile | undefined {
    return this.#durableLsn === this.#end.lsn ? undefined : this.#file
  }

  /** Notes that the file was synced after the last write. */
  synced(): void {
    this.#durableLsn = this.#end.lsn
    this.#provenLsn = this.#claimedLsn
  }

  /** Notes that the MANIFEST proves all durable frames. */
  prove(): void {
    this.#provenLsn = this.#durableLsn
  }

  /** Frees the space after the last frame. Only allowed after a durable end mark. Needs no sync. */
  trim(): void {
    this.#file.truncate(this.#end.offset)
  }

  /** Closes the file. Disk errors are ignored: everything that counts is synced. */
  close(): void {
    attempt(() => this.#file.close())
  }
}
