/**
 * Restores a backup into a new folder, for every command that does so. The backup is only read, and no
 * backup is made there at the same time. `keelson.json` comes last: a restore that was cut off leaves a
 * folder that is refused. A failed or interrupted one removes what it made.
 */
import { join } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import {
  type Backup,
  describeHolder,
  lockFileName,
  nodeDisk,
  readBackup,
  refusing,
  type ShardCopy,
  shardFolder,
  shareLock,
  writeDataFolder,
} from '../../storage/index.ts'
import { findingMoment, restoringShard, wrongFolder } from '../../tools/index.ts'
import { showSteps, type Work } from '../command/long-work.ts'
import { checkNewFolder, fillNewFolder } from '../command/new-folder.ts'
import type { Moment } from './backup-command-line.ts'

/** The next step after a restore, for people. */
export const waitsText =
  'It waits: start it with --acts in the place of its origin, or with --no-app to look at it.'

/**
 * Restores the backup in `from` into the new folder `to`.
 * @throws KeelsonError; nothing is left of `to` then
 */
export const restored = async (
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
