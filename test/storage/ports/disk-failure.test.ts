import { describe, expect, test } from 'vitest'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import { toKeelsonError } from '../../../src/storage/ports/disk-failure.ts'

describe('an error of a disk', () => {
  test.each([
    ['ENOSPC', 'NO_SPACE'],
    ['EDQUOT', 'NO_SPACE'],
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
})
