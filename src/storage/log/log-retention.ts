/**
 * Decides which segments may be removed: whole segments that nothing needs, oldest first; and which
 * snapshots stay. Measures how much of a log lies after an LSN. Pure.
 */
import type { LogRetention } from '../ports/log-host.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { snapshotsMax } from '../segments/manifest.ts'
import type { LogSegment } from '../segments/segment-chain.ts'

/** The segments of `sealed`, oldest first, that hold no frame beyond any of `limits`. Pure. */
export const releasable = (
  sealed: readonly LogSegment[],
  ...limits: readonly number[]
): readonly LogSegment[] => {
  const limit = Math.min(...limits)
  const kept = sealed.findIndex(({ lastLsn }) => lastLsn > limit)
  return sealed.slice(0, kept < 0 ? sealed.length : kept)
}

/** How a log was opened, and how long it has been open. */
export type LogOpening = {
  /** The first segment of this opening. */
  readonly seq: number
  /** The reading of the machine's clock then. */
  readonly openedMs: number
  /** The last time stamp from before. */
  readonly lastTime: number
  /** The time since, by the monotonic clock. */
  readonly elapsedMs: number
}

/**
 * The last LSN that `retention` does not keep; the LSN before the first if it keeps every segment. The
 * frames of a segment are older than the segments after it.
 */
export const retentionEnd = (
  segments: readonly LogSegment[],
  { ms = 0, bytes = 0 }: LogRetention,
  opening: LogOpening,
): number => {
  const ages = agesOf(segments, opening)
  let behind = segments.reduce((sum, { endOffset }) => sum + endOffset, 0)
  let end = (segments[0]?.header.baseLsn ?? 1) - 1
  for (const [index, { endOffset, lastLsn }] of segments.entries()) {
    behind -= endOffset
    const age = ages[index + 1]
    if (age === undefined || age < ms || behind < bytes) break
    end = lastLsn
  }
  return end
}

/**
 * How old each segment is at least. No single reading of the machine's clock makes one old: a removed
 * log does not come back when the clock is right again. Since the opening the monotonic clock counts.
 * The time between the last stamp and the opening is that one reading, so it counts from the next
 * opening on. A segment whose clock was off says nothing, and is as old as the one after it: one that
 * was made later than the opening, or earlier than the segments before it.
 */
const agesOf = (
  segments: readonly LogSegment[],
  { seq, openedMs, lastTime, elapsedMs }: LogOpening,
): readonly number[] => {
  const lastMs = Math.min(openedMs, lastTime)
  let newestMs = 0
  const shown = segments.map(({ header: { seq: own, createdMs } }) => {
    if (own >= seq) return openedMs + elapsedMs - createdMs
    if (createdMs > openedMs || createdMs < newestMs) return undefined
    newestMs = createdMs
    return elapsedMs + Math.max(0, lastMs - createdMs)
  })
  return shown.reduceRight<number[]>((ages, age, at) => {
    ages[at] = age ?? ages[at + 1] ?? 0
    return ages
  }, [])
}

/**
 * Which of `named`, oldest first, stay named: the newest `keep`, the newest that is not beyond
 * `retainedEnd`, and those between. From that one on the log leads back to any moment that is
 * kept. If they are too many, one goes whose neighbours are closest together, so that those left
 * stay evenly spread and the oldest can follow the retention.
 */
export const keptSnapshots = (
  named: readonly NamedSnapshot[],
  keep: number,
  retainedEnd: number,
): readonly NamedSnapshot[] => {
  const base = Math.max(
    0,
    named.findLastIndex(({ lsn }) => lsn <= retainedEnd),
  )
  const kept = named.slice(Math.max(0, Math.min(base, named.length - keep)))
  while (kept.length > snapshotsMax) kept.splice(mostCrowded(kept, keep), 1)
  return kept
}

/**
 * The index of the snapshot to give up: neither the oldest nor one of the newest `keep`, if any.
 */
const mostCrowded = (kept: readonly NamedSnapshot[], keep: number): number => {
  const gap = (index: number): number => (kept[index + 1]?.lsn ?? 0) - (kept[index - 1]?.lsn ?? 0)
  let least = 0
  for (let index = 1; index < kept.length - keep; index++)
    if (least === 0 || gap(index) < gap(least)) least = index
  return least
}

/**
 * The bytes of the frames after `lsn`. Exact at the borders of segments; inside a segment, frames
 * count as equally long.
 */
export const bytesAfter = (
  segments: readonly Pick<LogSegment, 'header' | 'lastLsn' | 'endOffset'>[],
  lsn: number,
): number => {
  let bytes = 0
  for (const { header, lastLsn, endOffset } of segments) {
    const frames = lastLsn - header.baseLsn + 1
    const after = Math.min(frames, Math.max(0, lastLsn - lsn))
    if (frames > 0) bytes += Math.round((endOffset * after) / frames)
  }
  return bytes
}
