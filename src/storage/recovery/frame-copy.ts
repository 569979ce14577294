/**
 * Copies frames that nothing proves to be durable into the first segment of a new life. LSN, type
 * and payload stay; salt, CRCs, predecessors and the durable LSN are new. It writes in groups of
 * bounded size. The file counts only from its rename on, so a partial copy is never taken for the
 * whole.
 */

import { writeAll } from '../disk/disk-failure.ts'
import type { FrameEnd } from '../frames/frame-cursor.ts'
import { walkFrames } from '../frames/frame-walk.ts'
import { GroupedFrames, groupBytes } from '../frames/grouped-frames.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'

/** The frames to copy: those of `segment` after `from`, up to `to`. */
export type FrameCopy = {
  readonly segment: SegmentEntry
  readonly from: FrameEnd
  readonly to: FrameEnd
}

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
  const groups = new GroupedFrames(header, (bytes, at) => writeAll(file, bytes, at))
  const { name, header: facts } = segment
  const end = walkFrames(disk, dir, { name, header: facts, from, to }, (frame, cursor) =>
    groups.add(frame.type, cursor.payloadBytes(frame)),
  )
  if (end.lsn !== to.lsn || end.crc !== to.crc) {
    const evidence = 'the inspection saw a whole frame here'
    throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
  }
  return groups.finish()
}
