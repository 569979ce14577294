/**
 * Checks that the segments of a folder form one log without a gap: numbers, LSNs, and each
 * segment's description of its predecessor. Also derives the next MANIFEST of a running log. Pure.
 */
import type { SegmentHeader } from '../frames/segment-header.ts'
import type { Manifest } from './manifest.ts'

/** A segment as described by its name and header. */
export type SegmentEntry = {
  readonly name: string
  /** The size of the file. */
  readonly size: number
  readonly header: SegmentHeader
}

/**
 * A segment of a running log. Its frames up to `lastLsn` are valid; bytes from `endOffset` on are
 * ignored.
 */
export type LogSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly lastLsn: number
  readonly endOffset: number
  readonly lastCrc: number
}

/** The error of a chain: the file and the evidence. */
export type Breach = { readonly name: string; readonly lsn: number; readonly evidence: string }

/** Why `segment` does not follow `before`; `undefined` if it does. */
export const findBreach = (before: SegmentEntry, { header }: SegmentEntry): string | undefined => {
  const { prev } = header
  if (header.seq !== before.header.seq + 1 || prev.seq !== before.header.seq)
    return `its predecessor has number ${before.header.seq}, but its header names ${prev.seq}`
  if (header.baseLsn !== prev.lastLsn + 1)
    return `its first lsn does not follow lsn ${prev.lastLsn}`
  if (prev.lastLsn < before.header.baseLsn - 1)
    return `its predecessor begins with lsn ${before.header.baseLsn}, but its header names ${prev.lastLsn} as its last`
  if (header.epoch < before.header.epoch)
    return 'its epoch is older than that of the segment before'
  if (before.size < prev.endOffset)
    return `its predecessor has ${before.size} bytes, but its header names ${prev.endOffset} as its end`
  return undefined
}

/** Compares the MANIFEST's newest segment with the segments in the folder. */
export const brokenPromise = (
  segments: readonly SegmentEntry[],
  { walId, newest, epoch }: Manifest,
): Breach | undefined => {
  const [first] = segments
  if (first && first.header.walId !== walId)
    return {
      name: first.name,
      lsn: first.header.baseLsn,
      evidence: 'MANIFEST belongs to another log',
    }
  if (newest.seq === 0) return undefined
  // The slot that named a later segment is lost, and this one was released since. The checkpoint
  // decides whether it may be missing.
  if (first && first.header.seq > newest.seq) return undefined
  const named = segments.find(({ header }) => header.seq === newest.seq)
  const breach = { name: named?.name ?? 'MANIFEST', lsn: newest.baseLsn }
  if (!named)
    return { ...breach, evidence: `MANIFEST names segment ${newest.seq}, which is missing` }
  const { baseLsn, salt } = named.header
  // A later epoch took the segment back while it was empty, and its own MANIFEST slot is lost.
  if (named.header.epoch > epoch) return undefined
  if (baseLsn !== newest.baseLsn || salt.low !== newest.salt.low || salt.high !== newest.salt.high)
    return { ...breach, evidence: 'it is not the file that MANIFEST names' }
  return undefined
}

/**
 * The segment that holds the frame after `lsn`, or will hold it: reading from that frame starts
 * there.
 */
const segmentAfter = <S extends { readonly header: SegmentHeader }>(
  segments: readonly S[],
  lsn: number,
): S | undefined => segments.findLast(({ header }) => header.baseLsn <= lsn + 1)

/** The MANIFEST of a log with these segments, the newest last, and these facts. */
export const manifestOf = (
  segments: readonly { readonly header: SegmentHeader }[],
  facts: Omit<Manifest, 'walId' | 'epoch' | 'newest' | 'checkpointSegment'>,
): Manifest => {
  const header = segments.at(-1)?.header
  if (!header) throw new RangeError('A MANIFEST names a segment')
  const { walId, epoch, seq, baseLsn, salt } = header
  const checkpointSegment = segmentAfter(segments, facts.checkpointLsn)?.header.seq ?? seq
  return { ...facts, walId, epoch, newest: { seq, baseLsn, salt }, checkpointSegment }
}
