/** What the MANIFEST of a running log says next. Pure. */
import type { Manifest } from './manifest.ts'
import { segmentAfter } from './segment-chain.ts'
import type { SegmentHeader } from './segment-header.ts'

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
