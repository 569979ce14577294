/**
 * The snapshots of a salvaged shard: the sound ones that its log names, and one that is made of the
 * projection where that has rows which neither they nor the frames that are left have. Without one, a
 * log that does not have its first frame would not start.
 */
import { isKeelsonError } from '../../errors.ts'
import {
  copyingSnapshot,
  type Disk,
  DiskError,
  type LogVerification,
  lmdbSnapshotSource,
  makeFolders,
  makingSnapshot,
  type NamedSnapshot,
  type ProjectedPosition,
  pathIn,
  type ShardFolders,
  snapshotName,
} from '../../storage/index.ts'
import type { WorkDone } from '../command/long-work.ts'

/** The shard. `shown`: the position of its projection, if that is sound. */
export type SnapshotSalvage = {
  readonly from: ShardFolders
  readonly to: ShardFolders
  readonly found: LogVerification
  readonly shown: ProjectedPosition | undefined
}

/**
 * Brings them into the new folder, and yields its progress. Returns them, oldest first.
 * @throws DiskError if they cannot be written
 */
export function* salvagingSnapshots(
  disk: Disk,
  salvage: SnapshotSalvage,
): Generator<WorkDone, readonly NamedSnapshot[]> {
  const { from, to, found, shown } = salvage
  const kept: NamedSnapshot[] = []
  const totalBytes = found.snapshots.reduce((sum, { bytes }) => sum + bytes, 0)
  if (totalBytes > 0) makeFolders(disk, to.snapshots)
  let bytes = 0
  for (const snapshot of found.snapshots) {
    const places = { from: from.snapshots, to: to.snapshots }
    try {
      const request = { ...places, snapshot, walId: undefined }
      for (const step of copyingSnapshot(disk, request, () => undefined)) {
        bytes = Math.min(bytes + step, totalBytes)
        yield { bytes, totalBytes }
      }
      kept.push(snapshot)
    } catch (error) {
      if (!isUnreadable(error, places.from)) throw error
      disk.remove(pathIn(places.to, `${snapshotName(snapshot.lsn)}.tmp`))
    }
  }
  if (kept.length > 0) disk.syncFolder(to.snapshots)
  if (!shown || !hasMore(shown, kept.at(-1)?.lsn ?? 0, found)) return kept
  return [...kept, yield* makingOne(disk, from, to)]
}

/** Whether the projection has rows that neither a snapshot up to `base` nor a frame has. */
const hasMore = (
  { walId, lsn }: ProjectedPosition,
  base: number,
  { walId: own, showsOther, firstLsn, lost }: LogVerification,
): boolean =>
  walId === own &&
  !showsOther &&
  lsn > base &&
  (firstLsn > base + 1 || lost.some((range) => range.to > base && range.from <= lsn))

function* makingOne(
  disk: Disk,
  from: ShardFolders,
  to: ShardFolders,
): Generator<WorkDone, NamedSnapshot> {
  const source = lmdbSnapshotSource(disk, from.lmdb)
  try {
    makeFolders(disk, to.snapshots)
    const making = makingSnapshot(disk, to.snapshots, source, Number.POSITIVE_INFINITY)
    for (;;) {
      const step = making.next()
      if (step.done) return { lsn: step.value.lsn, bytes: step.value.bytes, sum: step.value.sum }
      const { rows, bytes } = step.value
      const totalBytes = Math.round((bytes / Math.max(rows, 1)) * source.rows)
      yield { bytes, totalBytes }
    }
  } finally {
    source.close()
  }
}

/** The snapshot is damaged, of a newer version, or the disk cannot read it. */
const isUnreadable = (error: unknown, dir: string): boolean =>
  isKeelsonError(error, 'CORRUPT') ||
  isKeelsonError(error, 'UNSUPPORTED_VERSION') ||
  (error instanceof DiskError && error.path.startsWith(dir))
