/**
 * The data folder: where its parts stand, and `keelson.json`, which says what it is. That file is written once, when
 * everything else is there, and in one step: whoever finds it finds a folder whose creation was finished. Its checksum
 * is over its meaning, not its layout, so that a person may reformat it but nobody can change it in silence.
 */
import { join } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import { crc32 } from '../bytes/crc32.ts'
import { type Disk, DiskError } from '../ports/disk.ts'

/** The format that this version writes, and the newest that it reads. */
export const dataFolderFormat = 1

/** How a key finds its shard. */
export const shardHash = 'crc32'

/** Lock of the whole folder; a wal folder has one of the same name. */
export const lockFileName = 'LOCK'

const factsFileName = 'keelson.json'

/** More than any `keelson.json` has; a longer file is something else. */
const factsBytesMax = 65_536

/** What a data folder is. */
export type DataFolderFacts = {
  /** Who it is: 1 to 128 characters, drawn when it was made, never changed. */
  readonly instanceId: string
  /** How many shards it has, from 1 to 1,024. */
  readonly shards: number
  /** The id of each shard's log, in hex: a log stands for the keys of its shard only. */
  readonly logs: readonly string[]
  /** When it was made, in ms since 1970. */
  readonly created: number
}

/** What a look at `keelson.json` found. */
export type DataFolderReading =
  | { readonly state: 'absent' }
  | { readonly state: 'sound'; readonly facts: DataFolderFacts }
  | { readonly state: 'damaged'; readonly evidence: string }

/** The folders of one shard. */
export type ShardFolders = {
  readonly path: string
  readonly wal: string
  readonly lmdb: string
  readonly blobs: string
}

/** Where a shard stands in the data folder `dir`. */
export const shardFolder = (dir: string, shard: number): ShardFolders => {
  const path = join(dir, `shard-${shard}`)
  return { path, wal: join(path, 'wal'), lmdb: join(path, 'lmdb'), blobs: join(path, 'blobs') }
}

/** The numbers of the shards that have a folder in `dir`, in order, whatever `keelson.json` says. */
export const shardsPresent = (disk: Disk, dir: string): number[] =>
  (disk.entry(dir) ? disk.list(dir) : [])
    .map((name) => /^shard-(0|[1-9]\d{0,8})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((one, other) => one - other)

/**
 * Reads what `dir` says it is, and changes nothing.
 * @throws KeelsonError `UNSUPPORTED_VERSION` when a newer version made it; DiskError when it cannot be read.
 */
export const readDataFolder = (disk: Disk, dir: string): DataFolderReading => {
  const path = join(dir, factsFileName)
  const entry = disk.entry(path)
  if (!entry) return { state: 'absent' }
  if (entry.kind !== 'file' || entry.size > factsBytesMax)
    return { state: 'damaged', evidence: `a ${entry.kind} of ${entry.size} bytes` }
  const file = disk.open(path, 'read')
  try {
    const bytes = new Uint8Array(file.size())
    return decodeDataFolder(bytes.subarray(0, file.read(bytes, 0)))
  } finally {
    file.close()
  }
}

/**
 * Writes what `dir` is: beside its place, synced, then renamed and the folder synced. When it returns the facts are
 * durable; when it throws, or the power goes, the file is as it was before or whole. Replaces a damaged one.
 * @throws DiskError; nothing is left beside the file but by a power cut, and the next write removes that.
 */
export const writeDataFolder = (disk: Disk, dir: string, facts: DataFolderFacts): void => {
  const path = join(dir, factsFileName)
  const temporary = `${path}.tmp`
  disk.remove(temporary)
  try {
    writeWhole(disk, temporary, encodeDataFolder(facts))
    disk.rename(temporary, path)
  } catch (error) {
    removeQuietly(disk, temporary)
    throw error
  }
  disk.syncFolder(dir)
}

/** `keelson.json` as bytes. @throws KeelsonError `INVALID_ARGUMENT` for facts that could not be read back. */
export const encodeDataFolder = (facts: DataFolderFacts): Uint8Array => {
  const { instanceId, shards, logs, created } = facts
  const fields = { format: dataFolderFormat, instanceId, shards, shardHash, logs, created }
  const fault = faultOf(fields)
  if (fault !== undefined) throw new KeelsonError('INVALID_ARGUMENT', `data folder: ${fault}`)
  const text = JSON.stringify({ ...fields, crc: checksum(fields) }, undefined, 2)
  return new TextEncoder().encode(`${text}\n`)
}

/**
 * What the bytes of a `keelson.json` say. Every format, later ones too, keeps `format` and `crc` as they are here, so
 * that a newer one can be told from a damaged one.
 * @throws KeelsonError `UNSUPPORTED_VERSION` for a sound file of a newer format, with `details.format` and `supported`.
 */
export const decodeDataFolder = (
  bytes: Uint8Array,
): Exclude<DataFolderReading, { state: 'absent' }> => {
  const parsed = parseObject(bytes)
  if (!parsed) return { state: 'damaged', evidence: 'no JSON object' }
  const { crc, ...fields } = parsed
  if (crc !== checksum(fields))
    return { state: 'damaged', evidence: `its checksum is ${checksum(fields)}, not ${crc}` }
  const { format } = fields
  if (typeof format === 'number' && format > dataFolderFormat)
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `the data folder has format ${format}; this version reads up to ${dataFolderFormat}`,
      { details: { format, supported: dataFolderFormat } },
    )
  const fault = faultOf(fields)
  if (fault !== undefined) return { state: 'damaged', evidence: fault }
  const { instanceId, shards, logs, created } = fields as DataFolderFacts
  return { state: 'sound', facts: { instanceId, shards, logs, created } }
}

/** What is wrong with the fields of format 1; `undefined` when nothing is. */
const faultOf = (fields: Record<string, unknown>): string | undefined => {
  const { format, instanceId, shards, logs, created } = fields
  if (format !== dataFolderFormat) return `format ${String(format)}`
  if (typeof instanceId !== 'string' || instanceId.length < 1 || instanceId.length > 128)
    return 'instanceId is no text of 1 to 128 characters'
  if (!isWhole(shards, 1, 1024)) return 'shards is no whole number from 1 to 1024'
  const isId = (id: unknown) => typeof id === 'string' && /^[0-9a-f]{32}$/.test(id)
  if (!Array.isArray(logs) || logs.length !== shards || !logs.every(isId))
    return 'logs is no list of one id a shard'
  if (!isWhole(created, 0, Number.MAX_SAFE_INTEGER)) return 'created is no time in ms'
  return fields.shardHash === shardHash ? undefined : 'shardHash is unknown'
}

const isWhole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most

/** CRC-32 over the fields as JSON without spaces, sorted by name, in eight hex digits. */
const checksum = (fields: Record<string, unknown>): string => {
  const sorted = Object.keys(fields)
    .sort()
    .map((name) => [name, fields[name]])
  const bytes = new TextEncoder().encode(JSON.stringify(sorted))
  return crc32(bytes).toString(16).padStart(8, '0')
}

const parseObject = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value }
      : undefined
  } catch {
    return undefined
  }
}

const writeWhole = (disk: Disk, path: string, bytes: Uint8Array): void => {
  const file = disk.open(path, 'create')
  try {
    let written = 0
    // A full disk may take a part without an error; trying the rest brings the error to light.
    while (written < bytes.length) {
      const count = file.write(bytes.subarray(written), written)
      if (count === 0) throw new DiskError('EIO', 'write', path)
      written += count
    }
    file.sync()
  } finally {
    file.close()
  }
}

const removeQuietly = (disk: Disk, path: string): void => {
  try {
    disk.remove(path)
  } catch {
    // The error that led here says more; what is left over is removed by the next write.
  }
}
