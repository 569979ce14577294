/** Walks the DATA frames of a log that is sound as far as it is walked. */
import { segmentStart } from '../frames/frame-cursor.ts'
import { type DataTaker, dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import type { Disk } from '../ports/disk.ts'
import type { SegmentEntry } from './segment-chain.ts'

/**
 * Gives `take` each DATA frame of these segments in `dir` after LSN `after`, up to `to`. Yields the
 * bytes read since the last step; segments without such a frame are not read. @throws DiskError
 */
export function* walkingLog(
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  { after, to }: { readonly after: number; readonly to: number },
  take: DataTaker,
): Generator<number, void> {
  const within = dataFrames((lsn, time, payload) => {
    if (lsn > after) take(lsn, time, payload)
  })
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1]?.header.prev
    if (segment.header.baseLsn > to || (next && next.lastLsn <= after)) continue
    const end = { lsn: Math.min(next?.lastLsn ?? to, to), ...(next && { offset: next.endOffset }) }
    const stretch = { ...segment, from: segmentStart(segment.header), to: end }
    yield* walkingFrames(disk, dir, stretch, within)
  }
}

/** The sizes of these files together. */
export const bytesOf = (segments: readonly SegmentEntry[]): number =>
  segments.reduce((sum, { size }) => sum + size, 0)
