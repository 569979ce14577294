/**
 * `backup.json`: what a backup holds. It is written last, so a folder that has it has what it lists.
 * There is no `keelson.json` beside it: nothing opens a backup as a data folder.
 */
import { join } from 'node:path'
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import { type DataFolderFacts, decodeDataFolder, encodeDataFolder } from '../disk/data-folder.ts'
import { type Disk, readWhole } from '../ports/disk.ts'
import { replaceFile, sealedJson, unsealed } from '../ports/sealed-file.ts'
import type { ShardCopy } from '../ports/shard-copier.ts'

/** The file that describes a backup. */
export const backupFileName = 'backup.json'

const backupFormat = 1

/** No `backup.json` is longer than this. */
const backupBytesMax = 64 * 1024 * 1024

/** A backup of an instance. */
export type Backup = {
  /** The `keelson.json` of its folder. */
  readonly facts: DataFolderFacts
  /** When it was taken, in ms since 1970. */
  readonly at: number
  /** Whether all shards were copied as of one moment. */
  readonly consistent: boolean
  /** One copy a shard. */
  readonly shards: readonly ShardCopy[]
}

/**
 * Reads the backup in `dir`; `undefined` if there is none.
 * @throws KeelsonError `CORRUPT`; `UNSUPPORTED_VERSION`; DiskError
 */
export const readBackup = (disk: Disk, dir: string): Backup | undefined => {
  const path = join(dir, backupFileName)
  const size = disk.entry(path)?.size
  if (size === undefined) return undefined
  if (size > backupBytesMax) throw damaged(path, `it has ${size} bytes`)
  return decoded(path, readWhole(disk, path))
}

/** Writes `backup.json`, durably. @throws DiskError: the one before is left */
export const writeBackup = (disk: Disk, dir: string, backup: Backup): void => {
  const { facts, at, consistent, shards } = backup
  const folder = JSON.parse(new TextDecoder().decode(encodeDataFolder(facts)))
  const bytes = sealedJson({ format: backupFormat, at, consistent, folder, shards })
  replaceFile(disk, join(dir, backupFileName), bytes)
}

const decoded = (path: string, bytes: Uint8Array): Backup => {
  const sealed = unsealed(bytes)
  if ('evidence' in sealed) throw damaged(path, sealed.evidence)
  const { format, at, consistent, folder, shards } = sealed.fields
  if (typeof format === 'number' && format > backupFormat)
    throw new KeelsonError('UNSUPPORTED_VERSION', `${path} was written by a newer version`, {
      details: { format, supported: backupFormat },
    })
  const reading = decodeDataFolder(new TextEncoder().encode(plainJson(folder ?? null)))
  if (reading.state === 'damaged') throw damaged(path, reading.evidence)
  const { facts } = reading
  if (!Array.isArray(shards) || shards.length !== facts.shards)
    throw damaged(path, 'it does not list one copy a shard')
  // People can compute a checksum, too.
  const odd = shards.findIndex((shard) => !isShardCopy(shard))
  if (odd >= 0) throw damaged(path, `what it says of shard ${odd} is no copy`)
  return { facts, at: Number(at), consistent: consistent === true, shards }
}

const isShardCopy = (copy: unknown): copy is ShardCopy => {
  const { walId, epoch, firstLsn, lsn, time, snapshots, segments, blobs, missing } = Object(copy)
  const { states = [] } = Object(copy)
  return (
    /^[0-9a-f]{32}$/.test(walId) &&
    [epoch, firstLsn, lsn, time].every(isCount) &&
    isList(snapshots, (each) => [each.lsn, each.bytes, each.sum].every(isCount)) &&
    isList(states, isCount) &&
    isList(segments, (each) => [each.bytes, each.lastLsn, each.lastCrc].every(isCount)) &&
    isList(Object(blobs).segments, isCount) &&
    isList(missing, (each) => typeof each === 'string')
  )
}

const isList = (list: unknown, isMember: (each: ReturnType<typeof Object>) => boolean): boolean =>
  Array.isArray(list) && list.every((each) => isMember(each ?? {}))

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

const damaged = (file: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `${file} is damaged: ${evidence}`, { details: { file, evidence } })
