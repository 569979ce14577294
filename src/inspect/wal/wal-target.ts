/**
 * The logs of a folder, and the facts about each beside its own files: its id in `keelson.json`,
 * and the position of its projection. The folder of a log is one log; a data folder has one for
 * each shard. Changes nothing and takes no lock.
 */
import { join } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Damage,
  type DataFolderFacts,
  type Disk,
  examineProjection,
  type LogKnowledge,
  lockFileName,
  readDataFolder,
  refusing,
  shardFolder,
  shardsPresent,
  shareLock,
} from '../../storage/index.ts'

/** One log. */
export type LogTarget = {
  /** Its shard; absent for a log alone. */
  readonly shard?: number
  readonly dir: string
  readonly knowledge: LogKnowledge
  readonly remarks: readonly string[]
  /** It must exist: `keelson.json` names it. */
  readonly mustExist: boolean
}

/** The kind and content of a folder. */
export type WalTarget = {
  readonly dir: string
  readonly isDataFolder: boolean
  readonly logs: readonly LogTarget[]
  /** The content of `keelson.json`; absent when it is missing or damaged. */
  readonly facts?: DataFolderFacts
  /** The fault of `keelson.json`. */
  readonly damage: readonly Damage[]
  /** The process that has the folder open, as it described itself; absent when there is none. */
  readonly heldBy?: string
}

/**
 * Reads `dir`.
 * @throws KeelsonError `INVALID_ARGUMENT` when it is not a folder; `UNSUPPORTED_VERSION`; an error
 * of the disk
 */
export const walTarget = (disk: Disk, dir: string): WalTarget =>
  refusing(() => {
    const kind = disk.entry(dir)?.kind
    if (kind !== 'folder')
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        `${dir} ${kind ? 'is not a folder' : 'does not exist'}`,
        {
          details: { path: dir },
        },
      )
    const present = shardsPresent(disk, dir)
    const reading = readDataFolder(disk, dir)
    if (present.length > 0 || reading.state !== 'absent')
      return dataFolder(disk, dir, present, reading)
    const inner = join(dir, 'wal')
    const log = disk.entry(inner)?.kind === 'folder' ? inner : dir
    const heldBy = holderOf([log])
    const knowledge = { isLive: heldBy !== undefined }
    return {
      dir: log,
      isDataFolder: false,
      logs: [{ dir: log, knowledge, remarks: [], mustExist: false }],
      damage: [],
      ...(heldBy === undefined ? {} : { heldBy }),
    }
  })

const dataFolder = (
  disk: Disk,
  dir: string,
  present: readonly number[],
  reading: ReturnType<typeof readDataFolder>,
): WalTarget => {
  const facts = reading.state === 'sound' ? reading.facts : undefined
  const shards = facts ? Array.from({ length: facts.shards }, (_, shard) => shard) : present
  const heldBy = holderOf([dir, ...shards.map((shard) => shardFolder(dir, shard).wal)])
  const evidence =
    reading.state === 'damaged' ? reading.evidence : 'it is missing, and there are shards'
  return {
    dir,
    isDataFolder: true,
    logs: shards.map((shard) => shardTarget(disk, dir, shard, facts, heldBy !== undefined)),
    damage: facts ? [] : [{ file: 'keelson.json', offset: 0, lsn: 0, evidence }],
    ...(facts ? { facts } : {}),
    ...(heldBy === undefined ? {} : { heldBy }),
  }
}

const shardTarget = (
  disk: Disk,
  dir: string,
  shard: number,
  facts: DataFolderFacts | undefined,
  isLive: boolean,
): LogTarget => {
  const { wal, lmdb } = shardFolder(dir, shard)
  const walId = facts?.logs[shard]
  const floor = facts?.floors?.[shard]
  // A file that is being written may look damaged, and its content is about to change.
  const projection = isLive ? undefined : examineProjection(disk, lmdb)
  const position = projection?.state === 'sound' ? projection.position : undefined
  return {
    shard,
    dir: wal,
    knowledge: {
      isLive,
      holdsUnits: true,
      ...(walId === undefined ? {} : { walId }),
      ...(floor ? { floor } : {}),
      ...(position ? { shown: position } : {}),
    },
    remarks:
      projection?.state === 'damaged'
        ? [`the projection is damaged and would be built anew: ${projection.evidence}`]
        : [],
    mustExist: facts !== undefined,
  }
}

/** The holder of one of these folders, in one line. */
const holderOf = (folders: readonly string[]): string | undefined => {
  try {
    lockAll(folders)()
    return undefined
  } catch (error) {
    if (!isKeelsonError(error, 'LOCKED_DIR')) throw error
    return error.message
  }
}

/**
 * Locks each of these folders, by default so that no process can open them, and returns the function
 * that releases all. @throws KeelsonError `LOCKED_DIR` when one is open; none is locked then
 */
export const lockAll = (
  folders: readonly string[],
  lock: (path: string) => { release(): void } = shareLock,
): (() => void) => {
  const locks: { release(): void }[] = []
  const release = () => {
    for (const each of locks.splice(0).reverse()) each.release()
  }
  try {
    for (const folder of new Set(folders))
      locks.push(refusing(() => lock(join(folder, lockFileName))))
    return release
  } catch (error) {
    release()
    throw error
  }
}
