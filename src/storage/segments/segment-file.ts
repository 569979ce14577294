/**
 * Makes segments of spares, whose space is allocated (`spare-file.ts`). The segment exists from its
 * rename on, with its header and perhaps its first groups, synced.
 */

import { encodeSegmentHeader, type SegmentHeader } from '../frames/segment-header.ts'
import { type DiskFile, type DiskFolder, pathIn } from '../ports/disk.ts'
import { writeAll } from '../ports/disk-failure.ts'
import { segmentName } from './log-folder.ts'

/** How a spare becomes a segment: `fill` writes the first frames after the header. */
export type Installation = {
  readonly header: SegmentHeader
  readonly fill?: (file: DiskFile) => void
}

/**
 * Makes the open file of a spare the segment that `header` describes, and returns its name. The
 * file stays open, so a lack of descriptors cannot fail it half way. Everything is durable on
 * return. Any failure is final for the caller.
 */
export const installSegment = (
  { dir, folder }: OpenFolder,
  spare: DiskFile,
  { header, fill }: Installation,
): string => {
  fill?.(spare)
  writeAll(spare, encodeSegmentHeader(header), 0)
  spare.sync()
  const name = segmentName(header.baseLsn, header.seq)
  spare.rename(pathIn(dir, name))
  folder.sync()
  return name
}

/** A folder that is open for syncs of its names. */
export type OpenFolder = { readonly dir: string; readonly folder: DiskFolder }
