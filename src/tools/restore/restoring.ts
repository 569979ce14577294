/**
 * Makes the log of a shard from its copy in a backup, up to an LSN or a moment, under an id of its
 * own. It is complete and durable on return. Its MANIFEST comes last: it names the frames as durable, so the
 * loss of one is noticed.
 */
import { KeelsonError } from '../../errors.ts'
import {
  bytesOf,
  type CopiedFolders,
  copyingShard,
  type Disk,
  manifestOf,
  type NamedSnapshot,
  type Progress,
  replaceManifest,
  type ShardCopy,
  SnapshotReader,
  segmentsOf,
  snapshotName,
  soundSurvey,
  summed,
  walkingLog,
} from '../../storage/index.ts'

/** A shard to restore. */
export type RestoreRequest = {
  readonly from: CopiedFolders
  readonly to: CopiedFolders
  readonly copy: ShardCopy
  /** The last LSN. */
  readonly lsn: number
  /** The id of the new log, 16 bytes in hex. */
  readonly walId: string
}

/** The snapshot to begin with; `undefined`: the log has every frame. */
type Base = NamedSnapshot | undefined

/**
 * Restores a shard, and yields its progress.
 * @throws KeelsonError `INVALID_ARGUMENT` for an LSN that the copy does not reach; `CORRUPT`;
 * DiskError
 */
export function* restoringShard(
  disk: Disk,
  { from, to, copy, lsn, walId }: RestoreRequest,
): Generator<Progress, ShardCopy> {
  const base = baseOf(copy, lsn)
  const snapshots = base ? [base] : []
  const restored = yield* copyingShard(disk, {
    from,
    to,
    lsn,
    snapshots,
    walId,
    segments: copy.segments,
    states: copy.states,
  })
  nameAll(disk, to.wal, restored)
  return restored
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
const baseOf = ({ firstLsn, snapshots, lsn: last }: ShardCopy, lsn: number): Base => {
  const usable = snapshots.filter((each) => each.lsn >= firstLsn - 1)
  const from = firstLsn === 1 ? 0 : (usable[0]?.lsn ?? Number.POSITIVE_INFINITY)
  if (lsn < from || lsn > last)
    throw new KeelsonError('INVALID_ARGUMENT', `the backup reaches from lsn ${from} to ${last}`, {
      details: { lsn, from, to: last },
    })
  return usable.findLast((each) => each.lsn <= lsn)
}

const nameAll = (disk: Disk, dir: string, restored: ShardCopy): void => {
  const { segments } = soundSurvey(disk, dir)
  const { snapshots, lsn, time } = restored
  const checkpointLsn = snapshots[0]?.lsn ?? 0
  const facts = { generation: 1, recoveredLsn: lsn, checkpointLsn, lastTime: time, snapshots }
  replaceManifest(disk, dir, manifestOf(segments, facts))
}

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
): Generator<Progress, number | undefined> {
  if (time >= copy.time) return copy.lsn
  const segments = segmentsOf(disk, folders.wal, copy.segments)
  const totalBytes = bytesOf(segments)
  let last = copy.firstLsn === 1 ? 0 : snapshotUpTo(disk, folders, copy, time)
  const range = { after: 0, to: copy.lsn }
  const steps = walkingLog(disk, folders.wal, segments, range, (lsn, stamp) => {
    if (stamp <= time) last = Math.max(last ?? 0, lsn)
  })
  yield* summed(steps, (bytes) => ({ what: 'the log', bytes, totalBytes }))
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
