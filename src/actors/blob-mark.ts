/**
 * What of the blobs is referred to: the marking half of a sweep. The rows say what the log refers to, because each frame that
 * is applied leaves a row for each of its blobs; only what is not applied yet is read from the log. What cannot be read
 * fails the marking, and with it the sweep.
 */
import type { Clock } from '../clock.ts'
import {
  type BlobExtents,
  decodeFrame,
  type LogHost,
  loggedBlobRows,
  type ProjectionStore,
  type Row,
  type RowRange,
  recordExtent,
  recordOfLogged,
  refsOf,
  refsOfUnit,
} from '../storage/index.ts'
import type { ReadView } from './read-view.ts'

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
