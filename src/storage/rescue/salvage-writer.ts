/**
 * Writes the segments of a salvaged log: frames in LSN order, in as many files as needed, each as
 * long as its frames. The header of a segment is written after its frames, when the length is
 * known. The segment exists after its sync and rename.
 */

import type { Clock } from '../../clock.ts'
import { attempt, writeAll } from '../disk/disk-failure.ts'
import { encodeEndMark } from '../frames/control-payload.ts'
import { frameBytes, frameTypes, roundUp } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { GroupEncoder } from '../frames/group-encoder.ts'
import { encodeSegmentHeader, noPredecessor, type SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { salvageSpareName, segmentName } from '../segments/log-folder.ts'
import type { LogSegment } from '../segments/segment-chain.ts'

/**
 * The layout of all segments, in bytes, and the features of their headers. `fileBytes`: a longer
 * file gets no further group.
 */
export type SalvageLayout = {
  readonly features: number
  readonly sectorBytes: number
  readonly payloadMax: number
  readonly fileBytes: number
}

/** The target of a salvage. */
export type SalvagePlace = { readonly disk: Disk; readonly clock: Clock; readonly dir: string }

/** The bytes gathered for one write. */
const groupBytes = 1024 * 1024

/** Writes one log. Call `abandon` after a failure. */
export class SalvageWriter {
  readonly #place: SalvagePlace
  readonly #layout: SalvageLayout
  readonly #encoder = new GroupEncoder()
  readonly #chain: LogSegment[] = []
  #header: SegmentHeader
  #file: DiskFile | undefined
  /** The end of the last added frame. */
  #end: FrameEnd
  /** The room left in the current group; negative without a group. */
  #room = -1

  /** The first frame gets the LSN `baseLsn`. */
  constructor(
    place: SalvagePlace,
    layout: SalvageLayout,
    log: Pick<SegmentHeader, 'walId' | 'epoch' | 'baseLsn'>,
  ) {
    this.#place = place
    this.#layout = layout
    const prev = { ...noPredecessor, lastLsn: log.baseLsn - 1 }
    this.#header = this.#newHeader({ ...log, seq: 1, prev })
    this.#end = segmentStart(this.#header)
  }

  /** Adds the frame of the next LSN. @throws DiskError */
  add(type: number, payload: Uint8Array): void {
    const size = frameBytes(payload.length)
    if (size > this.#room) {
      this.#writeGroup()
      if (this.#end.offset >= this.#layout.fileBytes) this.#finishSegment()
      this.#beginGroup(Math.max(size, groupBytes))
    }
    this.#encoder.add(type, payload)
    this.#end = this.#encoder.end
    this.#room -= size
  }

  /**
   * Ends the log with CLEAN_CLOSE and returns its segments. All of it is durable on return. @throws
   * DiskError
   */
  finish(): readonly LogSegment[] {
    this.#writeGroup()
    const lastLsn = this.#end.lsn
    const count = lastLsn + 1 - (this.#header.baseLsn - 1)
    const marked = (endOffset: number) => encodeEndMark({ lastLsn, count, endOffset })
    const size = frameBytes(marked(0).length)
    this.#beginGroup(size)
    this.add(frameTypes.cleanClose, marked(this.#encoder.nextOffset + size))
    this.#writeGroup()
    this.#finishSegment()
    return this.#chain
  }

  /** Closes the open file. Has no effect after `finish`. */
  abandon(): void {
    const file = this.#file
    this.#file = undefined
    if (file) attempt(() => file.close())
  }

  #beginGroup(capacity: number): void {
    const { salt, sectorBytes, baseLsn } = this.#header
    const whole = roundUp(capacity, sectorBytes)
    // Nothing of this file is synced yet; all frames before it are durable.
    this.#encoder.begin(this.#end, { salt, sectorBytes, durableLsn: baseLsn - 1 }, whole)
    this.#room = whole
  }

  #writeGroup(): void {
    if (this.#room < 0) return
    this.#room = -1
    const bytes = this.#encoder.finish()
    writeAll(this.#open(), bytes, this.#encoder.fileOffset, 'ENOSPC')
  }

  #open(): DiskFile {
    const { disk, dir } = this.#place
    this.#file ??= disk.open(pathIn(dir, salvageSpareName), 'create')
    return this.#file
  }

  #finishSegment(): void {
    const { disk, dir } = this.#place
    const file = this.#open()
    const header = {
      ...this.#header,
      allocatedBytes: roundUp(this.#end.offset, this.#header.sectorBytes),
    }
    writeAll(file, encodeSegmentHeader(header), 0, 'ENOSPC')
    file.sync()
    this.#file = undefined
    file.close()
    const name = segmentName(header.baseLsn, header.seq)
    disk.rename(pathIn(dir, salvageSpareName), pathIn(dir, name))
    disk.syncFolder(dir)
    const { offset: endOffset, lsn: lastLsn, crc: lastCrc } = this.#end
    this.#chain.push({ name, header, lastLsn, endOffset, lastCrc })
    const { walId, epoch, seq } = header
    const prev = { seq, lastLsn, endOffset, lastCrc }
    this.#header = this.#newHeader({ walId, epoch, seq: seq + 1, baseLsn: lastLsn + 1, prev })
    this.#end = segmentStart(this.#header)
  }

  #newHeader(
    facts: Pick<SegmentHeader, 'walId' | 'epoch' | 'seq' | 'baseLsn' | 'prev'>,
  ): SegmentHeader {
    const { clock } = this.#place
    const { sectorBytes, payloadMax, features } = this.#layout
    const salt = Buffer.from(clock.randomBytes(8))
    return {
      ...facts,
      salt: { low: salt.readUInt32LE(0), high: salt.readUInt32LE(4) },
      payloadMax,
      createdMs: clock.now(),
      allocatedBytes: 0,
      sectorBytes,
      features,
    }
  }
}
