/**
 * Files beside a salvaged log are copied as far as the disk can read them, and unreadable places
 * are named.
 */
import { expect, test } from 'vitest'
import { copyingFolder } from '../../../src/storage/backups/file-copy.ts'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { plainDisk, withBadByte, withKinds } from '../../support/harm/odd-files.ts'
import { runToEnd } from '../../support/worlds/logs.ts'

/** Bytes that depend on their place. */
const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 0x7f)

const large = bytesOf(2 * 1024 * 1024 + 700)

const filled = () => {
  const disk = simulatedDisk({ seed: 1 })
  for (const [name, bytes] of [
    ['/from/a', large],
    ['/from/inner/b', bytesOf(900)],
    ['/from/c', bytesOf(0)],
  ] as const) {
    disk.makeFolder(name.slice(0, name.lastIndexOf('/')))
    const file = disk.open(name, 'create')
    file.write(bytes, 0)
    file.sync()
    file.close()
  }
  disk.makeFolder('/to')
  return disk
}

test('a copy is equal and durable, inner folders included', () => {
  const disk = filled()

  expect(runToEnd(copyingFolder(disk, '/from', '/to/copy'))).toEqual([])

  disk.crash()
  expect(Buffer.compare(disk.contents('/to/copy/a'), large)).toBe(0)
  expect(Buffer.compare(disk.contents('/to/copy/inner/b'), bytesOf(900))).toBe(0)
  expect(disk.contents('/to/copy/c')).toHaveLength(0)
})

test('an unreadable file is copied up to the failure and named, and the next files follow', () => {
  const disk = filled()
  const bad = withBadByte(disk, '/from/a', 1_050_000)

  expect(runToEnd(copyingFolder(bad, '/from', '/to/copy'))).toEqual([
    { file: '/from/a', offset: 1024 * 1024, evidence: 'the disk cannot read it (EIO)' },
  ])

  disk.crash()
  const begun = large.subarray(0, 1024 * 1024)
  expect(Buffer.compare(disk.contents('/to/copy/a'), begun)).toBe(0)
  expect(Buffer.compare(disk.contents('/to/copy/inner/b'), bytesOf(900))).toBe(0)
})

test('entries that cannot be opened or are not files are named and skipped', () => {
  const disk = withKinds(filled(), { '/from/a': 'file', '/from/c': 'other' })

  expect(runToEnd(copyingFolder(disk, '/from', '/to/copy'))).toEqual([
    { file: '/from/a', offset: 0, evidence: 'the disk cannot read it (ENXIO)' },
    {
      file: '/from/c',
      offset: 0,
      evidence: 'it is no plain file',
    },
  ])
  expect(disk.list('/to/copy')).toEqual(['inner'])
})

test('a folder that cannot be listed is named as a whole', () => {
  const disk = filled()
  const bad = {
    ...plainDisk(disk),
    list: (path: string) => {
      if (path === '/from/inner') throw new DiskError('EIO', 'list', path)
      return disk.list(path)
    },
  }

  expect(runToEnd(copyingFolder(bad, '/from', '/to/copy'))).toEqual([
    { file: '/from/inner', offset: 0, evidence: 'the disk cannot read it (EIO)' },
  ])
  expect(disk.list('/to/copy')).toEqual(['a', 'c', 'inner'])
})

test('a full target ends the copy', () => {
  const disk = filled()
  disk.capacityBytes = 2 ** 40
  disk.capacityBytes -= disk.freeBytes

  expect(() => runToEnd(copyingFolder(disk, '/from', '/to/copy'))).toThrow(
    expect.objectContaining({ code: 'ENOSPC' }),
  )
})

test('a folder that is missing has nothing to copy', () => {
  const disk = filled()

  expect(runToEnd(copyingFolder(disk, '/nowhere', '/to/copy'))).toEqual([])
  expect(disk.entry('/to/copy')).toBeUndefined()
})
