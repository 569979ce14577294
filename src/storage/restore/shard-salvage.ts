/**
 * Makes a new shard, or a log alone, of what can be read of a damaged one: the frames of its log,
 * its snapshots and saved states, and the files beside them. The result is verified. The source is
 * only read.
 */
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { bytesBelow, copyingFolder, type UncopiedPlace } from '../backups/file-copy.ts'
import { copyingSnapshot } from '../backups/snapshot-copy.ts'
import type { LogKnowledge } from '../examination/log-damage.ts'
import type { LogVerification } from '../examination/log-judgement.ts'
import { verifying } from '../examination/log-verification.ts'
import { lmdbSnapshotSource } from '../lmdb/lmdb-snapshot-source.ts'
import { type Disk, DiskError, pathIn } from '../ports/disk.ts'
import type { ShardFolders } from '../ports/folder-layout.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { makeFolders } from '../ports/new-folders.ts'
import type { Progress } from '../ports/progress.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import { labelled, summed } from '../ports/steps.ts'
import { salvageAppStates } from '../snapshots/app-state.ts'
import { snapshotName } from '../snapshots/snapshot-folder.ts'
import { makingSnapshot } from '../snapshots/snapshot-making.ts'
import { nothingFound, type Salvaged, salvaging } from './log-salvage.ts'

/** A log to salvage, and what is known of it. */
export type ShardSalvage = {
  readonly disk: Disk
  readonly clock: Clock
  /** The folders of the log and of the new one. The new one is empty except for its LOCK. */
  readonly from: string
  readonly to: string
  /** The folders around these logs; absent for a log alone. */
  readonly shard?: { readonly from: ShardFolders; readonly to: ShardFolders } | undefined
  /** The verification of the source; absent if nothing was left of it. */
  readonly found: LogVerification | undefined
  readonly knowledge: LogKnowledge
}

/** A salvaged shard. */
export type SalvagedShard = {
  readonly salvaged: Salvaged
  /** The snapshots of the new log, oldest first. */
  readonly snapshots: readonly NamedSnapshot[]
  /** The parts of its blobs and archive that could not be read. */
  readonly uncopied: readonly UncopiedPlace[]
}

/**
 * Salvages a shard, and yields its progress.
 * @throws KeelsonError as `salvaging`; `CORRUPT` if the copy does not read back; DiskError
 */
export function* salvagingShard(request: ShardSalvage): Generator<Progress, SalvagedShard> {
  const { disk, clock, from, to, shard, found, knowledge } = request
  if (shard) makeFolders(disk, to)
  const snapshots =
    shard && found
      ? yield* salvagingSnapshots(disk, shard.from, shard.to, found, knowledge.shown)
      : []
  const log = { disk, clock, from, to, found: found ?? nothingFound(knowledge.walId), snapshots }
  const salvaged = yield* labelled('salvaging', salvaging(log))
  const uncopied: UncopiedPlace[] = []
  if (shard) {
    salvageAppStates(disk, shard.from.snapshots, shard.to.snapshots, salvaged.lastLsn)
    for (const name of ['blobs', 'archive']) {
      const [source, target] = [join(from, '..', name), join(shard.to.path, name)]
      const [what, totalBytes] = [`copying ${name} of`, bytesBelow(disk, source)]
      const show = (bytes: number) => ({ what, bytes, totalBytes })
      uncopied.push(...(yield* summed(copyingFolder(disk, source, target), show)))
    }
  }
  const { holdsUnits = false } = knowledge
  const checked = yield* labelled('checking', verifying(disk, to, { holdsUnits }))
  if (checked.verdict === 'clean' && checked.lastLsn === salvaged.lastLsn)
    return { salvaged, snapshots, uncopied }
  throw new KeelsonError('CORRUPT', `the copy in ${to} does not read back`, {
    details: { file: to, damage: checked.damage },
  })
}

/**
 * The sound snapshots that the log names, and one that is made of the projection where that has rows
 * which neither they nor the frames that are left have. Without one, a log that does not have its
 * first frame would not start. `shown`: the position of the projection, if that is sound.
 */
function* salvagingSnapshots(
  disk: Disk,
  from: ShardFolders,
  to: ShardFolders,
  found: LogVerification,
  shown: ProjectedPosition | undefined,
): Generator<Progress, readonly NamedSnapshot[]> {
  const kept: NamedSnapshot[] = []
  const places = { from: from.snapshots, to: to.snapshots, walId: undefined }
  if (found.snapshots.length > 0) makeFolders(disk, places.to)
  for (const snapshot of found.snapshots) {
    const { lsn, bytes: totalBytes } = snapshot
    const what = `copying snapshot ${lsn} of`
    const show = (bytes: number) => ({ what, bytes: Math.min(bytes, totalBytes), totalBytes })
    try {
      yield* summed(
        copyingSnapshot(disk, { ...places, snapshot }, () => undefined),
        show,
      )
      kept.push(snapshot)
    } catch (error) {
      if (!isUnreadable(error, places.from)) throw error
      disk.remove(pathIn(places.to, `${snapshotName(lsn)}.tmp`))
    }
  }
  if (kept.length > 0) disk.syncFolder(places.to)
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
): Generator<Progress, NamedSnapshot> {
  const source = lmdbSnapshotSource(disk, from.lmdb)
  try {
    makeFolders(disk, to.snapshots)
    const making = makingSnapshot(disk, to.snapshots, source, Number.POSITIVE_INFINITY)
    for (;;) {
      const step = making.next()
      if (step.done) return { lsn: step.value.lsn, bytes: step.value.bytes, sum: step.value.sum }
      const { rows, bytes } = step.value
      const totalBytes = Math.round((bytes / Math.max(rows, 1)) * source.rows)
      yield { what: 'making a snapshot of', bytes, totalBytes }
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
