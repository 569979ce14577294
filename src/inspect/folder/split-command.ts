/**
 * `keelson restore --shards`: makes a data folder with more shards of a backup. It is apart from the
 * command for as many shards because it judges first, and opens the folder. The backup is restored
 * into a folder beside the new one and opened there without a user's tree, so that a snapshot has all
 * rows. Then all checks come, and the split. The folder beside it is removed in the end, or by the next
 * run. It is marked as a copy: nothing acts in it.
 */
import { join, resolve } from 'node:path'
import { type ErrorDetails, KeelsonError } from '../../errors.ts'
import {
  type Backup,
  type Disk,
  describeHolder,
  lockFileName,
  type NamedSnapshot,
  nodeDisk,
  readBackup,
  refusing,
  type ShardCopy,
  shardFolder,
  writeDataFolder,
} from '../../storage/index.ts'
import {
  type CheckedShard,
  checkingSplit,
  type SplitFinding,
  type SplitFindingKind,
  type SplitResult,
  splittingShards,
  wrongFolder,
} from '../../tools/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import { checkNewFolder, fillNewFolder, newFolder } from '../command/new-folder.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { openedFolder } from './backup-command.ts'
import type { RestoreCommand } from './backup-command-line.ts'
import { restored, waitsText } from './backup-restoring.ts'

/** A folder to make with more shards of a backup. Paths are absolute. */
export type Split = Accepted & {
  readonly from: string
  readonly to: string
  readonly shards: number
  readonly at: RestoreCommand['at']
  readonly isDry: boolean
  /** Whether the new folder is a copy that may not act yet. */
  readonly waits: boolean
}

/** The findings that a user accepts. */
type Accepted = Pick<RestoreCommand, 'accept' | 'projections' | 'cut-log' | 'new-commitments'>

/** A finding, and whether it was accepted, or needs not be. */
type Judged = SplitFinding & { readonly isRefused: boolean }

/** The outcome of a split. `made` is absent if nothing was made. */
export type SplitReport = {
  readonly dir: string
  readonly before: number
  readonly shards: number
  readonly findings: readonly Judged[]
  readonly made?: SplitResult
}

/** The exit status of a folder that is refused. */
const refusedStatus = 4

/**
 * Runs the command and resolves with the exit status: 4 if something is against more shards.
 * @throws KeelsonError the error that ended it; nothing is left of DIR then
 */
export const runSplitRestore = (
  command: RestoreCommand & { readonly shards: number },
  environment: Environment,
): Promise<number> =>
  runReported(
    command,
    environment,
    (work) =>
      splitFolder(work, {
        ...command,
        from: resolve(environment.cwd, command.dir),
        to: resolve(environment.cwd, command.to),
        isDry: command['dry-run'],
        waits: true,
      }),
    { text: splitText, json: splitJson, status: splitStatus },
  )

/** The exit status that a report means. */
export const splitStatus = ({ findings }: SplitReport): number =>
  findings.some(({ isRefused }) => isRefused) ? refusedStatus : 0

/** The report as plain data. */
export const splitJson = ({ dir, before, shards, findings, made }: SplitReport): object => ({
  dir,
  before,
  shards,
  findings,
  ...(made && { made }),
})

/** Splits a backup into a new folder. @throws KeelsonError; nothing is left of the folder then */
export const splitFolder = async (work: Work, split: Split): Promise<SplitReport> => {
  const { from, to, shards } = split
  const disk = nodeDisk()
  const backup = refusing(() => readBackup(disk, from))
  if (!backup) throw wrongFolder(from, 'is not a finished backup')
  checkCount(backup.facts.shards, shards)
  checkNewFolder(disk, from, to)
  const temporary = `${to}.splitting`
  const release = takeTemporary(disk, work, temporary)
  try {
    return await splitWithin(disk, work, split, backup, join(temporary, 'data'))
  } finally {
    release()
  }
}

/**
 * Refuses a number of shards that is no multiple of the present one: rows would cross between all
 * shards. @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkCount = (before: number, shards: number): void => {
  if (shards > before && shards <= 1_024 && shards % before === 0) return
  const expected = `a multiple of ${before} above it, up to 1024`
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    `--shards needs ${expected}, found ${shards}: there are ${pluralText(before, 'shard')}`,
    { details: { expected, found: shards } satisfies ErrorDetails },
  )
}

/** Makes the folder of a run, without what an earlier one left. Returns the function that removes it. */
const takeTemporary = (disk: Disk, { environment }: Work, path: string): (() => void) => {
  const undo = disk.entry(path) ? () => disk.remove(path) : newFolder(disk, path)
  const holder = describeHolder({ since: environment.clock.now() })
  const lock = refusing(() => disk.lock(join(path, lockFileName), holder))
  refusing(() => disk.remove(join(path, 'data')))
  return () => {
    lock.release()
    refusing(undo)
  }
}

const splitWithin = async (
  disk: Disk,
  work: Work,
  split: Split,
  backup: Backup,
  data: string,
): Promise<SplitReport> => {
  const { from, to, shards, isDry } = split
  const { facts } = backup
  const copies = await restored(work, from, data, split.at)
  const snapshots = await snapshotsOf(work, data, copies)
  const parents = copies.map((copy, shard): CheckedShard => {
    const listed = backup.shards[shard] ?? copy
    const folders = shardFolder(data, shard)
    return {
      folders,
      snapshot: snapshots[shard],
      lsn: copy.lsn,
      copied: shardFolder(from, shard),
      copy: listed,
    }
  })
  const found = await showSteps(work, checkingSplit(disk, shards, parents), same)
  const findings = found.map((each) => ({ ...each, isRefused: !isAccepted(each, split) }))
  const report = { dir: to, before: facts.shards, shards, findings }
  if (isDry || splitStatus(report) !== 0) return report
  const { clock } = work.environment
  const made = await fillNewFolder(disk, to, async () => {
    const lock = refusing(() =>
      disk.lock(join(to, lockFileName), describeHolder({ restoring: from, since: clock.now() })),
    )
    const logs = backup.shards.map(({ walId }, at) => ({ walId, lsn: copies[at]?.lsn ?? 0 }))
    const origin = { instanceId: facts.instanceId, logs }
    const instanceId = Buffer.from(clock.randomBytes(16)).toString('hex')
    const own = { instanceId, created: clock.now(), origin }
    const waits = split.waits && { waits: true as const }
    try {
      const request = { from: parents, to, shards }
      const result = await showSteps(work, splittingShards(disk, clock, request), same)
      const ids = result.shards.map(({ walId }) => walId)
      refusing(() => writeDataFolder(disk, to, { ...own, ...waits, shards, logs: ids }))
      return result
    } finally {
      lock.release()
    }
  })
  return { ...report, made }
}

const same = (what: string): string => what

/** Opens the restored folder without a user's tree, for a snapshot of each shard that has rows. */
const snapshotsOf = async (
  work: Work,
  data: string,
  copies: readonly ShardCopy[],
): Promise<readonly (NamedSnapshot | undefined)[]> => {
  work.display.show({ what: 'building the rows', bytes: 0, totalBytes: 0 })
  const app = await openedFolder(data)
  try {
    const made: (NamedSnapshot | undefined)[] = []
    for (const [shard, { time, snapshots }] of copies.entries()) {
      const isEmpty = time === 0 && snapshots.length === 0

      made.push(isEmpty ? undefined : await app.control.snapshot(shard, { timeoutMs: hourMs }))
    }
    return made
  } finally {
    await app.close()
  }
}

const hourMs = 3_600_000

/** Whether a finding is a note, or was accepted. */
const isAccepted = (
  { kind, what }: SplitFinding,
  { accept, projections, ...flags }: Accepted,
): boolean => {
  switch (kind) {
    case 'cross-shard':
      return accept === 'cross-shard'
    case 'cut-log':
      return flags['cut-log']
    case 'commitments':
      return flags['new-commitments']
    case 'projection':
      return projections.includes(what) || projections.includes('*')
    case 'unread':
      return false
    default:
      return true
  }
}

/** The meaning of a finding, and the remedy. */
const meanings: Readonly<Record<SplitFindingKind, string>> = {
  'cross-shard':
    'would fail with CROSS_SHARD: change the program, then --accept cross-shard. What was written stays whole',
  unread: 'has not read all entries: let the instance run until it has, and make the backup then',
  'cut-log': 'stays in the backup alone: --cut-log',
  projection: 'is made again from the present rows: --projections drop:NAME',
  commitments: 'ends with the folder of the backup, and a new one begins: --new-commitments',
  producer: 'rows derived from the log are left out, and derived again from later frames',
  commits: 'a commit that is repeated under its id takes effect again',
}

const findingLine = ({ kind, what, count, examples, isRefused }: Judged): string => {
  const times = count > 1 ? `, ${countText(count)} times` : ''
  const mark = isRefused ? 'refused' : 'noted'
  return `${mark}  ${printable(what)}${times}: ${meanings[kind]} (${printable(examples.slice(0, 3).join('; '))})`
}

/** A line for each finding. */
export const findingLines = ({ findings }: SplitReport): readonly string[] =>
  findings.map(findingLine)

/** The report for people. */
export const splitText = (report: SplitReport): string => {
  const { dir, before, shards, made } = report
  const lines = findingLines(report)
  if (splitStatus(report) !== 0) return [...lines, 'Nothing was made.'].join('\n')
  if (!made) return [...lines, `${before} → ${shards} shards: nothing is against it.`].join('\n')
  const rows = made.shards.reduce((sum, each) => sum + each.rows, 0)
  return [
    ...lines,
    `restored to ${printable(dir)} with ${countText(shards)} shards instead of ${countText(before)}`,
    `${countText(rows)} rows, each there once: the sums before and after are equal`,
    waitsText,
  ].join('\n')
}
