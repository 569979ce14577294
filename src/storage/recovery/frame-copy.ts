/**
 * Copies frames that nothing proves to be durable into the first segment of a new life. LSN, type
 * and payload stay; salt, CRCs, predecessors and the durable LSN are new. It writes in groups of
 * bounded size. The file counts only from its rename on, so a partial copy is never taken for the
 * whole.
 */

import { writeAll } from '../disk/disk-failure.ts'
import { frameBytes, roundUp } from '../frames/frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { GroupEncoder } from '../frames/group-encoder.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'

/** The frames to copy: those of `segment` after `from`, up to `to`. */
export type FrameCopy = {
  readonly segment: SegmentEntry
  readonly from: FrameEnd
  readonly to: FrameEnd
}

/** The bytes gathered for one write; a single frame may be longer. */
const groupBytes = 1024 * 1024

/**
 * The greatest size of a copy in bytes. Two consecutive groups together exceed one group's size, so
 * there are few padding gaps.
 */
export const copyBytesMax = ({ from, to }: FrameCopy, sectorBytes: number): number => {
  const bytes = to.offset - from.offset
  return bytes + 2 * Math.floor(bytes / groupBytes) * sectorBytes
}

/**
 * Writes the copy into `file`, after the header of the segment that `header` describes, and returns
 * its end.
 * @throws KeelsonError `CORRUPT` if the frames differ from those of the inspection; DiskError
 */
export const copyFrames = (
  { disk, dir }: { readonly disk: Disk; readonly dir: string },
  { segment, from, to }: FrameCopy,
  header: SegmentHeader,
  file: DiskFile,
): FrameEnd => {
  const groups = new GroupedFrames(file, header)
  const source = disk.open(pathIn(dir, segment.name), 'read')
  try {
    const cursor = new FrameCursor(source, segment.header, from, to.offset)
    for (let frame = cursor.next(); frame; frame = cursor.next())
      groups.add(frame.type, cursor.payloadBytes(frame))
    const { offset, lsn, crc } = cursor.end
    if (lsn !== to.lsn || crc !== to.crc) {
      const evidence = 'the inspection saw a whole frame here'
      throw corruption({ file: segment.name, offset, lsn: lsn + 1, evidence })
    }
  } finally {
    source.close()
  }
  return groups.finish()
}

/** Writes frames, group by group, into a file that has no readers yet. */
class GroupedFrames {
  readonly #file: DiskFile
  readonly #header: SegmentHeader
  readonly #encoder = new GroupEncoder()
  /** The end of the last written group. */
  #end: FrameEnd
  /** The room left in the current group; negative without a group. */
  #room = -1

  constructor(file: DiskFile, header: SegmentHeader) {
    this.#file = file
    this.#header = header
    this.#end = segmentStart(header)
  }

  add(type: number, payload: Uint8Array): void {
    const size = frameBytes(payload.length)
    if (size > this.#room) this.#begin(Math.max(size, groupBytes))
    this.#encoder.add(type, payload)
    this.#room -= size
  }

  finish(): FrameEnd {
    if (this.#room >= 0) {
      writeAll(this.#file, this.#encoder.finish(), this.#encoder.fileOffset)
      this.#end = this.#encoder.end
    }
    this.#room = -1
    return this.#end
  }

  #begin(capacity: number): void {
    const { salt, sectorBytes, baseLsn } = this.#header
    const end = this.finish()
    this.#room = roundUp(capacity, sectorBytes)
    // Nothing of this file is synced before all of it is written; all frames before it are durable.
    this.#encoder.begin(end, { salt, sectorBytes, durableLsn: baseLsn - 1 }, this.#room)
  }
}
