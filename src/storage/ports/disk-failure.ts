/**
 * Failures of a disk: Keelson's codes for the system's codes, and writes that are whole or fail.
 */
import { type ErrorDetails, KeelsonError } from '../../errors.ts'
import { type Disk, DiskError, type DiskFile } from './disk.ts'

const noSpace: readonly string[] = ['ENOSPC', 'EDQUOT']
const readOnly: readonly string[] = ['EROFS', 'EACCES', 'EPERM', 'ELOOP']

/** Codes of one file or its place on the medium, not of the process or the machine. */
const fileCodes: readonly string[] = [
  'EIO',
  'ENODATA',
  'EILSEQ',
  'EBADMSG',
  'EUCLEAN',
  'EISDIR',
  'EACCES',
  'EPERM',
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
  'ENODEV',
]

/** Whether the error concerns only this file, so that other files may be readable. */
export const isFileFailure = (error: unknown): error is DiskError =>
  error instanceof DiskError && fileCodes.includes(error.code)

/** The `details` of a disk's error: the system's code, the operation and the path. */
export const diskDetails = ({ code, operation, path }: DiskError): ErrorDetails => ({
  errno: code,
  operation,
  file: path,
})

/**
 * The error that callers get for `error`: `NO_SPACE` if the disk or a quota is full, `READ_ONLY` if
 * the file may not be changed or reached, else `SHARD_DOWN` with the reason `disk`. It is never
 * `CORRUPT`, which is for bytes that were read and are wrong. `details` is that of `diskDetails`.
 */
export const toKeelsonError = (error: DiskError): KeelsonError => {
  const { code, operation, path } = error
  const facts = diskDetails(error)
  if (noSpace.includes(code))
    return new KeelsonError('NO_SPACE', `no space left: ${operation} ${path}`, {
      details: facts,
      cause: error,
    })
  if (readOnly.includes(code))
    return new KeelsonError(
      'READ_ONLY',
      `not allowed: ${operation} ${path} (${code === 'ELOOP' ? 'a symbolic link, which no write follows' : code})`,
      {
        details: facts,
        cause: error,
      },
    )
  return new KeelsonError('SHARD_DOWN', `the disk failed: ${operation} ${path} (${code})`, {
    details: { reason: 'disk', ...facts },
    cause: error,
  })
}

/** The `KeelsonError` for a disk's error; other errors stay as they are. */
export const refusalOf = (error: unknown): unknown =>
  error instanceof DiskError ? toKeelsonError(error) : error

/** Runs `action`. A disk's error is thrown as a `KeelsonError`. */
export const refusing = <T>(action: () => T): T => {
  try {
    return action()
  } catch (error) {
    throw refusalOf(error)
  }
}

/**
 * Runs an action that may fail without harm, and returns whether the disk did it. Other errors are
 * thrown.
 */
export const attempt = (action: () => void): boolean => {
  try {
    action()
    return true
  } catch (error) {
    if (error instanceof DiskError) return false
    throw error
  }
}

/** Opens a file to read it; `undefined` if it is missing. @throws DiskError */
export const openIfThere = (disk: Disk, path: string): DiskFile | undefined => {
  try {
    return disk.open(path, 'read')
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Writes all of `bytes` or throws. A short write is a failed write: part of the bytes may be in the
 * file. Its code is `shortCode`: `EIO` if the file had the space, `ENOSPC` if it grows.
 */
export const writeAll = (
  file: DiskFile,
  bytes: Uint8Array,
  offset: number,
  shortCode: 'EIO' | 'ENOSPC' = 'EIO',
): void => {
  const count = file.write(bytes, offset)
  if (count === bytes.length) return
  throw new DiskError(shortCode, 'write', file.path, {
    cause: `${count} of ${bytes.length} bytes were written`,
  })
}
