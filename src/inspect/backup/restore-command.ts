/**
 * `keelson restore`: makes a data folder of a backup. The backup is only read, and no backup is
 * made there at the same time. `keelson.json` comes last: a restore that was cut off leaves a
 * folder that is refused. A failed or interrupted one removes what it made.
 */
import { join, resolve } from 'node:path'
import { KeelsonError } from '../../errors.ts'
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
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { runSteps, WorkDisplay } from '../command/long-work.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { checkNewFolder, makeNewFolder } from '../wal/wal-salvage.ts'
import type { Moment, RestoreCommand } from './backup-command-line.ts'

/** The context of each step. */
type Work = {
  readonly environment: Environment
  readonly signal: AbortSignal
  readonly display: WorkDisplay
}

/** A signal ended the command. */
const interrupted = Symbol('interrupted')

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR then
 */
export const runRestore = async (
  command: RestoreCommand,
  environment: Environment,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const display = new WorkDisplay(environment, command.progress)
  const [from, to] = [command.dir, command.to].map((path) => resolve(environment.cwd, path))
  const work = { environment, signal: interruption.signal, display }
  try {
    const shards = await restored(work, from as string, to as string, command.at)
    display.clear()
    const report = { dir: to, shards: shards.map(({ walId, lsn }) => ({ walId, lsn })) }
    const text = command.json ? JSON.stringify(report) : reportText(to as string, shards)
    printLine(environment.output, text)
    return 0
  } catch (error) {
    if (error === interrupted) return signalStatuses[interruption.received ?? 'SIGINT']
    throw error
  } finally {
    display.clear()
    interruption.release()
  }
}

/** The next step after a restore, for people. */
export const waitsText =
  'It waits: start it with --acts in the place of its origin, or with --no-app to look at it.'

const reportText = (dir: string, shards: readonly ShardCopy[]): string =>
  [
    `restored to ${printable(dir)}`,
    ...shards.map(({ lsn, walId }, shard) => `shard ${shard}  lsn ${countText(lsn)}, log ${walId}`),
    'Its logs have new ids: what is written here never mixes with the origin.',
    waitsText,
  ].join('\n')

/**
 * Restores the backup in `from` into the new folder `to`.
 * @throws KeelsonError, or `interrupted`: nothing is left of `to`
 */
const restored = async (
  work: Work,
  from: string,
  to: string,
  at: Moment | undefined,
): Promise<readonly ShardCopy[]> => {
  const disk = nodeDisk()
  const backup = refusing(() => readBackup(disk, from))
  if (!backup)
    throw new KeelsonError('INVALID_ARGUMENT', `${from} is not a finished backup`, {
      details: { path: from },
    })
  const lock = refusing(() => shareLock(join(from, lockFileName)))
  try {
    checkNewFolder(disk, from, to)
    const lsns = await lsnsAt(work, from, backup, at)
    const undo = makeNewFolder(disk, to)
    try {
      return await filled(work, from, to, backup, lsns)
    } catch (error) {
      undo()
      throw error
    }
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
      shards.push(await steps(work, `restoring shard ${shard}`, restoringShard(disk, request)))
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
    const lsn = await steps(work, `looking in shard ${shard}`, finding)
    if (lsn === undefined)
      throw new KeelsonError('INVALID_ARGUMENT', `the backup of shard ${shard} begins later`, {
        details: { shard, time: at.time },
      })
    lsns.push(lsn)
  }
  return lsns
}

const steps = async <T>(
  { environment, signal, display }: Work,
  what: string,
  generator: Generator<{ readonly bytes: number; readonly totalBytes: number }, T>,
): Promise<T> => {
  const startedAt = environment.clock.monotonic()
  let result: { readonly value: T } | undefined
  const wrapped = (function* () {
    result = { value: yield* generator }
  })()
  await runSteps(wrapped, environment, signal, (done) => display.show(what, done, startedAt))
  if (!result || signal.aborted) throw interrupted
  return result.value
}
