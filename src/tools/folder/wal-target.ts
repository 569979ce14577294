/**
 * The logs of a folder: the folder of a log is one log; a data folder has one for each shard.
 * Changes nothing and takes no lock.
 */
import { join } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import {
  type CacheOrigin,
  type DataFolderFacts,
  type Disk,
  type KnownShard,
  knownShards,
  readDataFolder,
  refusing,
  shardsPresent,
} from '../../storage/index.ts'

/** One log. */
export type LogTarget = {
  readonly dir: string
  /** Its shard; absent for a log alone. */
  readonly known?: KnownShard
}

/** The kind and content of a folder. */
export type WalTarget = {
  readonly dir: string
  readonly isDataFolder: boolean
  readonly logs: readonly LogTarget[]
  /** The content of `keelson.json`; absent when it is missing or damaged. */
  readonly facts?: DataFolderFacts
}

/** The refusal of a path that is not what a command needs. */
export const wrongFolder = (path: string, why: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} ${why}`, { details: { path } })

/** @throws KeelsonError `INVALID_ARGUMENT` unless `dir` is a folder */
export const expectFolder = (disk: Disk, dir: string): void => {
  const kind = disk.entry(dir)?.kind
  if (kind !== 'folder') throw wrongFolder(dir, kind ? 'is not a folder' : 'does not exist')
}

/**
 * Reads `dir`.
 * @throws KeelsonError `INVALID_ARGUMENT` when it is not a folder; `CONFIG` for a cache;
 * `UNSUPPORTED_VERSION`; an error of the disk
 */
export const walTarget = (disk: Disk, dir: string): WalTarget =>
  refusing(() => {
    expectFolder(disk, dir)
    const present = shardsPresent(disk, dir)
    const reading = readDataFolder(disk, dir)
    if (present.length > 0 || reading.state !== 'absent')
      return dataFolder(disk, dir, present, reading)
    const inner = join(dir, 'wal')
    const log = disk.entry(inner)?.kind === 'folder' ? inner : dir
    return { dir: log, isDataFolder: false, logs: [{ dir: log }] }
  })

/** The logs of a cache are not in its folder. @throws KeelsonError `CONFIG` */
const refuseCache = (dir: string, { cluster, engine }: CacheOrigin): never => {
  const message =
    `${dir} is a cache of the cluster ${cluster}: its logs are in ${engine}. ` +
    'The member that owns it reads them with app.wal(shard).read(); keelson doctor examines the cache'
  throw new KeelsonError('CONFIG', message, { details: { path: 'dir', dir } })
}

const dataFolder = (
  disk: Disk,
  dir: string,
  present: readonly number[],
  reading: ReturnType<typeof readDataFolder>,
): WalTarget => {
  const facts = reading.state === 'sound' ? reading.facts : undefined
  if (facts?.cache) refuseCache(dir, facts.cache)
  const logs = knownShards(disk, dir, reading, present).map((known) => ({
    dir: known.folders.wal,
    known,
  }))
  return { dir, isDataFolder: true, logs, ...(facts && { facts }) }
}
