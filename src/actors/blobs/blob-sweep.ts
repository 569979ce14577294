/**
 * One sweep over the blobs of a shard. It decides about what was there when it began: marks what the rows, the log and the
 * pins keep, leaves what is within its grace, and gives back the rest. Writes go on meanwhile, and what they add is not
 * looked at. Whatever cannot be read ends the sweep before anything is taken.
 */
import type { Clock } from '../../clock.ts'
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  BlobExtents,
  type BlobHost,
  type BlobSegment,
  decodeFrame,
  type Extent,
  gapsBetween,
  type LogHost,
  loggedBlobRows,
  type ProjectionStore,
  type Row,
  type RowRange,
  recordExtent,
  recordOfLogged,
  refsOf,
  refsOfUnit,
} from '../../storage/index.ts'
import type { ReadView } from '../overlay/read-view.ts'
import type { Shard } from '../shard/shard.ts'

// What of the blobs is referred to: the marking half of a sweep. The rows say what the log refers to, because each frame that
// is applied leaves a row for each of its blobs; only what is not applied yet is read from the log. What cannot be read
// fails the marking, and with it the sweep.

/** How much of the log one read brings to this thread. */
const readBytes = 1024 * 1024

/** Rows that are looked at in one go, about 1 ms. */
const rowsAtOnce = 500

/** What the frames from `from` up to `to`, which are durable, refer to. @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `UNSUPPORTED_VERSION` */
export const markLog = async (
  log: LogHost,
  from: number,
  to: number,
  live: BlobExtents,
): Promise<void> => {
  for (let next = from; next <= to; ) {
    const read = await log.run('read', { from: next, to, maxBytes: readBytes })
    for (const { offset, length } of read.frames)
      for (const unit of decodeFrame(read.bytes.subarray(offset, offset + length)).units)
        for (const ref of refsOfUnit(unit)) live.add(ref.segment, recordExtent(ref))
    if (read.next <= next) return
    next = read.next
  }
}

/** What the log refers to, as the rows of a view tell it. @throws KeelsonError `CORRUPT`, `CLOSED` */
export const markLogged = (view: ReadView, live: BlobExtents, clock: Clock): Promise<void> =>
  walkRows(view, loggedBlobRows, clock, (key, row) => {
    const { segment, extent } = recordOfLogged(key, row)
    live.add(segment, extent)
  })

/** What the values in the rows of a view refer to. @throws KeelsonError `CORRUPT`, `CLOSED` */
export const markRows = (view: ReadView, live: BlobExtents, clock: Clock): Promise<void> =>
  walkRows(view, {}, clock, (_, row) => {
    for (const ref of refsOf(row.value)) live.add(ref.segment, recordExtent(ref))
  })

/**
 * Every row that stands in one of the layers, some at a time, so that nobody waits for long. The overlay goes first: what
 * moves from there into the projection meanwhile has been seen.
 */
const walkRows = async (
  { layers: { overlay, projection } }: ReadView,
  range: RowRange,
  clock: Clock,
  see: (key: string, row: Row) => void,
): Promise<void> => {
  for (const [key, row] of overlay.range(range)) if (row) see(key, row)
  await walkProjection(projection, range, clock, see)
}

const walkProjection = async (
  projection: ProjectionStore,
  range: RowRange,
  clock: Clock,
  see: (key: string, row: Row) => void,
): Promise<void> => {
  const { lt } = range
  for (let rest: RowRange | undefined = range; rest; ) {
    const walk: IterableIterator<readonly [string, Row]> = projection.range(rest)
    let walked = 0
    rest = undefined
    for (const [key, row] of walk) {
      see(key, row)
      if (++walked < rowsAtOnce) continue
      rest = lt === undefined ? { gt: key } : { gt: key, lt }
      break
    }
    if (rest) await new Promise<void>((resolve) => clock.soon(resolve))
  }
}

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
