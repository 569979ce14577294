/**
 * One sweep over the blobs of a shard. It judges only blobs that exist when it begins. It marks the
 * blobs that rows, log, kept snapshots and pins refer to, skips those within their grace, and frees
 * the rest. Writes continue during a sweep, and their blobs are not judged. If anything cannot be
 * read, the sweep ends before it frees a blob.
 */
import { KeelsonError } from '../../errors.ts'
import {
  BlobExtents,
  type BlobHost,
  type BlobSegment,
  type Extent,
  gapsBetween,
} from '../../storage/index.ts'
import { markLog, markLogged, markRows } from './blob-marking.ts'
import type { BlobShard } from './blob-shard.ts'

/** The report of a sweep. */
export type SweepReport = {
  readonly segments: number
  readonly cleared: number
  readonly freedBytes: number
}

/** The parts of a sweep. */
export type SweepParts = {
  readonly shard: BlobShard
  readonly host: BlobHost
  /**
   * The live extents of a segment when it was last cleared. It is not cleared again for the same
   * ones.
   */
  readonly cleared: Map<number, readonly Extent[]>
  /** The signal of the process that sweeps. The sweep frees no blob after its death. */
  readonly signal: AbortSignal
}

const nothing: SweepReport = { segments: 0, cleared: 0, freedBytes: 0 }

/**
 * Sweeps the blobs of a shard.
 * @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `NO_SPACE`: segments that are not cleared yet stay
 * as they are
 */
export const sweepBlobs = async (parts: SweepParts): Promise<SweepReport> => {
  const { shard, host, signal } = parts
  // The survey fixes what is judged: later blobs are not part of it.
  const { segments, active } = await host.run('survey', null)
  if (segments.length === 0) return nothing
  const doubtful = shard.blobs.pins.hardened()
  const pinned = shard.blobs.pins.extents(doubtful)
  const young = shard.blobs.young()
  if (!young) return { ...nothing, segments: segments.length }
  // A log that is being opened answers `CLOSED`. Its shard is recovering, and says so.
  shard.view()
  // The sync comes after every group handed to the disk before. A frame that is not in the log by
  // then never will be.
  const { durableLsn } = await shard.files.log().run('sync', null)
  const { firstLsn } = await shard.files.log().run('state', null)
  const view = shard.view()
  const { appliedLsn } = shard
  const kept = new BlobExtents()
  for (const other of [pinned, young]) kept.addAll(other)
  const { lsn } = shard.snapshots
  const logged = await markLogged(view, firstLsn, lsn, kept, shard.parts.clock)
  if (shard.snapshots.lsn === lsn) shard.snapshots.blobsMeasured(logged)
  await markLog(shard.files.log(), appliedLsn + 1, durableLsn, kept)
  const before = segments.filter((segment) => hasDead(kept, segment, active))
  // Values and snapshots refer to blobs whose frames the log has given back. They are read only if
  // something would be freed. A value that is replaced during the sweep is in the last snapshot, or
  // its frame was in the log when this sweep began.
  if (before.length > 0) {
    await markRows(view, kept, shard.parts.clock)
    await shard.snapshots.addBlobs(kept, signal)
    // A reader that has come since may have an older view.
    kept.addAll(shard.blobs.pins.extents(doubtful))
  }
  let cleared = 0
  let freedBytes = 0
  for (const segment of before) {
    const live = [...kept.of(segment.segment)]
    if (!hasDead(kept, segment, active) || isSame(parts.cleared.get(segment.segment), live))
      continue
    // Blobs written after the survey are judged by the next sweep.
    if (segment.segment === active) live.push(...(await sealedRest(host, segment)))
    const freed = await clear(host, segment.segment, live, signal)
    if (live.length > 0) parts.cleared.set(segment.segment, live)
    else parts.cleared.delete(segment.segment)
    if (freed > 0) cleared++
    freedBytes += freed
  }
  for (const pin of doubtful) pin.release()
  return { segments: segments.length, cleared, freedBytes }
}

/** Whether part of a segment is not kept. An empty file, which a failed write leaves, is dead. */
const hasDead = (kept: BlobExtents, { segment, size }: BlobSegment, active?: number): boolean =>
  size === 0 ? segment !== active : gapsBetween(kept.of(segment), size).length > 0

/** Seals a segment. Returns the extent written to it since the survey. */
const sealedRest = async (host: BlobHost, { segment, size }: BlobSegment): Promise<Extent[]> => {
  await host.run('seal', null)
  const { segments } = await host.run('survey', null)
  const end = segments.find((found) => found.segment === segment)?.size ?? size
  return end > size ? [{ from: size, to: end }] : []
}

const isSame = (left: readonly Extent[] | undefined, right: readonly Extent[]): boolean =>
  left?.length === right.length &&
  left.every(({ from, to }, at) => from === right[at]?.from && to === right[at]?.to)

/** Clears in steps: between them other callers have their blobs written. */
const clear = async (
  host: BlobHost,
  segment: number,
  live: readonly Extent[],
  signal: AbortSignal,
): Promise<number> => {
  for (;;) {
    if (signal.aborted) throw new KeelsonError('EXITED', 'the process that swept has ended')
    const { done, freedBytes } = await host.run('clear', { segment, live })
    if (done) return freedBytes
  }
}
