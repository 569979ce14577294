/**
 * `keelson.json`, which describes a data folder, and the shards that a folder has. That file is
 * written last and atomically, so a folder that has it is complete.
 */
import { join } from 'node:path'
import { plainJson } from '../../bytes/json.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, readWhole } from '../ports/disk.ts'
import { factsFileName, type ShardFolders, shardFolder } from '../ports/folder-layout.ts'
import type { LogFloor } from '../ports/log-floor.ts'
import { type Claims, holdsWith, replaceFile, sealedJson, unsealed } from '../ports/sealed-file.ts'
import { readFloor } from './floor-file.ts'

/** The format that this version writes, and the newest that it reads. */
const dataFolderFormat = 1

/** How a key finds its shard. */
export const shardHash = 'crc32'

/** No `keelson.json` is longer than this. */
const factsBytesMax = 65_536

/** The facts in `keelson.json`. */
export type DataFolderFacts = {
  /** 1 to 128 characters, drawn at random when the folder was made, never changed. */
  readonly instanceId: string
  /** Number of shards, from 1 to 1,024. */
  readonly shards: number
  /** The id of each shard's log, in hex. A log holds only the keys of its shard. */
  readonly logs: readonly string[]
  /** When the folder was made, in ms since 1970. */
  readonly created: number
  /** The folder that this one was restored from; absent in one that was made new. */
  readonly origin?: FolderOrigin
  /** True in a copy that may not act yet: its origin may act, or have acted since. */
  readonly waits?: true
  /** Another folder takes the place of this one, at this path; nothing may write here since. */
  readonly swap?: string
  /** The folder is a cache: the logs are in this engine. Absent if they are in the folder. */
  readonly cache?: CacheOrigin
}

/** The origin of a cache: a cluster, and the description of its engine when the cache was made. */
export type CacheOrigin = {
  readonly cluster: string
  readonly engine: string
  /** How many losses of the cluster were accepted before it was filled; 0. */
  readonly losses?: number
}

/**
 * The origin of a restored folder: its instance, and each shard's log there with the last LSN that
 * both have in common. With fewer logs than shards it was split: shard s from log s modulo their number.
 */
export type FolderOrigin = {
  readonly instanceId: string
  readonly logs: readonly { readonly walId: string; readonly lsn: number }[]
}

/** The result of reading `keelson.json`. */
export type DataFolderReading =
  | { readonly state: 'absent' }
  | { readonly state: 'sound'; readonly facts: DataFolderFacts }
  /** `claims`: what it says all the same. */
  | { readonly state: 'damaged'; readonly evidence: string; readonly claims?: Claims }

/**
 * The numbers of the shards that have a folder in `dir`, in order. Does not read `keelson.json`.
 */
export const shardsPresent = (disk: Disk, dir: string): number[] =>
  (disk.entry(dir) ? disk.list(dir) : [])
    .map((name) => /^shard-(0|[1-9]\d{0,8})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((one, other) => one - other)

/**
 * A shard of a data folder, and what is known of its log: the id in `keelson.json`, none if that is
 * damaged, and its floor.
 */
export type KnownShard = {
  readonly shard: number
  readonly folders: ShardFolders
  readonly walId: string | undefined
  /** Of this log; absent if nothing is known. */
  readonly floor?: LogFloor
  /** Why the floor cannot be read. */
  readonly floorFault?: string
}

/** The shards that `keelson.json` names, or else the `present` ones. */
export const knownShards = (
  disk: Disk,
  dir: string,
  reading: DataFolderReading,
  present: readonly number[],
): KnownShard[] => {
  const { shards, logs } = reading.state === 'sound' ? reading.facts : {}
  const numbers = shards === undefined ? present : Array.from({ length: shards }, (_, at) => at)
  return numbers.map((shard) => {
    const folders = shardFolder(dir, shard)
    const walId = logs?.[shard]
    return { shard, folders, walId, ...floorIn(disk, folders.floor, walId) }
  })
}

const floorIn = (
  disk: Disk,
  path: string,
  walId: string | undefined,
): Pick<KnownShard, 'floor' | 'floorFault'> => {
  try {
    const floor = readFloor(disk, path)
    return floor && (walId === undefined || walId === floor.walId) ? { floor } : {}
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return { floorFault: error.message }
  }
}

/**
 * Reads the `keelson.json` of `dir` and changes nothing.
 * @throws KeelsonError `UNSUPPORTED_VERSION` if a newer version made it; DiskError if it cannot be
 * read
 */
export const readDataFolder = (disk: Disk, dir: string): DataFolderReading => {
  const path = join(dir, factsFileName)
  const entry = disk.entry(path)
  if (!entry) return { state: 'absent' }
  if (entry.kind !== 'file' || entry.size > factsBytesMax)
    return { state: 'damaged', evidence: `a ${entry.kind} of ${entry.size} bytes` }
  return decodeDataFolder(readWhole(disk, path))
}

/**
 * Writes the `keelson.json` of `dir`: to a temporary file, which is synced and renamed, and then
 * the folder is synced. The facts are durable when it returns. After an error or a power cut the
 * file is the old one or the new one. It may replace a damaged file. @throws DiskError: no
 * temporary file is left. After a power cut the next write removes it.
 */
export const writeDataFolder = (disk: Disk, dir: string, facts: DataFolderFacts): void => {
  replaceFile(disk, join(dir, factsFileName), encodeDataFolder(facts))
}

/**
 * Encodes `keelson.json`. @throws KeelsonError `INVALID_ARGUMENT` for facts that `decodeDataFolder`
 * would refuse
 */
export const encodeDataFolder = (facts: DataFolderFacts): Uint8Array => {
  const { instanceId, shards, logs, created, origin, waits, swap, cache } = facts
  const known = { format: dataFolderFormat, instanceId, shards, shardHash, logs, created }
  const fields = {
    ...known,
    ...(origin && { origin }),
    ...(waits && { waits }),
    ...(swap !== undefined && { swap }),
    ...(cache && { cache }),
  }
  const fault = faultOf(fields)
  if (fault !== undefined) throw new KeelsonError('INVALID_ARGUMENT', `data folder: ${fault}`)
  return sealedJson(fields)
}

/**
 * Decodes `keelson.json`. Every format keeps `format` and `crc` as they are here, so a newer file
 * is distinguished from a damaged one.
 * @throws KeelsonError `UNSUPPORTED_VERSION` for a sound file of a newer format, with
 * `details.format` and `supported`
 */
export const decodeDataFolder = (
  bytes: Uint8Array,
): Exclude<DataFolderReading, { state: 'absent' }> => {
  const sealed = unsealed(bytes)
  if ('evidence' in sealed) return { state: 'damaged', ...sealed }
  const { fields } = sealed
  const { format } = fields
  if (typeof format === 'number' && format > dataFolderFormat)
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `the data folder has format ${format}; this version reads up to ${dataFolderFormat}`,
      { details: { format, supported: dataFolderFormat } },
    )
  const fault = faultOf(fields)
  if (fault !== undefined) return { state: 'damaged', evidence: fault }
  return { state: 'sound', facts: factsIn(fields) }
}

/** The facts of valid fields. */
const factsIn = (fields: Record<string, unknown>): DataFolderFacts => {
  const { instanceId, shards, logs, created, ...more } = fields as DataFolderFacts
  const { origin, waits, swap, cache } = more
  return {
    instanceId,
    shards,
    logs,
    created,
    ...(origin && { origin }),
    ...(waits && { waits }),
    ...(swap !== undefined && { swap }),
    ...(cache && { cache: cacheOf(cache) }),
  }
}

/**
 * The facts of a damaged `keelson.json`, if its folder confirms them: with the ids of the logs that
 * are there its checksum holds, or it names these logs.
 */
export const confirmedFacts = (
  claims: Claims,
  logs: readonly string[],
): DataFolderFacts | undefined => {
  const fields: Record<string, unknown> = { ...claims.fields, shards: logs.length, logs }
  if (faultOf(fields) !== undefined) return undefined
  const facts = factsIn(fields)
  if (holdsWith(claims, fields)) return facts
  const { shards, logs: claimed } = claims.fields
  const isSame = shards === logs.length && plainJson(claimed) === plainJson(logs)
  if (!isSame) return undefined
  // Its mark may be what is damaged.
  return facts.origin ? { ...facts, waits: true } : facts
}

/** The fault of the fields of format 1; `undefined` if they are valid. */
const faultOf = (fields: Record<string, unknown>): string | undefined => {
  const { format, instanceId, shards, logs, created, origin, waits, swap, cache } = fields
  if (format !== dataFolderFormat) return `format ${String(format)}`
  if (typeof instanceId !== 'string' || instanceId.length < 1 || instanceId.length > 128)
    return 'instanceId is no text of 1 to 128 characters'
  if (!isWhole(shards, 1, 1024)) return 'shards is no whole number from 1 to 1024'
  const isId = (id: unknown) => typeof id === 'string' && /^[0-9a-f]{32}$/.test(id)
  if (!Array.isArray(logs) || logs.length !== shards || !logs.every(isId))
    return 'logs is no list of one id a shard'
  if (!isWhole(created, 0, Number.MAX_SAFE_INTEGER)) return 'created is no time in ms'
  if (origin !== undefined && !isOrigin(origin, shards))
    return 'origin is no list of the logs of shards that these are, or that they were split from'
  if (waits !== undefined && waits !== true) return 'waits is not true'
  if (swap !== undefined && typeof swap !== 'string') return 'swap is no path'
  if (cache !== undefined && !isCacheOrigin(cache)) return 'cache names no cluster and engine'
  return fields.shardHash === shardHash ? undefined : 'shardHash is unknown'
}

const isOrigin = (origin: unknown, shards: unknown): boolean => {
  const { instanceId, logs } = (origin ?? {}) as Partial<FolderOrigin>
  const isPlace = (place: unknown): boolean => {
    const { walId, lsn } = (place ?? {}) as Partial<FolderOrigin['logs'][number]>
    return typeof walId === 'string' && isWhole(lsn, 0, Number.MAX_SAFE_INTEGER)
  }
  return (
    typeof instanceId === 'string' &&
    Array.isArray(logs) &&
    logs.length > 0 &&
    Number(shards) % logs.length === 0 &&
    logs.every(isPlace)
  )
}

const isCacheOrigin = (cache: unknown): boolean => {
  const { cluster, engine, losses = 0 } = (cache ?? {}) as Partial<CacheOrigin>
  return typeof cluster === 'string' && typeof engine === 'string' && Number.isSafeInteger(losses)
}

const cacheOf = ({ cluster, engine, losses }: CacheOrigin): CacheOrigin => ({
  cluster,
  engine,
  ...(losses !== undefined && { losses }),
})

const isWhole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
