/**
 * Takes a data folder for one instance: its locks, all of them once, before anything is looked at; what it says it is;
 * and its creation, in an order that a crash can interrupt anywhere: LOCK, the shards' logs, `keelson.json` last. What fails
 * leaves an old folder as it was, but for LOCK, and of a new one nothing.
 */
import { dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { KeelsonError } from '../errors.ts'
import {
  type DataFolderFacts,
  type Disk,
  DiskError,
  type DiskLock,
  describeHolder,
  lockFileName,
  readDataFolder,
  refusing,
  shardFolder,
  shardsPresent,
  writeDataFolder,
} from '../storage/index.ts'
import { configError } from './config-error.ts'

/** A folder that is ours until `release`. */
export type FolderClaim = {
  readonly dir: string
  readonly shards: number
  /** It does not say what it is: the shards' logs are to be made, then `finish` is called. */
  readonly isNew: boolean
  /** Shards in a folder that does not say what it is, beyond those that it is to have. */
  readonly leftovers: readonly number[]
  /** The logs are there: says what the folder is. Durable when it returns. */
  readonly finish: () => void
  /** Takes back what was made in a new folder. */
  readonly undo: () => void
  /** Gives up the locks. */
  readonly release: () => void
}

/** What is claimed, and for whom. */
export type ClaimRequest = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly instance: string
  /** As the options say; `undefined` takes what the folder has. */
  readonly shards: number | undefined
}

/**
 * Claims the folder.
 * @throws KeelsonError `LOCKED_DIR` with `details.holder`; `CONFIG` for another number of shards than the folder's; `CORRUPT`;
 * `UNSUPPORTED_VERSION`; `READ_ONLY`; `NO_SPACE`
 */
export const claimFolder = (request: ClaimRequest): FolderClaim => {
  const { disk, dir } = request
  const wasThere = refusing(() => disk.entry(dir))
  if (wasThere && wasThere.kind !== 'folder')
    throw configError('dir', 'a folder', `${dir}, a ${wasThere.kind}`)
  const made = madeWith(disk, dir, wasThere !== undefined)
  try {
    return refusing(() => claim(request, made))
  } catch (error) {
    made.undo()
    made.releaseLocks()
    throw error
  }
}

/** What claiming has made so far, to be given back in reverse. */
type Made = {
  readonly locks: DiskLock[]
  readonly paths: string[]
  readonly releaseLocks: () => void
  readonly undo: () => void
}

const madeWith = (disk: Disk, dir: string, wasThere: boolean): Made => {
  const locks: DiskLock[] = []
  const paths: string[] = wasThere ? [] : [firstMissing(disk, dir)]
  return {
    locks,
    paths,
    releaseLocks: () => {
      for (const lock of locks.splice(0).reverse()) lock.release()
    },
    undo: () => {
      for (const path of paths.splice(0).reverse()) disk.remove(path)
    },
  }
}

/** The topmost folder that making `dir` makes. */
const firstMissing = (disk: Disk, dir: string): string => {
  const parent = dirname(dir)
  return parent === dir || refusing(() => disk.entry(parent)) ? dir : firstMissing(disk, parent)
}

const claim = (request: ClaimRequest, made: Made): FolderClaim => {
  const { disk, clock, dir } = request
  makeDurably(disk, dir)
  const hadLock = disk.entry(join(dir, lockFileName)) !== undefined
  made.locks.push(disk.lock(join(dir, lockFileName), holderOf(request)))
  if (!hadLock) made.paths.push(join(dir, lockFileName))
  const reading = readDataFolder(disk, dir)
  const facts = reading.state === 'sound' ? reading.facts : undefined
  const shards = shardsOf(request, facts)
  for (let shard = 0; shard < shards; shard++) lockShard(request, shard, facts, made)
  return {
    dir,
    shards,
    isNew: facts === undefined,
    leftovers: facts ? [] : shardsPresent(disk, dir).filter((shard) => shard >= shards),
    finish: () => {
      refusing(() => writeDataFolder(disk, dir, newFacts(clock, shards)))
      made.paths.length = 0
    },
    undo: made.undo,
    release: made.releaseLocks,
  }
}

/** Where no folder can be: under a file, in a file system that makes none, with a name that is too long. */
const noPlace = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']

/** Makes the folder and those above it, each one's name durable in the one above. */
const makeDurably = (disk: Disk, dir: string): void => {
  if (disk.entry(dir)) return
  const top = firstMissing(disk, dir)
  try {
    disk.makeFolder(dir)
  } catch (error) {
    if (!(error instanceof DiskError) || !noPlace.includes(error.code)) throw error
    throw configError('dir', 'a folder, or a place for one', `${dir} (${error.code})`)
  }
  for (let path = dir; path.startsWith(top) && path !== dirname(path); path = dirname(path))
    disk.syncFolder(dirname(path))
}

const shardsOf = ({ dir, shards }: ClaimRequest, facts: DataFolderFacts | undefined): number => {
  if (!facts) return shards ?? 1
  if (shards !== undefined && shards !== facts.shards)
    throw configError('shards', `${facts.shards}, as ${dir} was made with`, shards)
  return facts.shards
}

const lockShard = (
  request: ClaimRequest,
  shard: number,
  facts: DataFolderFacts | undefined,
  made: Made,
): void => {
  const { disk, dir } = request
  const { path, wal } = shardFolder(dir, shard)
  if (!disk.entry(wal)) {
    if (facts)
      throw new KeelsonError('CORRUPT', `Shard ${shard} has no log.`, {
        details: { shard, file: wal, evidence: 'keelson.json says that it was made' },
      })
    if (!disk.entry(path)) made.paths.push(path)
    disk.makeFolder(wal)
    disk.syncFolder(path)
    disk.syncFolder(dir)
  }
  made.locks.push(disk.lock(join(wal, lockFileName), holderOf(request)))
}

const holderOf = ({ instance, clock }: ClaimRequest): string =>
  describeHolder({ instance, since: clock.now() })

const newFacts = (clock: Clock, shards: number): DataFolderFacts => ({
  instanceId: Buffer.from(clock.randomBytes(16)).toString('hex'),
  shards,
  created: clock.now(),
})
