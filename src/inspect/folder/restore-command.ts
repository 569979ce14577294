/**
 * `keelson restore`: makes a data folder of a backup, or of a replica. The backup is only read, and no backup is
 * made there at the same time. `keelson.json` comes last: a restore that was cut off leaves a
 * folder that is refused. A failed or interrupted one removes what it made.
 */
import { join, resolve } from 'node:path'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import {
  type Backup,
  describeHolder,
  findingMoment,
  lockFileName,
  nodeDisk,
  readBackup,
  refusing,
  restoringShard,
  type ShardCopy,
  shardFolder,
  shareLock,
  writeDataFolder,
} from '../../storage/index.ts'
import { isError } from '../../thrown.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import { checkNewFolder, fillNewFolder } from '../command/new-folder.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import type { Moment, RestoreCommand, RestoreReplicaCommand } from './backup-command-line.ts'
import { wrongFolder } from './wal-target.ts'

/** The new folder, and the copy of each shard. */
type Restored = {
  readonly dir: string
  readonly shards: readonly Pick<ShardCopy, 'lsn' | 'walId'>[]
}

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR then
 */
export const runRestore = (command: RestoreCommand, environment: Environment): Promise<number> => {
  const from = resolve(environment.cwd, command.dir)
  const dir = resolve(environment.cwd, command.to)
  return runReported(
    command,
    environment,
    async (work) => ({ dir, shards: await restored(work, from, dir, command.at) }),
    {
      text: (report) => reportText(report, newIds),
      json: ({ shards }) => ({ dir, shards: shards.map(({ walId, lsn }) => ({ walId, lsn })) }),
    },
  )
}

/** The next step after a restore, for people. */
const waitsText =
  'It waits: start it with --acts in the place of its origin, or with --no-app to look at it.'

const reportText = ({ dir, shards }: Restored, ids: string): string =>
  [
    `restored to ${printable(dir)}`,
    ...shards.map(({ lsn, walId }, shard) => `shard ${shard}  lsn ${countText(lsn)}, log ${walId}`),
    ids,
    waitsText,
  ].join('\n')

const newIds = 'Its logs have new ids: what is written here never mixes with the origin.'
const sameIds =
  'Its logs have the ids of the origin: replicated to the same place, they fence the origin.'

/**
 * Restores the backup in `from` into the new folder `to`.
 * @throws KeelsonError; nothing is left of `to` then
 */
const restored = async (
  work: Work,
  from: string,
  to: string,
  at: Moment | undefined,
): Promise<readonly ShardCopy[]> => {
  const disk = nodeDisk()
  const backup = refusing(() => readBackup(disk, from))
  if (!backup) throw wrongFolder(from, 'is not a finished backup')
  const lock = refusing(() => shareLock(join(from, lockFileName)))
  try {
    checkNewFolder(disk, from, to)
    const lsns = await lsnsAt(work, from, backup, at)
    return await fillNewFolder(disk, to, () => filled(work, from, to, backup, lsns))
  } finally {
    lock.release()
  }
}

const filled = async (
  work: Work,
  from: string,
  to: string,
  backup: Backup,
  lsns: readonly number[],
): Promise<readonly ShardCopy[]> => {
  const disk = nodeDisk()
  const { clock } = work.environment
  const holder = describeHolder({ restoring: from, since: clock.now() })
  const lock = refusing(() => disk.lock(join(to, lockFileName), holder))
  const id = () => Buffer.from(clock.randomBytes(16)).toString('hex')
  try {
    const shards: ShardCopy[] = []
    for (const [shard, copy] of backup.shards.entries()) {
      const folders = { from: shardFolder(from, shard), to: shardFolder(to, shard) }
      const request = { ...folders, copy, lsn: lsns[shard] ?? copy.lsn, walId: id() }
      const steps = restoringShard(disk, request)
      shards.push(await showSteps(work, steps, () => `restoring shard ${shard}`))
    }
    const { instanceId, shards: count } = backup.facts
    const logs = backup.shards.map(({ walId }, at) => ({ walId, lsn: lsns[at] ?? 0 }))
    const origin = { instanceId, logs }
    const own = { instanceId: id(), shards: count, created: clock.now(), origin }
    const facts = { ...own, logs: shards.map(({ walId }) => walId), waits: true as const }
    refusing(() => writeDataFolder(disk, to, facts))
    return shards
  } finally {
    lock.release()
  }
}

/** Throws `INVALID_ARGUMENT` for an LSN of several shards. */
export const checkMoment = (at: Moment | undefined, shards: number): void => {
  if (at === undefined || !('lsn' in at) || shards === 1) return
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    'each shard counts its own lsn: name a time for several shards',
    { details: { shards } },
  )
}

/** The LSN of each shard. @throws KeelsonError `INVALID_ARGUMENT` if the backup begins later */
const lsnsAt = async (
  work: Work,
  from: string,
  { shards }: Backup,
  at: Moment | undefined,
): Promise<readonly number[]> => {
  if (at === undefined) return shards.map(({ lsn }) => lsn)
  checkMoment(at, shards.length)
  if ('lsn' in at) return [at.lsn]
  const lsns: number[] = []
  for (const [shard, copy] of shards.entries()) {
    const finding = findingMoment(nodeDisk(), shardFolder(from, shard), copy, at.time)
    const lsn = await showSteps(work, finding, () => `looking in shard ${shard}`)
    if (lsn === undefined)
      throw new KeelsonError('INVALID_ARGUMENT', `the backup of shard ${shard} begins later`, {
        details: { shard, time: at.time },
      })
    lsns.push(lsn)
  }
  return lsns
}

/**
 * Runs `keelson restore --from`: makes a data folder of what is replicated in PostgreSQL. The package
 * `pg` is loaded here alone. Resolves with the exit status.
 * @throws KeelsonError as `restore` of `keelson/postgres`; `CONFIG` if the server cannot be reached
 */
export const runRestoreReplica = (
  command: RestoreReplicaCommand,
  environment: Environment,
): Promise<number> =>
  runReported(command, environment, (work) => replicaRestored(command, work), {
    text: (report) => reportText(report, sameIds),
  })

const replicaRestored = async (
  command: RestoreReplicaCommand,
  { environment, signal, display }: Work,
) => {
  const { postgres, restore } = await import('keelson/postgres')
  return restore({
    client: postgres({ connectionString: command.from }),
    dir: resolve(environment.cwd, command.to),
    ...(command.instance !== undefined && { instanceId: command.instance }),
    signal,
    onProgress: ({ shard, lsn, of }) =>
      display.show({ what: `restoring shard ${shard}`, bytes: lsn, totalBytes: of }),
  }).catch((error: unknown) => {
    throw named(error)
  })
}

/** An error of the client has no code of ours. */
const named = (error: unknown): unknown =>
  isError(error) && !isKeelsonError(error)
    ? new KeelsonError('CONFIG', `the server cannot be read: ${keptError(error).message}`, {
        details: { path: '--from' },
        cause: error,
      })
    : error
