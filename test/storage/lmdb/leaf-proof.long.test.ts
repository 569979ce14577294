/**
 * A large file whose leaf pages are not examined yet, while the examination in the background never
 * ends: a damaged page gives CORRUPT, never a wrong value, and never hides a row.
 */
import { closeSync, copyFileSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import {
  lmdbProjections,
  type ProjectionExaminer,
} from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import type {
  ProjectionStore,
  Row,
  RowChange,
  RowRange,
} from '../../../src/storage/ports/projection-store.ts'
import {
  damageFolder,
  flips,
  mixedStore,
  pageBytes,
  pagesInUse,
  type Store,
  seed,
  sumOf,
} from '../../support/harm/damaged-stores.ts'
import { damaged } from '../../support/harm/projection-damage.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { countOf } from '../../support/tier.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const openDatabase = await loadLmdb()

/** Examines before the mapping, and never ends behind it. */
const endless: ProjectionExaminer = (dir, depth, signal) =>
  signal
    ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    : Promise.resolve(examineProjection(nodeDisk(), dir, depth))

/** Projections that take every file for a large one. */
const projections = lmdbProjections(openDatabase, nodeDisk(), endless, { wholeBytesMax: 0 })

let folder: string
let mixed: Store

beforeAll(async () => {
  folder = damageFolder()
  mixed = await mixedStore(folder)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What `read` returns, or `CORRUPT`. */
const orCorrupt = <T>(read: () => T): T | 'CORRUPT' => {
  try {
    return read()
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return 'CORRUPT'
    throw error
  }
}

/** Keys with checksums of their rows, in the order of the store. */
type Rows = readonly (readonly [key: string, sum: string])[]

const inOrder = (rows: Iterable<readonly [string, string]>): Rows =>
  [...rows].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))

/** Reads all of a store that should have these rows. */
const readAll = (store: ProjectionStore, rows: Rows) => {
  const faults: string[] = []
  let corrupt = 0
  for (const [key, sum] of rows) {
    const row = orCorrupt(() => store.peek(key))
    if (row === 'CORRUPT') corrupt++
    else if (!row || sumOf(row) !== sum) faults.push(`get ${key}`)
  }
  const middle = rows[rows.length >>> 1]?.[0] ?? ''
  const ranges: RowRange[] = [{}, { gte: middle }, { lt: middle }]
  for (const range of [...ranges, ...ranges.map((each) => ({ ...each, reverse: true }))]) {
    const half = rows.filter(([key]) =>
      range.gte ? key >= middle : range.lt ? key < middle : true,
    )
    const expected = range.reverse ? half.reverse() : half
    let at = 0
    const end = orCorrupt(() => {
      for (const [key, row] of store.range(range)) {
        const [next, sum] = expected[at++] ?? []
        if (key !== next || sumOf(row) !== sum)
          return faults.push(`range ${JSON.stringify(range)} ${key}`)
      }
      return at === expected.length || faults.push(`the end of ${JSON.stringify(range)}`)
    })
    if (end === 'CORRUPT') corrupt++
  }
  return { faults, corrupt }
}

test('any flipped bit of a page in use is a rebuild, CORRUPT, or without effect', async () => {
  const used = pagesInUse(mixed).map(({ page }) => page)
  const [, last] = Object.values(mixed.expected)
  const expected = inOrder(last ?? [])
  const dir = join(folder, 'flipped')
  const found = { rebuilt: 0, corrupt: 0 }
  const pick = (below: (end: number) => number): number =>
    // Half of the flips hit the head of a page and its pointers.
    (used[below(used.length)] ?? 2) * pageBytes + below(below(2) === 0 ? 100 : pageBytes)
  for (const damage of flips(10 * countOf('KEELSON_SEEDS', 1, 20), pick)) {
    rmSync(dir, { recursive: true, force: true })
    nodeDisk().makeFolder(dir)
    writeFileSync(join(dir, 'data.mdb'), damaged(mixed.bytes, damage))
    copyFileSync(join(dirname(mixed.path), 'CLEAN'), join(dir, 'CLEAN'))

    if ((await projections.examine(dir)).state === 'damaged') {
      found.rebuilt++
      continue
    }
    const store = projections.open(dir)
    const { faults, corrupt } = readAll(store, expected)
    found.corrupt += Math.min(corrupt, 1)
    await store.close()
    expect(faults, `seed ${seed}, ${JSON.stringify(damage)}`).toEqual([])
  }
  expect(found.corrupt).toBeGreaterThan(3)
})

describe('of a file of more than 16 MiB', () => {
  const rowCount = 18_000
  const rows = Array.from({ length: rowCount }, (_, at): RowChange => {
    const key = `key ${String(at).padStart(6, '0')}`
    return [key, textRow(`${at} `.padEnd(950, '.'))]
  })
  const expected = rows.map(([key, row]) => [key, sumOf(row as Row)] as const)

  test('rows that a damaged leaf page hides are CORRUPT after a clean close', async () => {
    const dir = join(tempFolder(), 'lmdb')
    const large = lmdbProjections(openDatabase, nodeDisk(), endless)
    const first = large.open(dir)
    await first.commit(rows, positionAt(1))
    await first.close()
    const path = join(dir, 'data.mdb')
    const bytes = nodeDisk().open(path, 'read')
    const head = Buffer.alloc(24)
    let leaf = Math.floor(bytes.size() / pageBytes / 2)
    do bytes.read(head, ++leaf * pageBytes)
    while (head.readUInt16LE(18) !== 2)
    bytes.close()
    // One pointer less: the page has lost its last row.
    head.writeUInt16LE(head.readUInt16LE(20) - 2, 20)
    const file = openSync(path, 'r+')
    writeSync(file, head, 0, 24, leaf * pageBytes)
    closeSync(file)

    expect(await large.examine(dir)).toMatchObject({ state: 'sound' })
    const store = large.open(dir)
    expect(store.describe().bytes).toBeGreaterThan(16 << 20)
    const { faults, corrupt } = readAll(store, expected)
    expect(faults).toEqual([])
    expect(corrupt).toBeGreaterThan(1)
    await store.close()
    expect(await large.examine(dir)).toMatchObject({ state: 'damaged' })
  })
})

test('commits change nothing about a sound file: every read is right', async () => {
  const random = seededRandom(seed)
  const dir = join(tempFolder(), 'lmdb')
  const model = new Map<string, string>()
  let lsn = 0
  const change = async (store: ProjectionStore): Promise<void> => {
    const changes = Array.from({ length: 300 }, (): RowChange => {
      const key = `key ${Math.floor(random() * 4_000)}`
      const row = random() < 0.4 ? undefined : textRow('x'.repeat(Math.floor(random() * 4_000)))
      if (row) model.set(key, sumOf(row))
      else model.delete(key)
      return [key, row]
    })
    await store.commit(changes, positionAt(++lsn))
  }
  const first = projections.open(dir)
  for (let commits = 0; commits < 20; commits++) await change(first)
  await first.close()

  expect(await projections.examine(dir)).toMatchObject({ state: 'sound' })
  const store = projections.open(dir)
  for (let commits = 1; commits <= 20; commits++) {
    await change(store)
    if (commits % 5 > 0) continue
    expect(readAll(store, inOrder(model))).toEqual({ faults: [], corrupt: 0 })
    const present = (at: number): boolean => store.get(`key ${at}`) !== undefined
    for (let at = 0; at < 4_000; at += 7) expect(present(at)).toBe(model.has(`key ${at}`))
  }
  await store.close()
})
