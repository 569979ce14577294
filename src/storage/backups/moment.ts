/** Finds the LSN of a moment in the copy of a shard. */
import { segmentStart } from '../frames/frame-cursor.ts'
import { dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import type { Disk } from '../ports/disk.ts'
import type { CopiedFolders, CopyProgress, ShardCopy } from '../ports/shard-copier.ts'
import { snapshotName } from '../snapshots/snapshot-folder.ts'
import { SnapshotReader } from '../snapshots/snapshot-reader.ts'
import { segmentsOf } from './shard-copy.ts'

/**
 * The last LSN whose frame is not younger than `time`, in ms since 1970; `undefined` if the copy
 * begins later. Reads the log, and yields its progress.
 * @throws KeelsonError `CORRUPT`; DiskError
 */
export function* findingMoment(
  disk: Disk,
  folders: CopiedFolders,
  copy: ShardCopy,
  time: number,
): Generator<CopyProgress, number | undefined> {
  if (time >= copy.time) return copy.lsn
  const segments = segmentsOf(disk, folders.wal, copy.segments)
  const totalBytes = segments.reduce((sum, { size }) => sum + size, 0)
  let bytes = 0
  let last = copy.firstLsn === 1 ? 0 : snapshotUpTo(disk, folders, copy, time)
  for (const segment of segments) {
    const stretch = { ...segment, from: segmentStart(segment.header), to: { lsn: copy.lsn } }
    const take = dataFrames((lsn, stamp) => {
      if (stamp <= time) last = Math.max(last ?? 0, lsn)
    })
    const steps = walkingFrames(disk, folders.wal, stretch, take)
    for (const step of steps) {
      bytes += step
      yield { bytes, totalBytes }
    }
  }
  return last
}

/** The newest snapshot that is not younger. */
const snapshotUpTo = (
  disk: Disk,
  folders: CopiedFolders,
  { snapshots }: ShardCopy,
  time: number,
): number | undefined =>
  snapshots.findLast(({ lsn }) => {
    const reader = new SnapshotReader(disk, folders.snapshots, snapshotName(lsn))
    reader.close()
    return (reader.facts.position.frame?.time ?? 0) <= time
  })?.lsn
