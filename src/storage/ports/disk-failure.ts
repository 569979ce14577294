/**
 * Failures of a disk: Keelson's codes for the system's codes, and writes that are whole or fail.
 */
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, DiskError, type DiskFile } from './disk.ts'

const readOnly: readonly string[] = ['EROFS', 'EACCES', 'EPERM', 'ELOOP']

/**
 * What an error of a disk says of the next attempt. `full`: there is no room, and there may be some
 * later. `passing`: the file cannot be reached, or the process is out of something. `final`: the
 * medium or its files are at fault.
 */
export type FailureSort = 'full' | 'passing' | 'final'

/** The codes of errors that pass. Another code is final: nobody knows whether it does. */
const sorts: Readonly<Record<Exclude<FailureSort, 'final'>, readonly string[]>> = {
  // A file may not grow: the file system, the quota or the process has no more for it.
  full: ['ENOSPC', 'EDQUOT', 'EFBIG'],
  passing: [
    // Descriptors and memory, which others free; a call that was interrupted.
    'EMFILE',
    'ENFILE',
    'ENOMEM',
    'EINTR',
    'EAGAIN',
    'EBUSY',
    // A folder that was removed, a file system that was unmounted, a server that is away.
    'ENOENT',
    'ENODEV',
    'ENXIO',
    'ESTALE',
    'ENOTCONN',
    'ETIMEDOUT',
    'EHOSTDOWN',
    'EHOSTUNREACH',
    'ENETDOWN',
    'ENETUNREACH',
    // A mount or permissions that people correct.
    'EROFS',
    'EACCES',
    'EPERM',
  ],
}

/** The sort of an error of a disk, by its code. Pure. */
export const sortOf = (code: string): FailureSort =>
  sorts.full.includes(code) ? 'full' : sorts.passing.includes(code) ? 'passing' : 'final'

/** The sort of an error that callers get; `undefined` if it is none of a disk. */
export const failureSort = (error: unknown): FailureSort | undefined => {
  const { errno } = isKeelsonError(error) ? error.details : {}
  return typeof errno === 'string' ? sortOf(errno) : undefined
}

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
 * The error that callers get for `error`: `NO_SPACE` if the disk or a quota is full, or a file may
 * not be larger; `READ_ONLY` if the file may not be changed or reached; else `SHARD_DOWN` with the
 * reason `disk`. It is never `CORRUPT`, which is for bytes that were read and are wrong, and never
 * `BUSY`, which is for room that others free. `details` is that of `diskDetails`.
 */
export const toKeelsonError = (error: DiskError): KeelsonError => {
  const { code, operation, path } = error
  const facts = diskDetails(error)
  if (sortOf(code) === 'full')
    return new KeelsonError('NO_SPACE', `${noRoom(code)}: ${operation} ${path}`, {
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

const noRoom = (code: string): string =>
  code === 'EFBIG' ? 'the file may not be larger' : 'no space left'

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
