/** What a snapshot of a damaged LMDB file says: nothing of it is taken for rows. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import { lmdbSnapshotSource } from '../../../src/storage/lmdb/lmdb-snapshot-source.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const disk = nodeDisk()
const openDatabase = await loadLmdb()

/** A closed projection of 2,000 rows, with a change made to the bytes of its file. */
const projectionWith = async (harm: (bytes: Buffer) => void): Promise<string> => {
  const dir = join(tempFolder(), 'lmdb')
  const examine = (path: string) => Promise.resolve(examineProjection(disk, path))
  const store = lmdbProjections(openDatabase, disk, examine).open(dir)
  const rows = Array.from({ length: 2_000 }, (_, at) => [`key ${at}`, textRow(`<${at}>`)] as const)
  await store.commit(rows, positionAt(5))
  await store.close()
  const bytes = readFileSync(join(dir, 'data.mdb'))
  harm(bytes)
  writeFileSync(join(dir, 'data.mdb'), bytes)
  return dir
}

const rowsIn = (dir: string): number => {
  const source = lmdbSnapshotSource(disk, dir)
  try {
    return [...source.records()].length
  } finally {
    source.close()
  }
}

/** Damage of the projection names no file, so that nobody takes it for damage of a snapshot. */
const damaged = expect.objectContaining({
  code: 'CORRUPT',
  details: expect.not.objectContaining({ file: expect.anything() }),
})

test('a sound file has all its rows', async () => {
  expect(rowsIn(await projectionWith(() => undefined))).toBe(2_000)
})

test('a row with a flipped bit is CORRUPT', async () => {
  const dir = await projectionWith((bytes) => {
    const at = bytes.lastIndexOf('<1234>')
    bytes[at + 2] = (bytes[at + 2] ?? 0) ^ 1
  })
  expect(() => rowsIn(dir)).toThrow(damaged)
})

test('a tree that says to have more rows than it has is CORRUPT', async () => {
  const dir = await projectionWith((bytes) => {
    // The count of entries in both meta pages: behind the page's head and that of the free list.
    for (const page of [0, 4096]) {
      const at = page + 24 + 72 + 32
      bytes.writeBigUInt64LE(bytes.readBigUInt64LE(at) + 1n, at)
    }
  })
  expect(() => rowsIn(dir)).toThrow(damaged)
})

test('a page of rows in the place of another is CORRUPT', async () => {
  const dir = await projectionWith((bytes) => {
    const pageOf = (text: string) => Math.floor(bytes.lastIndexOf(text) / 4096) * 4096
    const [from, to] = [pageOf('<1234>'), pageOf('<77>')]
    expect(from).not.toBe(to)
    bytes.copy(bytes, to, from, from + 4096)
  })
  expect(() => rowsIn(dir)).toThrow(damaged)
})
