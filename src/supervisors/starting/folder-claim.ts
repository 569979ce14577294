/**
 * Claims a data folder for one instance: takes all its locks before reading anything, reads its
 * description, and creates it if it is new. A crash may interrupt the creation anywhere: LOCK comes
 * first, then the shards' logs, `keelson.json` last. A failure leaves an old folder unchanged
 * except for LOCK, and removes a new one.
 */

import { dirname, join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { configError, KeelsonError } from '../../errors.ts'
import {
  attempt,
  backupFileName,
  type CacheOrigin,
  type DataFolderFacts,
  type Disk,
  DiskError,
  type DiskLock,
  describeHolder,
  factsFileName,
  isLockName,
  isLogName,
  type LockHolder,
  type LogFloor,
  lockFileName,
  raiseFloor,
  readDataFolder,
  refuseSwap,
  refuseSwapped,
  refusing,
  removeLog,
  shardFolder,
  shardsPresent,
  writeDataFolder,
} from '../../storage/index.ts'

/** A folder that this instance holds until `release`. */
export type FolderClaim = {
  readonly dir: string
  readonly shards: number
  /** The folder's own id; `undefined` until it has a description. */
  readonly instanceId: () => string | undefined
  /**
   * The id of each shard's log; absent without a description of the folder: the logs are then to be
   * made, and `finish` called.
   */
  readonly logs: readonly string[] | undefined
  /** Shards in a folder without a description, beyond the number that it is to have. */
  readonly leftovers: readonly number[]
  /** It is a copy that may not act yet. */
  readonly waits: boolean
  /**
   * Allows a copy to act. Durable when it returns: a crash leaves the copy waiting, or allowed.
   * @throws KeelsonError `NO_SPACE`, `READ_ONLY`: it waits
   */
  readonly act: () => void
  /**
   * Notes what the logs have now in the folders of their shards. One that cannot be written keeps
   * the floor that it has, and so does a shard with `undefined`.
   */
  readonly raise: (floors: readonly (LogFloor | undefined)[]) => void
  /** The folder is a cache without a description: nothing says which logs its files are of. */
  readonly isUnknown: boolean
  /** The folder is a cache from before a loss that was accepted: nothing in it may be used. */
  readonly isOutdated: boolean
  /**
   * The logs exist, with these ids: writes a new description of the folder. Durable when it returns.
   */
  readonly finish: (logs: readonly string[]) => void
  /**
   * The identity of LOCK in the folder of a shard's log (`Disk.identity`); `undefined` without that
   * folder.
   */
  readonly lockOf: (shard: number) => string | undefined
  /** Removes everything made in a new folder, also after `finish`. */
  readonly undo: () => void
  /** Releases the locks. */
  readonly release: () => void
}

/** The folder to claim, and its instance. */
export type ClaimRequest = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly instance: string
  /** The number in the options; `undefined` takes that of the folder. */
  readonly shards: number | undefined
  /** More about the holder, for the lines of LOCK. */
  readonly holder?: LockHolder
  /** The folder is to be this cache; absent: it is to have logs. */
  readonly cache?: CacheOrigin | undefined
}

/**
 * Claims the folder.
 * @throws KeelsonError `LOCKED_DIR` with `details.holder`; `CONFIG` for another number of shards
 * than the folder's, and for a folder that is a cache, or another one, or none, against `cache`;
 * `CONFLICT` for the folder of a log or of a backup; `CORRUPT`; `UNSUPPORTED_VERSION`; `READ_ONLY`;
 * `NO_SPACE`
 */
export const claimFolder = (request: ClaimRequest): FolderClaim => {
  const { disk, dir } = request
  const wasThere = refusing(() => whereFolderCanBe(dir, () => disk.entry(dir)))
  if (wasThere && wasThere.kind !== 'folder')
    throw configError('dir', 'a folder', `${dir}, which is none`)
  // Also before anything is made: between two steps of a swap there is no folder.
  refusing(() => refuseSwap(disk, dir))
  const made: Made = { locks: [], paths: [], logs: [], parents: missingParents(disk, dir) }
  try {
    return refusing(() => claim(request, made))
  } catch (error) {
    undo(disk, made)
    release(made)
    throw error
  }
}

/**
 * Everything that claiming has made so far. `paths` are ours once the folder's LOCK is. An instance
 * that does not get the lock removes nothing, because the files may be the winner's.
 */
type Made = {
  readonly locks: { readonly path: string; readonly lock: DiskLock }[]
  readonly paths: string[]
  /** The folders of logs among them. */
  readonly logs: string[]
  readonly parents: string[]
}

const release = ({ locks }: Made): void => {
  for (const { lock } of locks.splice(0).reverse()) lock.release()
}

/**
 * Removes everything made, in reverse; folders above the data folder only if they are empty. If a
 * LOCK is another file now, it was removed by hand and the files may be another instance's: then
 * nothing is removed.
 */
const undo = (disk: Disk, made: Made): void => {
  if (hasLost(disk, made)) return
  const { paths, logs, parents } = made
  // First: their names are removed one by one, and the next start refuses a log of which a part is gone.
  for (const wal of logs.splice(0)) if (disk.entry(wal)) removeLog(disk, wal)
  for (const path of paths.splice(0).reverse()) disk.remove(path)
  for (const parent of parents.splice(0))
    if (disk.entry(parent) && disk.list(parent).length === 0) disk.remove(parent)
}

const hasLost = (disk: Disk, { locks }: Made): boolean =>
  locks.some(({ path, lock }) => disk.identity(path) !== lock.identity)

/** @throws KeelsonError `CONFLICT` for the folder of a backup */
const refuseBackup = (disk: Disk, dir: string): void => {
  if (!disk.entry(join(dir, backupFileName))) return
  throw new KeelsonError(
    'CONFLICT',
    `${dir} is a backup: \`keelson restore ${dir} --to FOLDER\` makes a data folder of it`,
    { details: { dir, file: backupFileName } },
  )
}

/** The missing folders: the data folder and those above it, the lowest first. */
const missingParents = (disk: Disk, dir: string): string[] =>
  refusing(() => disk.entry(dir)) || dirname(dir) === dir
    ? []
    : [dir, ...missingParents(disk, dirname(dir))]

const claim = (request: ClaimRequest, made: Made): FolderClaim => {
  const { disk, clock, dir } = request
  const isNewFolder = made.parents.length > 0
  makeDurably(disk, dir, made.parents)
  const lockPath = join(dir, lockFileName)
  const hadLock = disk.entry(lockPath) !== undefined
  takeLock(request, lockPath, made)
  refuseSwap(disk, dir)
  // Only with the lock it is certain what exists: another instance may have made and filled the
  // folder before.
  // Until the folder is known, LOCK alone is ours.
  if (!hadLock) made.paths.push(lockPath)
  const isEmpty = disk.list(dir).every(isLockName)
  made.paths.length = 0
  if (!hadLock && isEmpty) made.paths.push(isNewFolder ? dir : lockPath)
  if (!isEmpty) made.parents.length = 0
  const reading = readDataFolder(disk, dir)
  const facts = reading.state === 'sound' ? reading.facts : undefined
  if (facts) refuseSwapped(dir, facts)
  let written = facts
  const write = (facts: DataFolderFacts): void => {
    writeDataFolder(disk, dir, facts)
    written = facts
  }
  if (!facts) refuseLog(disk, dir)
  if (!facts) refuseBackup(disk, dir)
  refuseOtherKind(request, facts)
  const isOutdated = lossesOf(facts?.cache) < lossesOf(request.cache)
  const shards = shardsOf(request, facts)
  if (!facts) makeShards(request, shards, made)
  const shardLocks = Array.from({ length: shards }, (_, shard) => lockShard(request, shard, made))
  return {
    dir,
    shards,
    instanceId: () => written?.instanceId,
    logs: isOutdated ? undefined : facts?.logs,
    leftovers: facts ? [] : shardsPresent(disk, dir).filter((shard) => shard >= shards),
    isUnknown: request.cache !== undefined && !facts && !isEmpty,
    isOutdated,
    finish: (logs) => {
      // The members of a cluster are one instance.
      const own = request.cache && logs[0]
      const instanceId = own ?? Buffer.from(clock.randomBytes(16)).toString('hex')
      if (reading.state === 'absent') made.paths.push(join(dir, factsFileName))
      const { cache } = request
      const known = { instanceId, shards, logs, created: clock.now() }
      refusing(() => write({ ...known, ...(cache && { cache }) }))
    },
    waits: facts?.waits === true,
    act: () => {
      if (!written?.waits) return
      const { waits: _, ...acting } = written
      refusing(() => write(acting))
    },
    raise: (floors) => {
      // Whatever the disk does: the locks are released after this.
      let isOurs = false
      attempt(() => {
        isOurs = !hasLost(disk, made)
      })
      if (!isOurs) return
      written?.logs.forEach((walId, shard) => {
        const floor = floors[shard]
        const path = shardFolder(dir, shard).floor
        if (floor) attempt(() => raiseFloor(disk, path, { walId, ...floor }))
      })
    },
    lockOf: (shard) => shardLocks[shard],
    undo: () => undo(disk, made),
    release: () => release(made),
  }
}

/** Refuses the folder of a log, of `keelson/wal` or of a shard. A store has its own logs below. */
const refuseLog = (disk: Disk, dir: string): void => {
  const file = disk.list(dir).find(isLogName)
  if (file === undefined) return
  throw new KeelsonError('CONFLICT', `${dir} is the folder of a log: it has ${file}`, {
    details: { dir, file },
  })
}

/**
 * Refuses a folder with logs for a cache, and a cache for an instance that is to have its logs
 * there: it would seem to be empty. @throws `CONFIG`
 */
const refuseOtherKind = (
  { disk, dir, cache: wanted }: ClaimRequest,
  facts: DataFolderFacts | undefined,
): void => {
  const cache = facts?.cache
  const hasLogs = facts ? !cache : shardsPresent(disk, dir).some((at) => hasLog(disk, dir, at))
  if (wanted && hasLogs)
    throw otherKind(
      dir,
      `${dir} has logs of its own, and a member of a cluster has a cache: give it another folder`,
    )
  if (wanted && cache && cache.cluster !== wanted.cluster)
    throw otherKind(
      dir,
      `${dir} is a cache of the cluster ${cache.cluster}, and not of ${wanted.cluster}: give this one another folder`,
    )
  if (!wanted && cache)
    throw otherKind(
      dir,
      `${dir} is a cache of the cluster ${cache.cluster}, whose logs are in ${cache.engine}: only a member of it can open the folder (the option cluster)`,
    )
}

/** How many losses were accepted before the cache was filled. */
const lossesOf = (cache: CacheOrigin | undefined): number => cache?.losses ?? 0

const otherKind = (dir: string, message: string): KeelsonError =>
  new KeelsonError('CONFIG', message, { details: { path: 'cluster', dir } })

const hasLog = (disk: Disk, dir: string, shard: number): boolean => {
  const { wal } = shardFolder(dir, shard)
  return disk.entry(wal)?.kind === 'folder' && disk.list(wal).some(isLogName)
}

/**
 * Errors of a path where no folder can be: under a file, in a read-only kind of file system, with a
 * name that is too long.
 */
const noPlace = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']

/** Makes the missing folders, the name of each durable in the one above. */
const makeDurably = (disk: Disk, dir: string, missing: readonly string[]): void => {
  whereFolderCanBe(dir, () => missing.length > 0 && disk.makeFolder(dir))
  for (const path of missing) disk.syncFolder(dirname(path))
}

const whereFolderCanBe = <T>(dir: string, action: () => T): T => {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof DiskError) || !noPlace.includes(error.code)) throw error
    throw configError('dir', 'a folder, or a place for one', `${dir} (${error.code})`)
  }
}

const shardsOf = ({ dir, shards }: ClaimRequest, facts: DataFolderFacts | undefined): number => {
  if (!facts) return shards ?? 1
  refuseOtherShards(dir, facts.shards, shards)
  return facts.shards
}

/** @throws KeelsonError `CONFIG` for another number than that of the folder: it says how to get more */
export const refuseOtherShards = (dir: string, has: number, wanted: number | undefined): void => {
  if (wanted === undefined || wanted === has) return
  const more = wanted > has && wanted % has === 0 ? `; ${waysToMore(dir, wanted)}` : ''
  throw configError('shards', `${has}, as ${dir} has${more}`, wanted)
}

/** How a folder gets more shards. */
export const waysToMore = (dir: string, shards: number | string): string =>
  `\`keelson reshard ${dir} --shards ${shards}\` gives it more (docs/resharding.md)`

/**
 * Makes the missing folders of the shards: all, then their names durable. With a sync after
 * each the file system commits for each.
 */
const makeShards = ({ disk, dir, cache }: ClaimRequest, shards: number, made: Made): void => {
  const above: string[] = []
  for (let shard = 0; shard < shards; shard++) {
    const { path, wal } = shardFolder(dir, shard)
    const folder = cache ? path : wal
    if (disk.entry(folder)) continue
    if (!disk.entry(path)) {
      made.paths.push(path)
      made.logs.push(wal)
    }
    disk.makeFolder(folder)
    above.push(dirname(folder))
  }
  for (const folder of new Set(above.length > 0 ? [...above, dir] : [])) disk.syncFolder(folder)
}

/**
 * Locks a shard's log, if it has one: the inspection reports what lacks. A cache has no log that
 * could be opened by itself, so the lock of the whole folder is enough.
 */
const lockShard = (request: ClaimRequest, shard: number, made: Made): string | undefined => {
  const { disk, dir, cache } = request
  const { wal } = shardFolder(dir, shard)
  return cache || !disk.entry(wal) ? undefined : takeLock(request, join(wal, lockFileName), made)
}

const takeLock = (request: ClaimRequest, path: string, { locks }: Made): string | undefined => {
  const lock = request.disk.lock(path, holderOf(request))
  locks.push({ path, lock })
  return lock.identity
}

const holderOf = ({ instance, clock, holder }: ClaimRequest): string =>
  describeHolder({ instance, since: clock.now(), ...holder })
