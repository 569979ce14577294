/** The bytes of the parts of a data folder, by shards and names. */
import { expect, test } from 'vitest'
import { filesBelow, folderUse } from '../../../src/storage/disk/folder-use.ts'
import { DiskError } from '../../../src/storage/ports/disk.ts'

const files = [
  { path: 'keelson.json', bytes: 300 },
  { path: 'shard-0/wal/0000000000000001-00000001.wal', bytes: 1_000 },
  { path: 'shard-0/wal/commitments/1-2.part', bytes: 20 },
  { path: 'shard-0/wal/quarantine/1-2.cut', bytes: 7 },
  { path: 'shard-0/lmdb/data.mdb', bytes: 400 },
  { path: 'shard-0/floor.json', bytes: 30 },
  { path: 'shard-3/wal/0000000000000001-00000001.wal', bytes: 5_000 },
  { path: 'shard-3/blobs/1.bloblog', bytes: 90_000 },
  { path: 'shard-3/snapshot/2.snapshot', bytes: 800 },
  { path: 'shard-3/quarantine/lmdb-1/data.mdb', bytes: 60 },
  { path: 'old/shard-0/wal/1.wal', bytes: 2_000 },
]

test('each part has its bytes, and the shards or names with most of it first', () => {
  const { parts, ...sums } = folderUse(files)

  expect(sums).toEqual({ bytes: 99_617, files: 11, backupBytes: 96_820 })
  expect(parts.map(({ part, bytes, of }) => [part, bytes, of.map(({ name }) => name)])).toEqual([
    ['large values', 90_000, ['shard 3']],
    ['log', 6_020, ['shard 3', 'shard 0']],
    ['other', 2_330, ['old', 'keelson.json', 'shard 0']],
    ['snapshots', 800, ['shard 3']],
    ['projections', 400, ['shard 0']],
    ['quarantine', 67, ['shard 3', 'shard 0']],
  ])
})

test('the parts of any list of files have all of its bytes, none twice', () => {
  const { bytes, parts } = folderUse(files)
  const sum = (all: readonly { readonly bytes: number }[]) =>
    all.reduce((total, each) => total + each.bytes, 0)

  expect(sum(parts)).toBe(bytes)
  for (const part of parts) expect(sum(part.of)).toBe(part.bytes)
})

/** A disk with these files, of which some cannot be read. */
const diskOf = (tree: Record<string, readonly string[] | number>) => ({
  list: (path: string) => {
    const found = tree[path]
    if (typeof found !== 'object') throw new DiskError('ENOENT', 'list', path)
    return [...found]
  },
  entry: (path: string) => {
    const found = tree[path]
    if (found === undefined) return undefined
    if (typeof found === 'number') return { kind: 'file' as const, size: found }
    return { kind: 'folder' as const, size: 0 }
  },
})

test('a file that is gone when its turn comes is left out', () => {
  const disk = diskOf({ '/d': ['a', 'b', 'gone'], '/d/a': ['x'], '/d/a/x': 5, '/d/b': 7 })

  expect([...filesBelow(disk, '/d')]).toEqual([
    { path: 'a/x', bytes: 5 },
    { path: 'b', bytes: 7 },
  ])
  expect([...filesBelow(disk, '/nowhere')]).toEqual([])
})

test('a link that leads back up does not hold up a look for ever', () => {
  const disk = {
    list: () => ['up', 'file'],
    entry: (path: string) =>
      path.endsWith('/up')
        ? { kind: 'folder' as const, size: 0 }
        : { kind: 'file' as const, size: 1 },
  }
  expect([...filesBelow(disk, '/d')]).toHaveLength(17)
})
