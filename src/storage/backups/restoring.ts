/**
 * Makes the log of a shard from its copy in a backup, up to an LSN, under an id of its own. It is
 * complete and durable on return. Its MANIFEST comes last: it names the frames as durable, so the
 * loss of one is noticed.
 */
import { KeelsonError } from '../../errors.ts'
import { soundSurvey } from '../examination/log-survey.ts'
import type { Disk } from '../ports/disk.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import type { CopiedFolders, CopyProgress, ShardCopy } from '../ports/shard-copier.ts'
import { replaceManifest } from '../segments/manifest.ts'
import { manifestOf } from '../segments/segment-chain.ts'
import { copyingShard } from './shard-copy.ts'

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
): Generator<CopyProgress, ShardCopy> {
  const base = baseOf(copy, lsn)
  const snapshots = base ? [base] : []
  const restored = yield* copyingShard(disk, {
    from,
    to,
    lsn,
    snapshots,
    walId,
    segments: copy.segments,
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
