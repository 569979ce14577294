/**
 * Whether the segments in a folder are one log without a gap: numbers, LSNs, and what each says of the one before. Pure.
 */
import type { SegmentHeader } from '../frames/segment-header.ts'
import type { Manifest } from './manifest.ts'

/** A segment as its name and header describe it. */
export type SegmentEntry = {
  readonly name: string
  /** Size of the file. */
  readonly size: number
  readonly header: SegmentHeader
}

/** A segment of a running log. Frames are good from its first to `lastLsn`; what lies from `endOffset` on is nobody's. */
export type LogSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly lastLsn: number
  readonly endOffset: number
  readonly lastCrc: number
}

/** What is wrong with a chain: the file at fault and why. */
export type Breach = { readonly name: string; readonly lsn: number; readonly evidence: string }

/** The first breach in segments that are sorted by number, or `undefined`. */
export const findBreach = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
): Breach | undefined => {
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1]
    const evidence = before ? misfit(before, segment) : undefined
    if (evidence) return { name: segment.name, lsn: segment.header.baseLsn, evidence }
  }
  return manifest && brokenPromise(segments, manifest)
}

const misfit = (before: SegmentEntry, { header }: SegmentEntry): string | undefined => {
  const { prev } = header
  if (header.walId !== before.header.walId)
    return 'it belongs to another log than the segment before'
  if (header.seq !== before.header.seq + 1 || prev.seq !== before.header.seq)
    return `the segment before is number ${before.header.seq}, and it names ${prev.seq}`
  if (header.baseLsn !== prev.lastLsn + 1) return `it does not begin after lsn ${prev.lastLsn}`
  if (prev.lastLsn < before.header.baseLsn - 1)
    return `the segment before begins with lsn ${before.header.baseLsn}, and it names ${prev.lastLsn} as its last`
  if (header.epoch < before.header.epoch)
    return 'its epoch is older than that of the segment before'
  if (before.size < prev.endOffset)
    return `the segment before has ${before.size} bytes, and it names ${prev.endOffset} as its end`
  return undefined
}

/** What the MANIFEST says of the newest segment, against the segments that are there. */
export const brokenPromise = (
  segments: readonly SegmentEntry[],
  { walId, newest, epoch }: Manifest,
): Breach | undefined => {
  const [first] = segments
  if (first && first.header.walId !== walId)
    return { name: first.name, lsn: first.header.baseLsn, evidence: 'MANIFEST is of another log' }
  if (newest.seq === 0) return undefined
  // The slot that named a later one is lost, and this one was released since: whether it may be missing, the checkpoint decides.
  if (first && first.header.seq > newest.seq) return undefined
  const named = segments.find(({ header }) => header.seq === newest.seq)
  const breach = { name: named?.name ?? 'MANIFEST', lsn: newest.baseLsn }
  if (!named)
    return { ...breach, evidence: `MANIFEST names segment ${newest.seq}, which is missing` }
  const { baseLsn, salt } = named.header
  // A later epoch took the segment back while it was empty, and its own MANIFEST slot is the one that is lost.
  if (named.header.epoch > epoch) return undefined
  if (baseLsn !== newest.baseLsn || salt.low !== newest.salt.low || salt.high !== newest.salt.high)
    return { ...breach, evidence: 'it is not the file that MANIFEST names' }
  return undefined
}

/** The segment that holds the frame after `lsn`, or would: where reading from there on begins. */
export const segmentAfter = <S extends { readonly header: SegmentHeader }>(
  segments: readonly S[],
  lsn: number,
): S | undefined => segments.findLast(({ header }) => header.baseLsn <= lsn + 1)

// What the MANIFEST of a running log says next. Pure.

/** What of a running log the MANIFEST repeats. */
export type ManifestFacts = Pick<Manifest, 'recoveredLsn' | 'checkpointLsn' | 'lastTime'> & {
  /** All segments, the newest last. */
  readonly segments: readonly { readonly header: SegmentHeader }[]
  readonly newest: SegmentHeader
  readonly cleanClose?: Manifest['cleanClose']
}

/** The state that follows `before` in the file. */
export const manifestAfter = (before: Manifest, facts: ManifestFacts): Manifest => {
  const { segments, newest, recoveredLsn, checkpointLsn, lastTime, cleanClose } = facts
  const { walId, epoch, seq, baseLsn, salt } = newest
  return {
    generation: before.generation + 1,
    walId,
    epoch,
    newest: { seq, baseLsn, salt },
    recoveredLsn,
    checkpointLsn,
    checkpointSegment: segmentAfter(segments, checkpointLsn)?.header.seq ?? seq,
    lastTime,
    ...(cleanClose ? { cleanClose } : {}),
  }
}
