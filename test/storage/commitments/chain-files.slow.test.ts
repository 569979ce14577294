/** Headers on their way into the files of a chain, and the files. */
import { describe, expect, test } from 'vitest'
import {
  ChainFiles,
  chainParts,
  commitmentsFolder,
  writePart,
} from '../../../src/storage/commitments/chain-files.ts'
import { CommitmentChain } from '../../../src/storage/commitments/commitment-chain.ts'
import { noDigest } from '../../../src/storage/commitments/digests.ts'
import { findChain } from '../../../src/storage/commitments/found-chain.ts'
import { simulatedDisk } from '../../../src/testing/index.ts'

const dir = '/log'
const empty = {
  ...{ kept: 0, keptLsn: 0, peaks: [], headers: [], last: undefined, coverFrom: 1, uncovered: [] },
}
const begun = () => {
  const disk = simulatedDisk()
  disk.makeFolder(dir)
  return disk
}
const sealed = (chain: CommitmentChain, from: number, to: number) => {
  for (let lsn = from; lsn <= to; lsn++) {
    chain.addFrame(lsn, 7, new Uint8Array(20))
    chain.seal(lsn, 7)
  }
}

describe('a chain', () => {
  test('is due for its files with every 16,384 headers, and not before', () => {
    const chain = new CommitmentChain({ disk: begun(), dir }, {}, empty)
    expect([chain.isPartFull, chain.keptLsn]).toEqual([false, Number.POSITIVE_INFINITY])
    sealed(chain, 1, 16_383)
    expect([chain.isPartFull, chain.keptLsn]).toEqual([false, 0])
    sealed(chain, 16_384, 16_384)
    expect(chain.isPartFull).toBe(true)
    chain.settle()
    expect([chain.isPartFull, chain.keptLsn]).toEqual([false, Number.POSITIVE_INFINITY])
    expect(chain.anchor).toMatchObject({ count: 16_384, commits: true })
  })

  test('writes parts one behind another, which have every header and node', () => {
    const disk = begun()
    const chain = new CommitmentChain({ disk, dir }, {}, empty)
    for (const [from, to] of [
      [1, 3],
      [4, 4],
    ] as const) {
      sealed(chain, from, to)
      chain.settle()
    }
    const files = new ChainFiles(disk, dir)
    expect([3, 4, 5].map((count) => files.covers(count))).toEqual([true, true, false])
    const headers = [0, 1, 2, 3, 4].map((seq) => files.header(seq)?.header)
    expect(headers.map((header) => header && [header.firstLsn, header.lastLsn])).toEqual([
      ...[
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 4],
      ],
      undefined,
    ])
    expect(headers[3]?.prev).toBe(files.header(2)?.hash)
    // Seven nodes over four leaves.
    const nodes = Array.from({ length: 8 }, (_, position) => files.node(position))
    expect(new Set(nodes.slice(0, 7)).size).toBe(7)
    expect(nodes[7]).toBeUndefined()
    files.close()
  })
})

test('a part takes the place of those from its first header on, and of a spare that was left', () => {
  const disk = begun()
  const header = new Uint8Array(136)
  const parts = () => chainParts(disk, dir).map(({ first, count }) => [first, count])
  expect(parts()).toEqual([])
  writePart(disk, dir, 0, [header], [noDigest])
  writePart(disk, dir, 1, [header, header], [noDigest])
  writePart(disk, dir, 3, [header], [noDigest])
  expect(parts()).toEqual([
    [0, 1],
    [1, 2],
    [3, 1],
  ])
  disk.open(`${dir}/${commitmentsFolder}/part.tmp`, 'create').close()
  writePart(disk, dir, 1, [header, header, header], [noDigest])
  expect(parts()).toEqual([
    [0, 1],
    [1, 3],
  ])
  expect(disk.list(`${dir}/${commitmentsFolder}`)).toHaveLength(2)
})

test('a chain without pending headers writes no part', () => {
  const disk = begun()
  const chain = new CommitmentChain({ disk, dir }, {}, empty)
  chain.settle()
  expect(disk.entry(`${dir}/${commitmentsFolder}`)).toBeUndefined()
  sealed(chain, 1, 2)
  chain.settle()
  chain.settle()
  expect(chainParts(disk, dir)).toMatchObject([{ first: 0, count: 2 }])
})

test('a header in the place of another one, and bytes that are no header, are missing', () => {
  const disk = begun()
  const chain = new CommitmentChain({ disk, dir }, {}, empty)
  chain.addFrame(1, 7, new Uint8Array(20))
  const header = chain.seal(1, 7)
  writePart(disk, dir, 0, [header, header, new Uint8Array(136)], [noDigest])
  const files = new ChainFiles(disk, dir)
  expect([0, 1, 2].map((seq) => files.header(seq)?.header.seq)).toEqual([0, undefined, undefined])
  files.close()
})

test('an opening takes the chain up to the newest segment from the files alone', () => {
  const disk = begun()
  const chain = new CommitmentChain({ disk, dir }, {}, empty)
  sealed(chain, 1, 5)
  chain.settle()
  const files = new ChainFiles(disk, dir)
  const walked: number[] = []
  const run = (from: number, to: number, anchor: typeof chain.anchor) => ({
    ...{ from, to, anchor, commits: true },
    walk: () => void walked.push(from),
  })
  const runs = [
    run(0, 5, { count: 0, root: empty.peaks.join(''), commits: true }),
    run(5, 5, chain.anchor),
  ]
  expect(findChain(runs, files, true)).toMatchObject({
    kept: 5,
    keptLsn: 5,
    headers: [],
    coverFrom: 6,
  })
  expect(walked).toEqual([])
  files.close()
})
