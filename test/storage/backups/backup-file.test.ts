/** `backup.json`: what was written is read, and what `writeBackup` did not write is refused. */
import { expect, test } from 'vitest'
import {
  type Backup,
  backupFileName,
  readBackup,
  writeBackup,
} from '../../../src/storage/backups/backup-file.ts'
import { replaceFile, sealedJson } from '../../../src/storage/ports/sealed-file.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

const walId = 'ab'.repeat(16)

const copy = {
  ...{ walId, epoch: 1, firstLsn: 1, lsn: 9, time: 5, missing: [], copiedBytes: 7 },
  snapshots: [{ lsn: 4, bytes: 100, sum: 3 }],
  segments: [{ name: '1.wal', bytes: 500, lastLsn: 9, lastCrc: 8 }],
  blobs: { count: 1, bytes: 10, segments: [1] },
}

const backup: Backup = {
  facts: { instanceId: 'cd'.repeat(16), shards: 1, logs: [walId], created: 1 },
  ...{ at: 2, consistent: true, shards: [copy] },
}

const disk = simulatedDisk({ seed: 1 })
disk.makeFolder('/b')

test('what was written is read', () => {
  writeBackup(disk, '/b', backup)
  expect(readBackup(disk, '/b')).toEqual(backup)
})

test.each([
  ['nothing', null],
  ['a text', 'shard'],
  ['nothing known', {}],
  ['no id', { ...copy, walId: 7 }],
  ['an id that is a path', { ...copy, walId: '../'.repeat(10) }],
  ['an LSN below 0', { ...copy, lsn: -1 }],
  ['a time that is a text', { ...copy, time: 'now' }],
  ['no list of snapshots', { ...copy, snapshots: {} }],
  ['a snapshot without a sum', { ...copy, snapshots: [{ lsn: 4, bytes: 100 }] }],
  ['a segment that is null', { ...copy, segments: [null] }],
  ['no blobs', { ...copy, blobs: null }],
  ['blobs in no segments', { ...copy, blobs: { segments: ['1'] } }],
  ['a missing blob without a name', { ...copy, missing: [1] }],
])('a backup that says %s of a shard is CORRUPT, although its checksum holds', (_, shard) => {
  writeBackup(disk, '/b', { ...backup, shards: [shard as never] })
  expect(() => readBackup(disk, '/b')).toThrow(
    expect.objectContaining({
      code: 'CORRUPT',
      details: { file: '/b/backup.json', evidence: expect.any(String) },
    }),
  )
})

test('a backup of a later format is UNSUPPORTED_VERSION', () => {
  replaceFile(disk, `/b/${backupFileName}`, sealedJson({ format: 2, shards: [] }))
  expect(() => readBackup(disk, '/b')).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
  )
})
