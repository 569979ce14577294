/** Converts the errors of a disk into Keelson's errors: the system's codes into ours. */
import { type ErrorDetails, KeelsonError } from '../../errors.ts'
import { DiskError } from '../ports/disk.ts'

const noSpace: readonly string[] = ['ENOSPC', 'EDQUOT']
const readOnly: readonly string[] = ['EROFS', 'EACCES', 'EPERM']

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
    return new KeelsonError('READ_ONLY', `not allowed: ${operation} ${path} (${code})`, {
      details: facts,
      cause: error,
    })
  return new KeelsonError('SHARD_DOWN', `the disk failed: ${operation} ${path} (${code})`, {
    details: { reason: 'disk', ...facts },
    cause: error,
  })
}
