import { describe, expect, test } from 'vitest'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import { failureSort, sortOf, toKeelsonError } from '../../../src/storage/ports/disk-failure.ts'

describe('an error of a disk', () => {
  test.each([
    ['ENOSPC', 'NO_SPACE'],
    ['EDQUOT', 'NO_SPACE'],
    ['EFBIG', 'NO_SPACE'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
    ['EPERM', 'READ_ONLY'],
    ['EIO', 'SHARD_DOWN'],
    ['EMFILE', 'SHARD_DOWN'],
    ['ENOLCK', 'SHARD_DOWN'],
  ])('%s is %s to users, with the facts and the cause', (code, expected) => {
    const cause = new DiskError(code, 'write', '/data/a')
    const error = toKeelsonError(cause)

    expect(error).toMatchObject({ name: 'KeelsonError', code: expected, cause })
    expect(error.details).toMatchObject({ errno: code, operation: 'write', file: '/data/a' })
    expect(error.details.reason).toBe(expected === 'SHARD_DOWN' ? 'disk' : undefined)
  })

  test.each([
    ['full', 'ENOSPC EDQUOT EFBIG'],
    ['passing', 'EMFILE ENFILE ENOMEM EINTR EAGAIN EBUSY ENOENT ENODEV ENXIO ESTALE ENOTCONN'],
    ['passing', 'ETIMEDOUT EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH EROFS EACCES EPERM'],
    ['final', 'EIO EBADF EILSEQ EBADMSG EUCLEAN ENODATA EISDIR ENOTDIR ELOOP EINVAL EOTHER'],
  ])('is %s: %s', (sort, codes) => {
    for (const code of codes.split(' ')) {
      expect(sortOf(code), code).toBe(sort)
      expect(failureSort(toKeelsonError(new DiskError(code, 'write', 'a'))), code).toBe(sort)
    }
  })

  test('no other error has a sort', () => {
    expect(failureSort(new Error('ENOSPC'))).toBeUndefined()
  })
})
