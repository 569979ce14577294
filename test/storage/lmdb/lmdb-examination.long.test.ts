/**
 * No damaged file may kill the process, give a wrong value, or be written to. Stores with several
 * hundred pages, large values and a used free list are damaged in thousands of ways. Each damage is
 * either found by the examination, or a real LMDB in a child process opens the file, reads every
 * row right, and writes 100 commits into it. `KEELSON_SEED` gives other stores and damages,
 * `KEELSON_SEEDS` that many times as many.
 */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { examineProjection, readNewerMeta } from '../../../src/storage/lmdb/lmdb-examination.ts'
import {
  damageFolder,
  examined,
  flips,
  flipsEach,
  hollowStore,
  letThrough,
  mixedStore,
  pageBytes,
  pagesOf,
  pickedOf,
  type Store,
  seed,
  trialsEach,
  triedOut,
  walId,
} from '../../support/harm/damaged-stores.ts'
import { type Damage, diskWith } from '../../support/harm/projection-damage.ts'

let folder: string
let mixed: Store
let hollow: Store

beforeAll(async () => {
  folder = damageFolder()
  mixed = await mixedStore(folder)
  hollow = await hollowStore(folder)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What the examination let through of the damages to each store. */
const through: Record<'mixed' | 'hollow', Damage[]> = { mixed: [], hollow: [] }

/** A part of `damages` is tried out at the end, by one child process for each store. */
const tryOut = (store: Store, damages: readonly Damage[]): void => {
  through[store === mixed ? 'mixed' : 'hollow'].push(...pickedOf(damages))
}

/** The pages of a free list of one level: its root and the runs of its entries. */
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

describe('a file written by LMDB', () => {
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
})

describe('a flipped bit is found or harmless', () => {
  test('anywhere', async () => {
    const damages = flips(flipsEach, (below) => below(mixed.bytes.length))
    tryOut(mixed, letThrough(mixed, damages))
  })

  test('in the meta pages', async () => {
    const damages = flips(flipsEach, (below) => below(2) * pageBytes + below(176))
    tryOut(mixed, letThrough(mixed, damages))
  })

  test('in the heads of pages and the pointers to their nodes', async () => {
    const damages = flips(
      flipsEach,
      (below) => (2 + below(pagesOf(mixed) - 2)) * pageBytes + below(64),
    )
    tryOut(mixed, letThrough(mixed, damages))
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
    tryOut(mixed, letThrough(mixed, damages))
  })

  test('in a free list that fills pages', async () => {
    const pages = freeListPages(hollow)
    const damages = flips(
      flipsEach / 2,
      (below) => (pages[below(pages.length)] ?? 0) * pageBytes + below(pageBytes),
    )
    tryOut(hollow, letThrough(hollow, damages))
  })
})

describe('a changed page is found or was not in use', () => {
  const onEachPage = (make: (page: number) => Damage) =>
    Array.from({ length: pagesOf(mixed) }, (_, page) => make(page))

  test('zeroed', async () => {
    const damages = onEachPage((page) => ({ kind: 'zero', page, pageBytes }))
    tryOut(mixed, letThrough(mixed, damages))
  })

  test('full of garbage', async () => {
    const damages = onEachPage((page) => ({ kind: 'garbage', page, pageBytes, seed: seed + page }))
    tryOut(mixed, letThrough(mixed, damages))
  })

  test('overwritten with another one', async () => {
    const random = seededRandom(seed)
    const damages = onEachPage((page) => ({
      kind: 'misplaced',
      page,
      pageBytes,
      from: Math.floor(random() * pagesOf(mixed)),
    }))
    tryOut(mixed, letThrough(mixed, damages))
  })
})

test('a cut file is found at any cut, unless only unused pages were lost', async () => {
  const random = seededRandom(seed)
  const sizes = new Set([0, 1, 100, 167, 168, 4096, 4096 + 167, 4096 + 168, 8191, 8192])
  for (let page = 0; page < pagesOf(mixed); page++) sizes.add(page * pageBytes)
  for (let count = 0; count < 200; count++) sizes.add(Math.floor(random() * mixed.bytes.length))
  const damages = [...sizes].map((size): Damage => ({ kind: 'cut', size }))
  const whole = letThrough(mixed, damages)
  expect(whole.length).toBeLessThan(damages.length / 10)
  tryOut(mixed, whole)
})

test.each(['mixed', 'hollow'] as const)(
  'the %s store as it is, and with what was let through, is read right and written by LMDB',
  async (name) => {
    const store = { mixed, hollow }[name]
    const damages: Damage[] = [{ kind: 'cut', size: store.bytes.length }, ...through[name]]
    const words = await triedOut(store, damages)
    const wrong = words.flatMap((word, index) =>
      word === 'right' ? [] : [`${word}: ${JSON.stringify(damages[index])}`],
    )
    expect(wrong, `seed ${seed}`).toEqual([])
    expect(words).toHaveLength(damages.length)
  },
)

test('a row with a wrong checksum is CORRUPT when it is read from an opened file', async () => {
  const damages = flips(flipsEach, (below) => below(mixed.bytes.length)).filter((damage) => {
    const found = examined(mixed, damage)
    return found.state === 'damaged' && found.evidence.includes('checksum')
  })
  expect(damages.length).toBeGreaterThan(flipsEach / 25)
  const words = await triedOut(mixed, damages.slice(0, trialsEach))
  expect(new Set(words), `seed ${seed}`).toEqual(new Set(['CORRUPT']))
})
