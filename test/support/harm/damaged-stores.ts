/** Stores to be damaged, what the examination says of a damage, and what a real LMDB in a child process does with it. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { seededRandom } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import {
  compareBytes,
  examineProjection,
  readNewerMeta,
} from '../../../src/storage/lmdb/lmdb-examination.ts'
import { LmdbPages } from '../../../src/storage/lmdb/lmdb-pages.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import { LmdbTree } from '../../../src/storage/lmdb/lmdb-tree.ts'
import type { Row, RowChange } from '../../../src/storage/ports/projection-store.ts'
import { childProgram } from '../commands/child-program.ts'
import { thorough } from '../tier.ts'
import { type Damage, damaged, diskWith } from './projection-damage.ts'

/** Of the stores and of the damages. */
export const seed = Number(process.env.KEELSON_SEED ?? 1)

/** The part of the cases that is tried. */
const part = Number(process.env.KEELSON_SEEDS ?? thorough(10, 100) / 100)

/** Flips of each kind that are examined. */
export const flipsEach = 500 * part

/** How many of those let through a child tries out. */
export const trialsEach = Math.ceil(25 * part)

/** The size of a page. */
export const pageBytes = 4096

/** The log that the stores follow. */
export const walId = 'ab'.repeat(16)

/**
 * A sound file, its path, and checksums of its rows after the last two commits: damage may undo the
 * last one.
 */
export type Store = {
  readonly path: string
  readonly bytes: Uint8Array
  readonly expected: Record<number, [key: string, sum: string][]>
}

type Shape = {
  rows: number
  commits: number
  changes: number
  removed: number
  large: number
}

/** The compared parts of a row. */
export const sumOf = (row: Row) => `${row.value.tag} ${row.expiresAt} ${crc32(row.value.bytes)}`

const randomChange = (random: () => number, shape: Shape): RowChange => {
  const key = `key ${Math.floor(random() * shape.rows)}`.padEnd(8 + Math.floor(random() * 2), '~')
  if (random() < shape.removed) return [key, undefined]
  const size = Math.floor(random() * (random() < shape.large ? 15_000 : 300))
  const bytes = Buffer.alloc(size, Math.floor(random() * 256))
  return [key, { value: { tag: 2, bytes }, expiresAt: Math.floor(random() * 3) }]
}

const build = async (folder: string, name: string, shapes: readonly Shape[]): Promise<Store> => {
  const dir = join(folder, name)
  const random = seededRandom(seed)
  const examine = () => Promise.reject(new Error('not used'))
  const store = lmdbProjections(await loadLmdb(), nodeDisk(), examine).open(dir)
  const model = new Map<string, Row>()
  const expected: Store['expected'] = {}
  const commits = shapes.flatMap((shape) => Array.from({ length: shape.commits }, () => shape))
  for (const [index, shape] of commits.entries()) {
    const changes = Array.from({ length: shape.changes }, () => randomChange(random, shape))
    await store.commit(changes, { walId, epoch: 2, lsn: index + 1 })
    for (const [key, row] of changes) row ? model.set(key, row) : model.delete(key)
    if (index >= commits.length - 2)
      expected[index + 1] = [...model].map(([key, row]) => [key, sumOf(row)])
  }
  await store.close()
  const path = join(dir, 'data.mdb')
  return { path, bytes: new Uint8Array(readFileSync(path)), expected }
}

/** A folder in memory where there is such: the children sync some ten thousand times, and durability is not the point. */
export const damageFolder = (): string =>
  mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'keelson-damage-'))

/** A store of rows of all sizes. */
export const mixedStore = (folder: string): Promise<Store> =>
  build(folder, 'mixed', [{ rows: 3500, commits: 60, changes: 120, removed: 0.2, large: 0.02 }])

/** A store that lost most of its rows at random, so that its free list fills pages. */
export const hollowStore = (folder: string): Promise<Store> =>
  build(folder, 'hollow', [
    { rows: 20_000, commits: 8, changes: 4000, removed: 0, large: 0 },
    { rows: 20_000, commits: 3, changes: 700, removed: 0.9, large: 0.001 },
  ])

/** What the examination says of a store with `damage`. */
export const examined = (store: Store, damage: Damage) =>
  examineProjection(diskWith(damaged(store.bytes, damage)), 'dir')

/** Those of `damages` that the examination lets through, after it said its word on each. */
export const letThrough = (store: Store, damages: readonly Damage[]): Damage[] => {
  const through = damages.filter((damage) => examined(store, damage).state !== 'damaged')
  for (const damage of through)
    expect(examined(store, damage), JSON.stringify(damage)).toMatchObject({ state: 'sound' })
  // Neither all nor nothing, or this shows nothing.
  expect(damages.length - through.length).toBeGreaterThan(damages.length / 20)
  return through
}

/** What a child process reports about each of `damages`, one word each; it must live to the end. */
export const triedOut = async (store: Store, damages: readonly Damage[]): Promise<string[]> => {
  const folder = dirname(dirname(store.path))
  const expectedPath = join(folder, 'expected.json')
  const files = damages.map((damage, index) => {
    const file = join(folder, `damaged-${index}.mdb`)
    writeFileSync(file, damaged(store.bytes, damage))
    return file
  })
  writeFileSync(expectedPath, JSON.stringify(store.expected))
  const reports: string[] = []
  const child = childProgram(
    'projection-trial.mjs',
    [expectedPath, join(folder, 'trial'), ...files],
    (line) => reports.push(line),
  )
  const end = await child.ended
  const last = reports.at(-1) ?? ''
  const about = `seed ${seed}, ${last}, ${JSON.stringify(damages[Number.parseInt(last, 10)])}`
  expect(end, `${about}\n${child.stderr().slice(-2000)}`).toEqual({ code: 0, signal: null })
  return reports
    .filter((line) => !line.endsWith(' begins'))
    .map((line) => line.slice(line.indexOf(' ') + 1))
}

/** A part of `damages`, picked by the seed: those that a child process tries out. */
export const pickedOf = (damages: readonly Damage[]): Damage[] => {
  const random = seededRandom(seed)
  const order = damages.map((damage) => ({ damage, rank: random() }))
  order.sort((a, b) => a.rank - b.rank)
  return order.slice(0, trialsEach).map(({ damage }) => damage)
}

/** How many pages a store has. */
export const pagesOf = (store: Store) => store.bytes.length / pageBytes

/** The pages of both trees and of large values with their users, as the examination claims them. */
export const pagesInUse = (store: Store): { page: number; user: string }[] => {
  const found: { page: number; user: string }[] = []
  class Recording extends LmdbPages {
    override claim(page: number, count: number, user: string): void {
      super.claim(page, count, user)
      for (let next = page; next < page + count; next++) found.push({ page: next, user })
    }
  }
  const file = diskWith(store.bytes).open('dir/data.mdb', 'read')
  const meta = readNewerMeta(file)
  const ignore = { inline: () => undefined, large: () => undefined }
  const pages = new Recording(file, meta)
  new LmdbTree('main tree', meta.main, meta, pages, compareBytes, ignore).walk('all')
  return found
}

/** So many flips at offsets that `pick` draws. */
export const flips = (
  count: number,
  pick: (below: (end: number) => number) => number,
): Damage[] => {
  const random = seededRandom(seed)
  const below = (end: number) => Math.floor(random() * end)
  return Array.from({ length: count }, () => ({ kind: 'flip', offset: pick(below), bit: below(8) }))
}
