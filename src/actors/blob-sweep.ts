/**
 * One sweep over the blobs of a shard. It decides about what was there when it began: marks what the rows, the log and the
 * pins keep, leaves what is within its grace, and gives back the rest. Writes go on meanwhile, and what they add is not
 * looked at. Whatever cannot be read ends the sweep before anything is taken.
 */
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../errors.ts'
import {
  BlobExtents,
  type BlobHost,
  type BlobSegment,
  type Extent,
  gapsBetween,
} from '../storage/index.ts'
import { markLog, markLogged, markRows } from './blob-mark.ts'
import type { Shard } from './shard.ts'

/** What a sweep came to. */
export type SweepReport = {
  readonly segments: number
  readonly cleared: number
  readonly freedBytes: number
}

/** What a sweep works with. */
export type SweepParts = {
  readonly shard: Shard
  readonly host: BlobHost
  /** What a segment had alive when it was last cleared: it need not be looked through again. */
  readonly cleared: Map<number, readonly Extent[]>
  /** Of the process that sweeps: it takes nothing once that has died. */
  readonly signal: AbortSignal
  /** Told of a damaged row. */
  readonly damaged: (evidence: ErrorDetails) => void
}

const nothing: SweepReport = { segments: 0, cleared: 0, freedBytes: 0 }

/** @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `NO_SPACE`: what was not cleared by then is as it was */
export const sweepBlobs = async (parts: SweepParts): Promise<SweepReport> => {
  const { shard, host, signal } = parts
  // From here on it is decided about what is there now: what is written later is younger than this.
  const { segments, active } = await host.run('survey', null)
  if (segments.length === 0) return nothing
  const doubtful = shard.blobs.pins.hardened()
  const pinned = shard.blobs.pins.extents(doubtful)
  const young = shard.blobs.young()
  if (!young) return { ...nothing, segments: segments.length }
  // Behind every group that was handed to the disk before: what is not in the log by then never will be.
  const { durableLsn } = await shard.files.log().run('sync', null)
  const view = shard.view()
  const { appliedLsn } = shard
  const kept = new BlobExtents()
  for (const other of [pinned, young]) kept.addAll(other)
  await telling(parts, markLogged(view, kept, shard.parts.clock))
  await markLog(shard.files.log(), appliedLsn + 1, durableLsn, kept)
  const before = segments.filter((segment) => hasDead(kept, segment, active))
  // Their values say nothing that the log does not; asking them too costs little, and only when something would go.
  if (before.length > 0) await telling(parts, markRows(view, kept, shard.parts.clock))
  let cleared = 0
  let freedBytes = 0
  for (const segment of before) {
    const live = [...kept.of(segment.segment)]
    if (!hasDead(kept, segment, active) || isSame(parts.cleared.get(segment.segment), live))
      continue
    // What was written behind the survey is nobody's to judge before the next one.
    if (segment.segment === active) live.push(...(await sealedRest(host, segment)))
    const freed = await clear(host, segment.segment, live, signal)
    parts.cleared.set(segment.segment, live)
    if (freed > 0) cleared++
    freedBytes += freed
  }
  for (const pin of doubtful) pin.release()
  return { segments: segments.length, cleared, freedBytes }
}

/** Waits for rows to be looked at; the projection of a damaged one is to be made anew. */
const telling = async ({ damaged }: SweepParts, marked: Promise<void>): Promise<void> => {
  try {
    await marked
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) damaged(error.details)
    throw error
  }
}

/** Whether something of a segment is not kept; an empty file, which a failed write leaves, is dead as it is. */
const hasDead = (kept: BlobExtents, { segment, size }: BlobSegment, active?: number): boolean =>
  size === 0 ? segment !== active : gapsBetween(kept.of(segment), size).length > 0

/** Ends a segment; answers what was written to it since the survey. */
const sealedRest = async (host: BlobHost, { segment, size }: BlobSegment): Promise<Extent[]> => {
  await host.run('seal', null)
  const { segments } = await host.run('survey', null)
  const end = segments.find((found) => found.segment === segment)?.size ?? size
  return end > size ? [{ from: size, to: end }] : []
}

const isSame = (left: readonly Extent[] | undefined, right: readonly Extent[]): boolean =>
  left?.length === right.length &&
  left.every(({ from, to }, at) => from === right[at]?.from && to === right[at]?.to)

/** Step by step: between the steps others have their blobs written. */
const clear = async (
  host: BlobHost,
  segment: number,
  live: readonly Extent[],
  signal: AbortSignal,
): Promise<number> => {
  for (;;) {
    if (signal.aborted) throw new KeelsonError('EXITED', 'The process that swept has ended.')
    const { done, freedBytes } = await host.run('clear', { segment, live })
    if (done) return freedBytes
  }
}
