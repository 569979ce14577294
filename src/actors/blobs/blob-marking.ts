/**
 * The marking half of a sweep: which blobs are referred to. Each applied frame leaves a row for each
 * of its blobs, so the rows show what the log refers to. Only frames that are not applied yet are
 * read from the log. A read error fails the marking, and with it the sweep.
 *
 * It only reads. `blob-sweep.ts` removes: the two halves share no state but the extents to keep.
 */
import type { Clock } from '../../clock.ts'
import {
  allOwnRows,
  type BlobExtents,
  type BlobRef,
  decodeFrame,
  firstUserKey,
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
import type { ReadView } from '../core/read-view.ts'

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/** The rows that are read in one turn: about 1 ms. */
const rowsAtOnce = 500

/**
 * Marks the references of the frames from `from` to `to`, which are durable.
 * @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `UNSUPPORTED_VERSION`
 */
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

/**
 * Marks the references of the log, as the rows of a view show them. Rows of frames before `firstLsn`
 * are left over: the log has given those frames back. Resolves with the bytes of those after
 * `snapshotLsn`: the next snapshot replaces their frames.
 * @throws KeelsonError `CORRUPT`, `CLOSED`
 */
export const markLogged = async (
  view: ReadView,
  firstLsn: number,
  snapshotLsn: number,
  live: BlobExtents,
  clock: Clock,
): Promise<number> => {
  let bytes = 0
  await walkRows(view, loggedBlobRows, clock, (key, row) => {
    const { segment, extent, lsn } = recordOfLogged(key, row)
    if (lsn >= firstLsn) live.add(segment, extent)
    if (lsn > snapshotLsn) bytes += extent.to - extent.from
  })
  return bytes
}

/**
 * Marks the references of the values in the rows of a view: only users' keys and the rows that
 * durable actors keep have such values.
 * @throws KeelsonError `CORRUPT`, `CLOSED`
 */
export const markRows = (view: ReadView, live: BlobExtents, clock: Clock): Promise<void> =>
  eachBlob(view, clock, (ref) => live.add(ref.segment, recordExtent(ref)))

/** Visits the references of the values in the rows of a view. @throws as `markRows` */
export const eachBlob = async (
  view: ReadView,
  clock: Clock,
  see: (ref: BlobRef) => void,
): Promise<void> => {
  const visit = (_: string, row: Row): void => {
    for (const ref of refsOf(row.value)) see(ref)
  }
  for (const range of [{ gte: firstUserKey }, allOwnRows]) await walkRows(view, range, clock, visit)
}

/**
 * Visits every row of both layers, in small steps that yield to the event loop. The overlay goes
 * first: a row that moves to the projection during the visit was visited already.
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
