/**
 * `floor.json` of a shard, which says how far its log reaches at least. It is in the folder of the
 * shard, apart from `keelson.json`, so that only the owner of the shard writes it.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, readWhole } from '../ports/disk.ts'
import type { KnownFloor } from '../ports/log-floor.ts'
import { replaceFile, sealedJson, unsealed } from '../ports/sealed-file.ts'

/** The format that this version writes and reads. */
const floorFormat = 1

/** No `floor.json` is longer than this. */
const floorBytesMax = 4_096

/**
 * Reads the floor at `path`; `undefined` if nothing is known.
 * @throws KeelsonError `CORRUPT` for a damaged file, `UNSUPPORTED_VERSION` for a newer one; DiskError
 */
export const readFloor = (disk: Disk, path: string): KnownFloor | undefined => {
  const entry = disk.entry(path)
  if (!entry) return undefined
  if (entry.kind !== 'file' || entry.size > floorBytesMax)
    throw damaged(path, `a ${entry.kind} of ${entry.size} bytes`)
  const sealed = unsealed(readWhole(disk, path))
  if ('evidence' in sealed) throw damaged(path, sealed.evidence)
  const { format, walId, epoch, lsn } = sealed.fields
  if (typeof format === 'number' && format > floorFormat)
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `${path} has format ${format}; this version reads up to ${floorFormat}`,
      { details: { format, supported: floorFormat } },
    )
  if (format !== floorFormat || typeof walId !== 'string' || !isCount(epoch) || !isCount(lsn))
    throw damaged(path, 'it names no log with its epoch and LSN')
  return { walId, epoch, lsn }
}

/**
 * Raises the floor at `path`. It is durable when this returns. After an error or a power cut the
 * file is the old one or the new one. A damaged file, or one of another log, is replaced.
 * @throws DiskError
 */
export const raiseFloor = (disk: Disk, path: string, floor: KnownFloor): void => {
  const before = knownAt(disk, path)
  const least = before?.walId === floor.walId ? before : { epoch: 0, lsn: 0 }
  const epoch = Math.max(least.epoch, floor.epoch)
  const lsn = Math.max(least.lsn, floor.lsn)
  if (least.epoch === epoch && least.lsn === lsn) return
  replaceFile(disk, path, sealedJson({ format: floorFormat, walId: floor.walId, epoch, lsn }))
}

const knownAt = (disk: Disk, path: string): KnownFloor | undefined => {
  try {
    return readFloor(disk, path)
  } catch (error) {
    if (isKeelsonError(error)) return undefined
    throw error
  }
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

const damaged = (file: string, evidence: string): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `${file} is damaged: ${evidence}. It says how much of the log there was: put it back, or remove it if the log is whole`,
    { details: { file, evidence } },
  )
