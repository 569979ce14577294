/**
 * Copies frames that nothing proves to be durable into the segment with which a life begins. LSN, type and payload stay;
 * salt, CRCs, predecessors and what is known to be durable are new. It goes in groups of bounded size, whatever there is to
 * copy: the file counts only from its rename on, so that no part of it can be taken for the whole.
 */

import { writeAll } from '../disk/disk-failure.ts'
import { frameBytes, roundUp } from '../frames/frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { GroupEncoder } from '../frames/group-encoder.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'

/** What to copy: the frames of `segment` behind `from`, up to `to`. */
export type FrameCopy = {
  readonly segment: SegmentEntry
  readonly from: FrameEnd
  readonly to: FrameEnd
}

/** How much is gathered before it is written; a frame may be longer. */
const groupBytes = 1024 * 1024

/** No copy takes more bytes than this: two groups that follow each other hold more than one could, so there are few gaps. */
export const copyBytesMax = ({ from, to }: FrameCopy, sectorBytes: number): number => {
  const bytes = to.offset - from.offset
  return bytes + 2 * Math.floor(bytes / groupBytes) * sectorBytes
}

/**
 * Writes the copy behind the header of the segment that `header` describes, into `file`, and answers where it ends.
 * @throws KeelsonError `CORRUPT` when the frames are not what the inspection saw; DiskError.
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

/** The frames of a file that nobody reads yet, written group by group. */
class GroupedFrames {
  readonly #file: DiskFile
  readonly #header: SegmentHeader
  readonly #encoder = new GroupEncoder()
  /** The end of the last group that was written. */
  #end: FrameEnd
  /** Room left in the group that is being gathered; negative without one. */
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
    // Of this file nothing is synced before all of it is written; all before it is.
    this.#encoder.begin(end, { salt, sectorBytes, durableLsn: baseLsn - 1 }, this.#room)
  }
}
