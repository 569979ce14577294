/**
 * No damaged file may kill the process, give a wrong value, or be written on. Stores with several hundred pages, large
 * values and a used free list are damaged in thousands of ways; each damage is either found by the examination, or
 * a real LMDB in a child process opens the file, reads every row right, and goes on to write 100 commits into it.
 * `KEELSON_SEED` gives other stores and damages, `KEELSON_SEEDS` so many times as many.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { crc32 } from '../../src/storage/crc32.ts'
import {
  compareBytes,
  examineProjection,
  readNewerMeta,
} from '../../src/storage/lmdb-examination.ts'
import { LmdbPages } from '../../src/storage/lmdb-pages.ts'
import { lmdbProjections } from '../../src/storage/lmdb-projection-store.ts'
import { LmdbTree } from '../../src/storage/lmdb-tree.ts'
import { nodeDisk } from '../../src/storage/node-disk.ts'
import type { Row, RowChange } from '../../src/storage/projection-store.ts'
import { childProgram } from '../support/child-program.ts'
import { type Damage, damaged, diskWith } from '../support/projection-damage.ts'

const seed = Number(process.env.KEELSON_SEED ?? 1)
const times = Number(process.env.KEELSON_SEEDS ?? 1)
/** Flips of each kind that are examined, and how many of those let through a child tries out. */
const flipsEach = 500 * times
const trialsEach = 25 * times

const pageBytes = 4096
const walId = 'ab'.repeat(16)

/** A whole file, where it stands, and its rows as sums after the last two commits: damage may take the last one back. */
type Store = {
  readonly path: string
  readonly bytes: Uint8Array
  readonly expected: Record<number, [key: string, sum: string][]>
}

type Shape = { rows: number; commits: number; changes: number; removed: number; large: number }

let folder: string
/** A store of rows of all sizes, and one that lost most of its rows at random, so that its free list fills pages. */
let mixed: Store
let hollow: Store

const sumOf = (row: Row) => `${row.value.tag} ${row.expiresAt} ${crc32(row.value.bytes)}`

const randomChange = (random: () => number, shape: Shape): RowChange => {
  const key = `key ${Math.floor(random() * shape.rows)}`.padEnd(8 + Math.floor(random() * 2), '~')
  if (random() < shape.removed) return [key, undefined]
  const size = Math.floor(random() * (random() < shape.large ? 15_000 : 300))
  const bytes = Buffer.alloc(size, Math.floor(random() * 256))
  return [key, { value: { tag: 2, bytes }, expiresAt: Math.floor(random() * 3) }]
}

const build = async (name: string, shapes: readonly Shape[]): Promise<Store> => {
  const dir = join(folder, name)
  const random = seededRandom(seed)
  const store = lmdbProjections(nodeDisk(), () => Promise.reject(new Error('not used'))).open(dir)
  const model = new Map<string, Row>()
  const expected: Store['expected'] = {}
  const commits = shapes.flatMap((shape) => Array.from({ length: shape.commits }, () => shape))
  commits.forEach((shape, index) => {
    const changes = Array.from({ length: shape.changes }, () => randomChange(random, shape))
    store.commit(changes, { walId, epoch: 2, lsn: index + 1 })
    for (const [key, row] of changes) row ? model.set(key, row) : model.delete(key)
    if (index >= commits.length - 2)
      expected[index + 1] = [...model].map(([key, row]) => [key, sumOf(row)])
  })
  await store.close()
  const path = join(dir, 'data.mdb')
  return { path, bytes: new Uint8Array(readFileSync(path)), expected }
}

beforeAll(async () => {
  // In memory where there is such a folder: the children sync some ten thousand times, and durability is not the point.
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'keelson-damage-'))
  mixed = await build('mixed', [
    { rows: 3500, commits: 60, changes: 120, removed: 0.2, large: 0.02 },
  ])
  hollow = await build('hollow', [
    { rows: 20_000, commits: 8, changes: 4000, removed: 0, large: 0 },
    { rows: 20_000, commits: 3, changes: 700, removed: 0.9, large: 0.001 },
  ])
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const examined = (store: Store, damage: Damage) =>
  examineProjection(diskWith(damaged(store.bytes, damage)), 'dir')

/** Those of `damages` that the examination lets through, after it said its word on each. */
const letThrough = (store: Store, damages: readonly Damage[]): Damage[] => {
  const through = damages.filter((damage) => examined(store, damage).state !== 'damaged')
  for (const damage of through)
    expect(examined(store, damage), JSON.stringify(damage)).toMatchObject({ state: 'sound' })
  // Neither all nor nothing, or this shows nothing.
  expect(damages.length - through.length).toBeGreaterThan(damages.length / 20)
  return through
}

/** What a child process reports about each of `damages`, one word each; it must live to the end. */
const triedOut = async (store: Store, damages: readonly Damage[]): Promise<string[]> => {
  const damagesPath = join(folder, 'damages.json')
  const expectedPath = join(folder, 'expected.json')
  writeFileSync(damagesPath, JSON.stringify(damages))
  writeFileSync(expectedPath, JSON.stringify(store.expected))
  const reports: string[] = []
  const child = childProgram(
    'projection-trial.mjs',
    [store.path, damagesPath, expectedPath, join(folder, 'trial')],
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

/** Lets a child process read and write a part of `damages`, picked by the seed. */
const expectHarmless = async (store: Store, damages: readonly Damage[]): Promise<void> => {
  const random = seededRandom(seed)
  const order = damages.map((damage) => ({ damage, rank: random() }))
  order.sort((a, b) => a.rank - b.rank)
  const picked = order.slice(0, trialsEach).map(({ damage }) => damage)
  const words = await triedOut(store, picked)
  const wrong = words.flatMap((word, index) =>
    word === 'right' ? [] : [`${word}: ${JSON.stringify(picked[index])}`],
  )
  expect(wrong, `seed ${seed}`).toEqual([])
  expect(words).toHaveLength(picked.length)
}

const pagesOf = (store: Store) => store.bytes.length / pageBytes

const flips = (count: number, pick: (below: (end: number) => number) => number): Damage[] => {
  const random = seededRandom(seed)
  const below = (end: number) => Math.floor(random() * end)
  return Array.from({ length: count }, () => ({ kind: 'flip', offset: pick(below), bit: below(8) }))
}

/** The pages of a free list of one level: its root, and the runs that its entries point to. */
const freeListPages = (store: Store): number[] => {
  const { free } = readNewerMeta(diskWith(store.bytes).open('dir/data.mdb', 'read'))
  const root = free.root ?? 0
  const page = new DataView(store.bytes.buffer, root * pageBytes, pageBytes)
  const pages = [root]
  for (let pointer = 24; pointer < 24 + page.getUint16(20, true); pointer += 2) {
    const node = 24 + page.getUint16(pointer, true)
    const data = node + 8 + page.getUint16(node + 6, true)
    if (page.getUint16(node + 4, true) !== 1) continue
    const from = page.getUint32(data, true)
    for (let run = 0; run < page.getUint32(data + 16, true); run++) pages.push(from + run)
  }
  return pages
}

describe('a file as LMDB left it', () => {
  test('is sound, with its position, its rows and its size', () => {
    for (const [store, lsn] of [
      [mixed, 60],
      [hollow, 11],
    ] as const) {
      expect(pagesOf(store)).toBeGreaterThan(300)
      expect(examineProjection(diskWith(store.bytes), 'dir')).toEqual({
        state: 'sound',
        position: { walId, epoch: 2, lsn },
        rows: store.expected[lsn]?.length,
        bytes: store.bytes.length,
      })
    }
    expect(mixed.expected[60]?.length).toBeGreaterThan(2000)
    expect(freeListPages(hollow).length).toBeGreaterThan(1)
  })

  test('is read right and written to by the child that tries damaged ones', async () => {
    expect(await triedOut(mixed, [{ kind: 'cut', size: mixed.bytes.length }])).toEqual(['right'])
    expect(await triedOut(hollow, [{ kind: 'cut', size: hollow.bytes.length }])).toEqual(['right'])
  })
})

describe('a flipped bit is found, or does no harm', () => {
  test('anywhere', async () => {
    const damages = flips(flipsEach, (below) => below(mixed.bytes.length))
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('in the meta pages', async () => {
    const damages = flips(flipsEach, (below) => below(2) * pageBytes + below(176))
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('in the heads of pages and the pointers to their nodes', async () => {
    const damages = flips(
      flipsEach,
      (below) => (2 + below(pagesOf(mixed) - 2)) * pageBytes + below(64),
    )
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('in branches', async () => {
    const view = new DataView(mixed.bytes.buffer)
    const branches = Array.from({ length: pagesOf(mixed) }, (_, page) => page).filter(
      (page) => page > 1 && view.getUint16(page * pageBytes + 18, true) === 1,
    )
    const damages = flips(
      flipsEach,
      (below) => (branches[below(branches.length)] ?? 0) * pageBytes + below(pageBytes),
    )
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('in a free list that fills pages', async () => {
    const pages = freeListPages(hollow)
    const damages = flips(
      flipsEach / 2,
      (below) => (pages[below(pages.length)] ?? 0) * pageBytes + below(pageBytes),
    )
    await expectHarmless(hollow, letThrough(hollow, damages))
  })
})

/** The pages of both trees and of large values, each with what uses it, as the examination itself claims them. */
const pagesInUse = (store: Store): { page: number; user: string }[] => {
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
  new LmdbTree('main tree', meta.main, meta, pages, compareBytes, ignore).walk()
  return found
}

describe('of a page in use', () => {
  const view = () => new DataView(mixed.bytes.buffer)

  /** Flips of every bit from each of `offsets` to so many bytes behind it. */
  const everyBit = (offsets: readonly number[], bytes: number): Damage[] =>
    offsets.flatMap((offset) =>
      Array.from({ length: bytes * 8 }, (_, bit) => ({
        kind: 'flip' as const,
        offset: offset + (bit >>> 3),
        bit: bit & 7,
      })),
    )

  const expectAllFound = (damages: readonly Damage[]) => {
    const random = seededRandom(seed)
    const tried = damages.filter(() => random() < flipsEach / damages.length)
    expect(tried.length).toBeGreaterThan(20)
    const through = tried.filter((damage) => examined(mixed, damage).state !== 'damaged')
    expect(through, `seed ${seed}`).toEqual([])
  }

  const starts = (kind: number) =>
    pagesInUse(mixed)
      .map(({ page }) => page * pageBytes)
      .filter((start) => view().getUint16(start + 18, true) === kind)

  const nodes = (start: number) =>
    Array.from({ length: view().getUint16(start + 20, true) / 2 }, (_, index) => ({
      pointer: start + 24 + 2 * index,
      node: start + 24 + view().getUint16(start + 24 + 2 * index, true),
    }))

  test('every bit of its head counts, but for its transaction', () => {
    const heads = [...starts(1), ...starts(2)]
    expectAllFound([
      ...everyBit(heads, 8),
      ...everyBit(
        heads.map((head) => head + 16),
        8,
      ),
    ])
  })

  test('every bit of its pointers counts', () => {
    const pointers = [...starts(1), ...starts(2)].flatMap(nodes).map(({ pointer }) => pointer)
    expectAllFound(everyBit(pointers, 2))
  })

  test('every bit of a leaf’s nodes counts: sizes, flags, key, sum and value', () => {
    const leafNodes = starts(2).flatMap(nodes)
    expectAllFound(
      everyBit(
        leafNodes.map(({ node }) => node),
        8,
      ),
    )
    expectAllFound(
      everyBit(
        leafNodes.map(({ node }) => node + 8),
        21,
      ),
    )
  })

  test('every bit of a branch’s nodes counts: child and size of the key', () => {
    expectAllFound(
      everyBit(
        starts(1)
          .flatMap(nodes)
          .map(({ node }) => node),
        8,
      ),
    )
  })

  /** A u16 in place of another. */
  const u16 = (offset: number, value: number): [number, number][] => [
    [offset, value & 0xff],
    [offset + 1, value >>> 8],
  ]

  const neighbours = (kind: number) =>
    starts(kind).flatMap((start) => {
      const all = nodes(start)
      return all.slice(1).flatMap((right, index) => {
        const left = all[index]
        // The key of a branch's first node counts for nothing.
        return left && (kind === 2 || index > 0) ? [[left, right] as const] : []
      })
    })

  test.each([
    ['leaf', 2],
    ['branch', 1],
  ])('two nodes of a %s that changed places are found', (_, kind) => {
    expectAllFound(
      neighbours(kind).map(([left, right]) => ({
        kind: 'patch',
        bytes: [
          ...u16(left.pointer, view().getUint16(right.pointer, true)),
          ...u16(right.pointer, view().getUint16(left.pointer, true)),
        ],
      })),
    )
  })

  test('two keys of a branch that changed their sizes, by as much up as down, are found', () => {
    expectAllFound(
      neighbours(1).flatMap(([left, right]) =>
        [2, -2, 512, -512].map((by) => ({
          kind: 'patch' as const,
          bytes: [
            ...u16(left.node + 6, (view().getUint16(left.node + 6, true) + by) & 0xffff),
            ...u16(right.node + 6, (view().getUint16(right.node + 6, true) - by) & 0xffff),
          ],
        })),
      ),
    )
  })

  test('a separator that came too low for the leaf before it is found', () => {
    const key = (node: number) => {
      const from = node + 8
      return mixed.bytes.subarray(from, from + view().getUint16(node + 6, true))
    }
    expectAllFound(
      neighbours(1).flatMap(([left, right]) => {
        const child = view().getUint32(left.node, true) * pageBytes
        const last = nodes(child).at(-1)
        const isLeaf = view().getUint16(child + 18, true) === 2
        if (!isLeaf || !last || key(last.node).length !== key(right.node).length) return []
        const bytes = [...key(last.node)].map((byte, at) => [right.node + 8 + at, byte] as const)
        return [{ kind: 'patch' as const, bytes }]
      }),
    )
  })

  test('every bit of what the newer meta page says about the trees counts', () => {
    const transaction = (page: number) => view().getUint32(page * pageBytes + 24 + 128, true)
    const newer = transaction(0) > transaction(1) ? 0 : 1
    expectAllFound(everyBit([newer * pageBytes + 24 + 24], 96))
  })

  test('every bit of a large value’s head counts', () => {
    const heads = starts(4)
    expect(heads.length).toBeGreaterThan(10)
    expectAllFound([
      ...everyBit(heads, 16),
      ...everyBit(
        heads.map((head) => head + 18),
        6,
      ),
    ])
  })
})

describe('a page that is not what it was is found, or was not in use', () => {
  const onEachPage = (make: (page: number) => Damage) =>
    Array.from({ length: pagesOf(mixed) }, (_, page) => make(page))

  test('zeroed', async () => {
    const damages = onEachPage((page) => ({ kind: 'zero', page, pageBytes }))
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('full of garbage', async () => {
    const damages = onEachPage((page) => ({ kind: 'garbage', page, pageBytes, seed: seed + page }))
    await expectHarmless(mixed, letThrough(mixed, damages))
  })

  test('overwritten with another one', async () => {
    const random = seededRandom(seed)
    const damages = onEachPage((page) => ({
      kind: 'misplaced',
      page,
      pageBytes,
      from: Math.floor(random() * pagesOf(mixed)),
    }))
    await expectHarmless(mixed, letThrough(mixed, damages))
  })
})

test('a file that was cut is found wherever it was cut, unless nothing in use was lost', async () => {
  const random = seededRandom(seed)
  const sizes = new Set([0, 1, 100, 167, 168, 4096, 4096 + 167, 4096 + 168, 8191, 8192])
  for (let page = 0; page < pagesOf(mixed); page++) sizes.add(page * pageBytes)
  for (let count = 0; count < 200; count++) sizes.add(Math.floor(random() * mixed.bytes.length))
  const damages = [...sizes].map((size): Damage => ({ kind: 'cut', size }))
  const through = letThrough(mixed, damages)
  expect(through.length).toBeLessThan(damages.length / 10)
  await expectHarmless(mixed, through)
})

test('a row whose sum does not hold is CORRUPT to whoever opened the file all the same', async () => {
  const damages = flips(flipsEach, (below) => below(mixed.bytes.length)).filter((damage) => {
    const found = examined(mixed, damage)
    return found.state === 'damaged' && found.evidence.includes('checksum')
  })
  expect(damages.length).toBeGreaterThan(20)
  const words = await triedOut(mixed, damages.slice(0, trialsEach))
  expect(new Set(words), `seed ${seed}`).toEqual(new Set(['CORRUPT']))
})
