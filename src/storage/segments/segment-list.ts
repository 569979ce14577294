/**
 * Finds the segments in a folder and reads their headers. Changes nothing. An unknown file with the
 * extension of a segment is refused, because its content is unknown. A newest segment with a
 * damaged header may be set aside if the MANIFEST proves that it was never used.
 */

import { decodeSegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import { type Disk, type DiskEntry, pathIn } from '../ports/disk.ts'
import { corruption, unsupported } from './log-errors.ts'
import { parseSegmentName } from './log-folder.ts'
import type { ManifestReading } from './manifest.ts'
import type { SegmentEntry } from './segment-chain.ts'

/** The segments sorted by number, a file to set aside, and remarks about oddities. */
export type SegmentList = {
  readonly segments: readonly SegmentEntry[]
  readonly setAside: readonly string[]
  readonly remarks: readonly string[]
}

type NamedSegment = { readonly name: string; readonly baseLsn: number; readonly seq: number }

/** Lists the log in `dir`. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`. */
export const listSegments = (disk: Disk, dir: string, manifest: ManifestReading): SegmentList => {
  const named = sortedNames(disk.entry(dir) ? disk.list(dir) : [])
  const segments: SegmentEntry[] = []
  const setAside: string[] = []
  const remarks: string[] = []
  for (const [index, segment] of named.entries()) {
    const entry = readEntry(disk, dir, segment, remarks)
    if (entry) segments.push(entry)
    else if (index === named.length - 1 && wasNeverUsed(segment, named, manifest)) {
      setAside.push(segment.name)
      remarks.push(`${segment.name} has no readable header and was never used; it is set aside`)
    } else throw damaged(segment, 'both copies of its header are damaged')
  }
  return { segments, setAside, remarks }
}

/** The kind of a directory entry, in words. */
export const foundAs = (kind: DiskEntry['kind'] | undefined): string =>
  kind === undefined ? 'a link to nothing' : kind === 'folder' ? 'a folder' : 'something else'

const damaged = ({ name, baseLsn }: NamedSegment, evidence: string) =>
  corruption({ file: name, offset: 0, lsn: baseLsn, evidence })

const sortedNames = (names: readonly string[]): NamedSegment[] => {
  const named = names
    .filter((name) => name.endsWith('.wal'))
    .map((name) => ({ name, ...(parseSegmentName(name) ?? { baseLsn: 0, seq: 0 }) }))
    .sort((a, b) => a.seq - b.seq)
  for (const [index, segment] of named.entries()) {
    if (segment.seq === 0) throw damaged(segment, 'its name is not one that this log gives')
    const twin = named[index - 1]
    if (twin?.seq === segment.seq) throw damaged(segment, `${twin.name} has the same number`)
  }
  return named
}

const readEntry = (
  disk: Disk,
  dir: string,
  { name, baseLsn, seq }: NamedSegment,
  remarks: string[],
): SegmentEntry | undefined => {
  const kind = disk.entry(pathIn(dir, name))?.kind
  if (kind !== 'file')
    throw damaged({ name, baseLsn, seq }, `expected a file, found ${foundAs(kind)}`)
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const block = new Uint8Array(segmentHeaderBytes)
    const reading = decodeSegmentHeader(block.subarray(0, file.read(block, 0)))
    if (reading.kind === 'damaged') return undefined
    if (reading.kind === 'unsupported') throw unsupported(name, reading)
    const { header } = reading
    if (header.seq !== seq || header.baseLsn !== baseLsn)
      throw damaged({ name, baseLsn, seq }, 'its header is that of another segment')
    if (reading.damagedCopies === 1) remarks.push(`${name} has one damaged copy of its header`)
    return { name, size: file.size(), header }
  } finally {
    file.close()
  }
}

/**
 * The MANIFEST names a segment before anything in it is acknowledged. So a segment after the newest
 * named one holds no acknowledged frame. With a damaged slot it is unknown whether this is the
 * newest named segment.
 */
const wasNeverUsed = (
  segment: NamedSegment,
  named: readonly NamedSegment[],
  { manifest, damagedSlots }: ManifestReading,
): boolean =>
  manifest !== undefined &&
  damagedSlots === 0 &&
  manifest.newest.seq < segment.seq &&
  named.some(({ seq }) => seq === manifest.newest.seq)
