/**
 * What of the blobs is referred to: the marking half of a sweep. The log is read once, frame by frame, and what was found stays
 * found; rows are walked when something would go. What cannot be read fails the marking, and with it the sweep.
 */
import type { Clock } from '../clock.ts'
import {
  BlobExtents,
  decodeFrame,
  type LogHost,
  type ProjectionStore,
  type Row,
  recordExtent,
  refsOf,
  refsOfUnit,
} from '../storage/index.ts'

/** How much of the log one read brings to this thread. */
const readBytes = 1024 * 1024

/** Rows that are looked at in one go, about 1 ms. */
const rowsAtOnce = 500

/** What the log refers to, as far as it was read. */
export class BlobMark {
  readonly live = new BlobExtents()
  #next = 1

  /** Reads on up to `lsn`, which is durable. @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `UNSUPPORTED_VERSION` */
  async readLog(log: LogHost, lsn: number): Promise<void> {
    const { segments } = await log.run('describe', null)
    let next = Math.max(this.#next, segments[0]?.baseLsn ?? 1)
    while (next <= lsn) {
      const read = await log.run('read', { from: next, to: lsn, maxBytes: readBytes })
      for (const { offset, length } of read.frames)
        for (const unit of decodeFrame(read.bytes.subarray(offset, offset + length)).units)
          for (const ref of refsOfUnit(unit)) this.live.add(ref.segment, recordExtent(ref))
      if (read.next <= next) break
      next = read.next
      this.#next = next
    }
  }
}

/** What the rows of a projection refer to, some at a time, so that nobody waits for long. @throws KeelsonError `CORRUPT` */
export const markProjection = async (
  projection: ProjectionStore,
  live: BlobExtents,
  clock: Clock,
): Promise<void> => {
  let after: string | undefined
  for (;;) {
    const walk = projection.range(after === undefined ? {} : { gt: after })
    let walked = 0
    let last: string | undefined
    for (const [key, row] of walk) {
      markRow(row, live)
      last = key
      if (++walked === rowsAtOnce) break
    }
    if (walked < rowsAtOnce || last === undefined) return
    after = last
    await new Promise<void>((resolve) => clock.soon(resolve))
  }
}

/** What a row refers to. @throws KeelsonError `CORRUPT` */
export const markRow = (row: Row | undefined, live: BlobExtents): void => {
  if (row) for (const ref of refsOf(row.value)) live.add(ref.segment, recordExtent(ref))
}
