/**
 * `keelson reshard`: gives a data folder more shards in its place. The folder is open here for the whole
 * time, without a user's tree, so that nobody writes after the backup. The new folder is made beside it
 * and takes its place; the old one stays as `DIR.before`. It is apart from `keelson restore --shards`,
 * which has no folder to replace.
 */
import { lstatSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import {
  beginSwap,
  completeSwap,
  type Disk,
  describeHolder,
  dropSwap,
  type FolderSwap,
  lockFileName,
  nodeDisk,
  readDataFolder,
  readSwap,
  refusing,
} from '../../storage/index.ts'
import { wrongFolder } from '../../tools/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { newFolder, refusedFolder } from '../command/new-folder.ts'
import { printable } from '../text/paint.ts'
import { openedFolder } from './backup-command.ts'
import type { ReshardCommand } from './backup-command-line.ts'
import {
  checkCount,
  findingLines,
  type SplitReport,
  splitFolder,
  splitJson,
  splitStatus,
  splitText,
} from './split-command.ts'

/** The outcome. `split` is absent if an earlier run had made the folder, and this one completed it. */
type Resharded = {
  readonly dir: string
  readonly before?: string
  readonly split?: SplitReport
  /** The swap of an earlier run was given up: the folder is the old one. */
  readonly isAbandoned?: true
}

/**
 * Runs the command and resolves with the exit status: 4 if something is against more shards.
 * @throws KeelsonError the error that ended it; `LOCKED_DIR` for a folder that is open
 */
export const runReshard = (command: ReshardCommand, environment: Environment): Promise<number> => {
  const dir = resolve(environment.cwd, command.dir)
  return runReported(
    command,
    environment,
    async (work): Promise<Resharded> => {
      refusePlace(dir)
      const disk = nodeDisk()
      const swap = refusing(() => readSwap(disk, dir))
      if (swap) return completedLater(disk, work, dir, swap)
      return resharded(disk, work, dir, command)
    },
    {
      text: reportText,
      json: ({ split, ...places }) => ({ ...places, ...(split && { split: splitJson(split) }) }),
      status: ({ split }) => (split ? splitStatus(split) : 0),
    },
  )
}

/**
 * A folder is replaced where it is. `/srv/app/data` links to `/mnt/big/data`: the link would be moved, the
 * new folder would be on another disk, and a service that is given `/mnt/big/data` would start on the old one.
 */
const refusePlace = (dir: string): void => {
  const entry = lstatSync(dir, { throwIfNoEntry: false })
  if (entry?.isSymbolicLink())
    throw wrongFolder(dir, 'is a symbolic link: give the folder that it leads to')
  if (entry && entry.dev !== lstatSync(dirname(dir)).dev) throw wrongFolder(dir, mountPoint)
}

const mountPoint =
  'is a mount point, which cannot be moved: make a backup, and `keelson restore --shards` into a new folder'

/** The folder of backup and new folder, until the swap. */
const workFolder = (dir: string): string => `${dir}.resharding`

const completed = (disk: Disk, dir: string, swap: FolderSwap): Resharded => {
  const outcome = refusing(() => completeSwap(disk, dir, swap))
  refusing(() => disk.remove(workFolder(dir)))
  return outcome === 'replaced' ? { dir, before: swap.before } : { dir, isAbandoned: true }
}

/** Completes the swap of an earlier run. With the lock of the folder: that run may still work. */
const completedLater = (
  disk: Disk,
  { environment: { clock } }: Work,
  dir: string,
  swap: FolderSwap,
): Resharded => {
  const holder = describeHolder({ since: clock.now() })
  const isThere = refusing(() => disk.entry(dir)) !== undefined
  const lock = isThere ? refusing(() => disk.lock(join(dir, lockFileName), holder)) : undefined
  try {
    return completed(disk, dir, swap)
  } finally {
    lock?.release()
  }
}

const resharded = async (
  disk: Disk,
  work: Work,
  dir: string,
  { shards, 'dry-run': isDry, ...accepted }: ReshardCommand,
): Promise<Resharded> => {
  const reading = refusing(() => readDataFolder(disk, dir))
  if (reading.state !== 'sound') throw wrongFolder(dir, 'is not a data folder')
  if (shards === undefined) throw wrongFolder(dir, 'has no swap to complete: --shards is needed')
  checkCount(reading.facts.shards, shards)
  refusing(() => dropSwap(disk, dir))
  const before = `${dir}.before`
  if (disk.entry(before)) throw refusedFolder(before, 'it exists')
  const app = await openedFolder(dir)
  const [around, next] = [workFolder(dir), join(workFolder(dir), 'data')]
  const waits = reading.facts.waits === true
  let swap: FolderSwap | undefined
  try {
    // A run that was killed left it: this one has the lock of the folder.
    refusing(() => disk.remove(around))
    newFolder(disk, around)
    const from = join(around, 'backup')
    await app.backup(from, {
      onProgress: ({ shard, ...done }) =>
        work.display.show({ ...done, what: `copying shard ${shard}` }),
    })
    const terms = { ...accepted, from, to: next, shards, at: undefined, isDry, waits: true }
    const split = await splitFolder(work, terms)
    if (!split.made) return { dir, split }
    const made = refusing(() => readDataFolder(disk, next))
    if (made.state !== 'sound') throw new KeelsonError('CORRUPT', `${next} has no description`)
    const begun = { next, before, instanceId: made.facts.instanceId, waits }
    // Before the folder is closed: from here on nobody else opens it.
    refusing(() => beginSwap(disk, dir, begun))
    swap = begun
    return { dir, before, split }
  } finally {
    await app.close()
    try {
      if (swap) completed(disk, dir, swap)
    } finally {
      // A swap that has not come to its end has the new folder in there.
      if (!refusing(() => readSwap(disk, dir))) refusing(() => disk.remove(around))
    }
  }
}

const reportText = ({ dir, before, split, isAbandoned }: Resharded): string => {
  if (isAbandoned)
    return `${printable(dir)} is the folder as it was: the swap had not begun, or the new folder is gone`
  if (split && before === undefined) return splitText(split)
  const shards = split
    ? [`${printable(dir)} has ${split.shards} shards instead of ${split.before}`]
    : []
  return [
    ...(split ? findingLines(split) : []),
    ...shards,
    ...(split ? [] : [`completed: ${printable(dir)} is the new folder`]),
    `The old one is ${printable(before ?? '')}, and waits as a copy: remove it when all is well.`,
  ].join('\n')
}
