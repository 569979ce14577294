/** The Merkle Mountain Range: positions, roots, inclusion and consistency, exhaustively for small sizes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256Hex } from '../../../src/bytes/sha256.ts'
import { type Digest, tags } from '../../../src/storage/commitments/digests.ts'
import {
  blocksAround,
  blocksBetween,
  Mountains,
  nodeCount,
  positionOf,
  rootFromLeaf,
  rootsFromBlocks,
} from '../../../src/storage/commitments/mountains.ts'

const sizes = Array.from({ length: 65 }, (_, size) => size)

const leafOf = (index: number): Digest => sha256Hex(Buffer.from(`leaf ${index}`))

const other = (digest: Digest): Digest => (digest[0] === '0' ? '1' : '0') + digest.slice(1)

/** A range whose nodes are all kept, as files keep them. */
const rangeOf = (size: number) => {
  const range = new Mountains('history')
  const nodes: Digest[] = []
  const roots = [range.root()]
  for (let index = 0; index < size; index++) {
    nodes.push(...range.append(leafOf(index)))
    roots.push(range.root())
  }
  const hashes = (blocks: ReturnType<typeof blocksBetween>) =>
    blocks.map((block) => nodes[positionOf(block)] ?? 'missing')
  return { nodes, roots, root: range.root(), peaks: range.peaks, hashes }
}

const range = rangeOf(64)

describe('A.9 the positions of nodes', () => {
  test('are those of the table: leaves, sizes, peaks', () => {
    const leaves = sizes.slice(0, 8).map((first) => positionOf({ first, height: 0 }))
    expect(leaves).toEqual([0, 1, 3, 4, 7, 8, 10, 11])
    expect(sizes.slice(0, 9).map(nodeCount)).toEqual([0, 1, 3, 4, 7, 8, 10, 11, 15])
    const peaks = [1, 2, 3, 4, 5, 8].map((size) => blocksBetween(0, size).map(positionOf))
    expect(peaks).toEqual([[0], [2], [2, 3], [6], [6, 7], [14]])
  })

  test('are the order in which nodes are made, for any size', () => {
    for (const size of sizes) {
      const grown = rangeOf(size)
      expect(grown.nodes).toHaveLength(nodeCount(size))
      expect(grown.hashes(blocksBetween(0, size))).toEqual(grown.peaks)
    }
  })

  test('(g) are computed in closed form, also for a leaf beyond 2^32', () => {
    expect(positionOf({ first: 2 ** 40, height: 0 })).toBe(2 ** 41 - 1)
    expect(positionOf({ first: 0, height: 50 })).toBe(2 ** 51 - 2)
    expect(nodeCount(2 ** 50)).toBe(2 ** 51 - 1)
  })
})

describe('an inclusion proof', () => {
  test('(a) verifies for every leaf of every size up to 64, and never needs a node beyond the range', () => {
    for (const size of sizes.slice(1)) {
      const { nodes, roots, hashes } = rangeOf(size)
      for (let index = 0; index < size; index++) {
        const blocks = blocksAround(index, size)
        expect(blocks.every((block) => positionOf(block) < nodes.length)).toBe(true)
        const root = rootFromLeaf('history', { index, size }, leafOf(index), hashes(blocks))
        expect(root).toBe(roots[size])
      }
    }
  })

  test('(d) is bound to index and size: no other pair gives the root', () => {
    for (const size of [1, 2, 3, 7, 8, 13]) {
      const { root } = rangeOf(size)
      for (let index = 0; index < size; index++) {
        const hashes = range.hashes(blocksAround(index, size))
        for (let otherSize = 0; otherSize <= 16; otherSize++)
          for (let otherIndex = 0; otherIndex <= 16; otherIndex++) {
            if (otherSize === size && otherIndex === index) continue
            const place = { index: otherIndex, size: otherSize }
            expect(rootFromLeaf('history', place, leafOf(index), hashes)).not.toBe(root)
          }
      }
    }
  })

  test('(d) is refused with a wrong leaf, a wrong or missing or further hash, and two in each other’s place', () => {
    const [index, size] = [10, 23]
    const hashes = range.hashes(blocksAround(index, size))
    const verify = (leaf: Digest, list: readonly Digest[]) =>
      rootFromLeaf('history', { index, size }, leaf, list) === range.roots[size]

    expect(verify(leafOf(index), hashes)).toBe(true)
    expect(verify(leafOf(index + 1), hashes)).toBe(false)
    expect(verify(leafOf(index), hashes.slice(1))).toBe(false)
    expect(verify(leafOf(index), [...hashes, leafOf(0)])).toBe(false)
    for (const at of hashes.keys()) {
      const changed = hashes.with(at, other(hashes[at] ?? ''))
      expect(verify(leafOf(index), changed)).toBe(false)
    }
    for (let at = 1; at < hashes.length; at++) {
      const [left, right] = [hashes[at - 1] ?? '', hashes[at] ?? '']
      expect(verify(leafOf(index), hashes.with(at - 1, right).with(at, left))).toBe(false)
    }
  })

  test('is refused for counts that are none', () => {
    for (const [index, size] of [
      [0, 0],
      [-1, 2],
      [0.5, 2],
      [0, Number.NaN],
      [0, 2 ** 53],
    ] as const)
      expect(rootFromLeaf('history', { index, size }, leafOf(0), [])).toBeUndefined()
  })

  test('(b) of a leaf is not that of a node: hashes of leaves, nodes and roots have different tags', () => {
    expect(new Set(Object.values(tags)).size).toBe(Object.keys(tags).length)
    const [left, right] = [leafOf(0), leafOf(1)]
    const [, , node = ''] = rangeOf(2).nodes
    // A range of one leaf whose leaf is the node above two others has another root than theirs.
    const forged = new Mountains('history')
    forged.append(node)
    expect(forged.root()).not.toBe(rangeOf(2).root)
    const records = new Mountains('records')
    for (const leaf of [left, right]) records.append(leaf)
    expect(records.root()).not.toBe(rangeOf(2).root)
    expect(records.peaks).not.toEqual(rangeOf(2).peaks)
  })
})

describe('a consistency proof', () => {
  test('verifies for all sizes from ≤ to ≤ 64, with both roots', () => {
    for (const to of sizes)
      for (const from of sizes.slice(0, to + 1)) {
        const blocks = range.hashes([...blocksBetween(0, from), ...blocksBetween(from, to)])
        const roots = rootsFromBlocks('history', from, to, blocks)
        expect(roots).toEqual({ from: range.roots[from], to: range.roots[to] })
      }
  })

  test('does not hold with another size, or with one hash changed or left out', () => {
    const [from, to] = [13, 37]
    const blocks = range.hashes([...blocksBetween(0, from), ...blocksBetween(from, to)])
    const holds = (start: number, end: number, list: readonly Digest[]) => {
      const roots = rootsFromBlocks('history', start, end, list)
      return roots?.from === range.roots[from] && roots?.to === range.roots[to]
    }

    expect(holds(from, to, blocks)).toBe(true)
    for (const size of sizes) {
      if (size !== from) expect(holds(size, to, blocks)).toBe(false)
      if (size !== to) expect(holds(from, size, blocks)).toBe(false)
    }
    for (const at of blocks.keys()) {
      expect(holds(from, to, blocks.with(at, other(blocks[at] ?? '')))).toBe(false)
      expect(holds(from, to, blocks.toSpliced(at, 1))).toBe(false)
    }
  })
})

test('a range goes on from its size and peaks as if it had never stopped', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 64 }), (stop, more) => {
      const size = Math.min(64, stop + more)
      const first = rangeOf(stop)
      const resumed = new Mountains('history', stop, first.peaks)
      for (let index = stop; index < size; index++) resumed.append(leafOf(index))
      expect(resumed.root()).toBe(range.roots[Math.max(stop, size)])
    }),
    { numRuns: 100 },
  )
})

test('proofs of random leaves in random sizes verify, and no other leaf does', () => {
  const { hashes, roots } = rangeOf(700)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 700 }), fc.nat(), fc.nat(), (size, one, two) => {
      const [index, wrong] = [one % size, two % size]
      const path = hashes(blocksAround(index, size))
      const place = { index, size }
      expect(rootFromLeaf('history', place, leafOf(index), path)).toBe(roots[size])
      if (wrong !== index)
        expect(rootFromLeaf('history', place, leafOf(wrong), path)).not.toBe(roots[size])
    }),
    { numRuns: 200 },
  )
})
