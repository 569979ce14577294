/**
 * Every bit of a page in use that could give a wrong value or a crash counts: the examination finds
 * each flip. `KEELSON_SEED` and `KEELSON_SEEDS` as for `lmdb-examination.long.test.ts`.
 */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import {
  damageFolder,
  examined,
  flipsEach,
  mixedStore,
  pageBytes,
  pagesInUse,
  type Store,
  seed,
} from '../../support/harm/damaged-stores.ts'
import type { Damage } from '../../support/harm/projection-damage.ts'

let folder: string
let mixed: Store

beforeAll(async () => {
  folder = damageFolder()
  mixed = await mixedStore(folder)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('of a page in use', () => {
  const view = () => new DataView(mixed.bytes.buffer)

  /** Flips of every bit from each of `offsets` on, over this many bytes. */
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

  test('every bit of its header counts, except its transaction', () => {
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

  test('every bit of a leaf’s nodes counts: sizes, flags, key, checksum and value', () => {
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

  /** Replaces a u16. */
  const u16 = (offset: number, value: number): [number, number][] => [
    [offset, value & 0xff],
    [offset + 1, value >>> 8],
  ]

  const neighbours = (kind: number) =>
    starts(kind).flatMap((start) => {
      const all = nodes(start)
      return all.slice(1).flatMap((right, index) => {
        const left = all[index]
        // The key of a branch's first node is unused.
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

  test('two keys of a branch whose sizes changed by opposite amounts are found', () => {
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

  test('a separator below a key of the leaf before it is found', () => {
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

  test('every bit about the trees in the newer meta page counts', () => {
    const transaction = (page: number) => view().getUint32(page * pageBytes + 24 + 128, true)
    const newer = transaction(0) > transaction(1) ? 0 : 1
    expectAllFound(everyBit([newer * pageBytes + 24 + 24], 96))
  })

  test('every bit of a large value’s header counts', () => {
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
