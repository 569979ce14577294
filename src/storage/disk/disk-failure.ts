/** What a disk's refusal means to those who use Keelson: the codes of the system told in ours. */
import { type ErrorDetails, KeelsonError } from '../../errors.ts'
import { DiskError } from '../ports/disk.ts'

const noSpace: readonly string[] = ['ENOSPC', 'EDQUOT']
const readOnly: readonly string[] = ['EROFS', 'EACCES', 'EPERM']

/** Codes that concern one file or its place on the medium, and not the process or the machine. */
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

/** Whether only this file cannot be read, so that others may be. */
export const isFileFailure = (error: unknown): error is DiskError =>
  error instanceof DiskError && fileCodes.includes(error.code)

/** What of a disk's refusal stands in `details`: the system's code, the operation and the path. */
export const diskDetails = ({ code, operation, path }: DiskError): ErrorDetails => ({
  errno: code,
  operation,
  file: path,
})

/**
 * The error that callers get for `error`: `NO_SPACE` when the disk or a quota is full, `READ_ONLY`
 * when it may not be changed or not be reached, else `SHARD_DOWN` with `details.reason` `'disk'`:
 * the disk failed, and says nothing about the data. It is never `CORRUPT`; that is for bytes that
 * were read and found wrong. `details` has the system's code, the operation and the path.
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
