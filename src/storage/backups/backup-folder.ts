/** The folder of a backup while it is made: its lock, a check of what is in it, and its last files. */
import { dirname, join } from 'node:path'
import { configError, invalidArgument, KeelsonError } from '../../errors.ts'
import { readDataFolder, shardsPresent } from '../disk/data-folder.ts'
import type { BackupClaim, BackupContent } from '../ports/backup-folder.ts'
import type { Disk } from '../ports/disk.ts'
import { factsFileName, lockFileName, shardFolder } from '../ports/folder-layout.ts'
import { makeFolders } from '../ports/new-folders.ts'
import { type Backup, backupFileName, readBackup, writeBackup } from './backup-file.ts'
import { tidyShard } from './shard-copy.ts'

/** A locked folder. */
export type ClaimedBackup = {
  finish(content: BackupContent): void
  release(): void
}

/** Locks a folder as `BackupFolders` says. @throws KeelsonError, DiskError */
export const claimBackup = (disk: Disk, { dir, own, holder }: BackupClaim): ClaimedBackup => {
  if (isWithin(disk, dir, own) || isWithin(disk, own, dir)) throw insideData(dir)
  const found = disk.entry(dir)
  if (found && found.kind !== 'folder') throw configError('dir', 'a folder', dir)
  makeFolders(disk, dir)
  const lock = disk.lock(join(dir, lockFileName), holder)
  try {
    refuseForeign(disk, own, dir)
  } catch (error) {
    lock.release()
    throw error
  }
  return {
    finish: (content) => {
      writeBackup(disk, dir, { facts: factsOf(disk, own), ...content })
      for (const [index, copy] of content.shards.entries())
        tidyShard(disk, shardFolder(dir, index), copy)
    },
    release: () => lock.release(),
  }
}

/** The refusal of a folder for a backup. */
const insideData = (dir: string): KeelsonError =>
  invalidArgument('dir', 'a folder neither in the data folder nor around it', dir)

/**
 * Whether `folder` is the folder `path` or one above it, whatever links lead there: the system follows
 * them on each way up. A path that is not there yet is made in the first folder above it that is.
 */
const isWithin = (disk: Disk, path: string, folder: string): boolean => {
  const wanted = disk.identity(folder)
  let at = path
  while (disk.entry(at) === undefined && dirname(at) !== at) at = dirname(at)
  for (let below: string | undefined; wanted !== undefined; at += '/..') {
    const here = disk.identity(at)
    if (here === wanted) return true
    if (here === undefined || here === below) return false
    below = here
  }
  return false
}

const isOfBackup = (name: string): boolean =>
  name.startsWith(lockFileName) || name.startsWith(backupFileName) || name.startsWith('shard-')

/** Refuses a folder with anything but a backup of this instance, finished or not. */
const refuseForeign = (disk: Disk, own: string, dir: string): void => {
  const before = readBackup(disk, dir)
  const shards = shardsPresent(disk, dir).map((shard) => shardFolder(dir, shard))
  const isData = shards.some(
    ({ wal, lmdb }) => disk.entry(join(wal, 'MANIFEST')) || disk.entry(lmdb),
  )
  const stranger = disk.list(dir).find((name) => !isOfBackup(name)) ?? (isData && factsFileName)
  if (stranger)
    throw new KeelsonError('CONFLICT', `${dir} is not the folder of a backup: it has ${stranger}`, {
      details: { dir, file: stranger },
    })
  const { instanceId } = factsOf(disk, own)
  if (before && before.facts.instanceId !== instanceId)
    throw new KeelsonError(
      'CONFLICT',
      `${dir} is the backup of another instance, or of this one before it was restored: move that aside, as with mv ${dir} ${dir}.before, and the next backup begins here anew`,
      { details: { dir, instanceId: before.facts.instanceId } },
    )
}

const factsOf = (disk: Disk, dir: string): Backup['facts'] => {
  const reading = readDataFolder(disk, dir)
  if (reading.state === 'sound') return reading.facts
  throw new KeelsonError('CORRUPT', `the ${factsFileName} of ${dir} is missing or damaged`, {
    details: { file: factsFileName },
  })
}
