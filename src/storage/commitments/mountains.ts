/**
 * A Merkle Mountain Range: a hash tree that only grows. Its leaves form perfect trees (mountains),
 * the largest first, one for each set bit of the number of leaves. The root covers all peaks and
 * that number. Pure.
 *
 * A *block* is a perfect tree inside a mountain: `2 ** height` leaves from `first` on, which is a
 * multiple of that. Any stretch of leaves is a row of blocks in one way. So a proof is a list of
 * block hashes in the order of their leaves, without positions: the verifier computes them.
 */
import { type Digest, nodeAbove, rootAbove, tags } from './digests.ts'

/** The tags of a range. */
export type RangeKind = 'records' | 'history'

/** A perfect tree of `2 ** height` leaves. */
export type Block = { readonly first: number; readonly height: number }

const rangeTags = {
  records: { node: tags.recordsNode, root: tags.recordsRoot },
  history: { node: tags.historyNode, root: tags.historyRoot },
} as const

/** A range in memory: its size and its peaks, the largest mountain first. */
export class Mountains {
  readonly #kind: RangeKind
  readonly #peaks: Digest[]
  #size: number

  /** A range with `size` leaves and these peaks; empty by default. */
  constructor(kind: RangeKind, size = 0, peaks: readonly Digest[] = []) {
    this.#kind = kind
    this.#size = size
    this.#peaks = [...peaks]
  }

  /** The number of leaves. */
  get size(): number {
    return this.#size
  }

  /** The peaks, the largest mountain first. */
  get peaks(): readonly Digest[] {
    return this.#peaks
  }

  /** Adds a leaf. Returns the nodes that it makes, in the order of their positions. */
  append(leaf: Digest): Digest[] {
    return this.appendBlock(0, leaf)
  }

  /**
   * Adds the block of `height` that begins with the next leaf: the size must be a multiple of
   * `2 ** height`. Returns its root and the nodes above it that are complete now.
   */
  appendBlock(height: number, root: Digest): Digest[] {
    const nodes = [root]
    let node = root
    for (let rest = this.#size / 2 ** height; rest % 2 === 1; rest = (rest - 1) / 2) {
      node = nodeAbove(rangeTags[this.#kind].node, this.#peaks.pop() ?? '', node)
      nodes.push(node)
    }
    this.#peaks.push(node)
    this.#size += 2 ** height
    return nodes
  }

  /** The root. It covers `members`, the number of leaves by default. */
  root(members = this.#size): Digest {
    return rootAbove(rangeTags[this.#kind].root, members, this.#peaks)
  }
}

/** The blocks of the leaves from `from` up to `to`, exclusive, in order. */
export const blocksBetween = (from: number, to: number): Block[] => {
  const blocks: Block[] = []
  for (let first = from; first < to; ) {
    let height = 0
    // As large as its first leaf allows, and not beyond the end.
    while (first % 2 ** (height + 1) === 0 && first + 2 ** (height + 1) <= to) height++
    blocks.push({ first, height })
    first += 2 ** height
  }
  return blocks
}

/** The blocks that an inclusion proof lists: those around the leaf `index` of `size` leaves. */
export const blocksAround = (index: number, size: number): Block[] => [
  ...blocksBetween(0, index),
  ...blocksBetween(index + 1, size),
]

/**
 * The root of a range of `size` leaves, from the leaf `index` and the hashes of the blocks around
 * it. `undefined` unless there are exactly as many hashes as the two numbers demand.
 */
export const rootFromLeaf = (
  kind: RangeKind,
  { index, size, members = size }: { index: number; size: number; members?: number },
  leaf: Digest,
  hashes: readonly Digest[],
): Digest | undefined => {
  if (!isCount(size) || !isCount(index) || index >= size) return undefined
  const before = blocksBetween(0, index)
  const behind = blocksBetween(index + 1, size)
  if (hashes.length !== before.length + behind.length) return undefined
  const range = new Mountains(kind)
  appendBlocks(range, before, hashes)
  range.append(leaf)
  appendBlocks(range, behind, hashes.slice(before.length))
  return range.root(members)
}

/**
 * The roots of a range at the sizes `from` and `to`, from the hashes of the blocks before `from`
 * and between. `undefined` unless there are exactly as many hashes as the two numbers demand.
 */
export const rootsFromBlocks = (
  kind: RangeKind,
  from: number,
  to: number,
  hashes: readonly Digest[],
): { readonly from: Digest; readonly to: Digest } | undefined => {
  if (!isCount(from) || !isCount(to) || from > to) return undefined
  const before = blocksBetween(0, from)
  const behind = blocksBetween(from, to)
  if (hashes.length !== before.length + behind.length) return undefined
  const range = new Mountains(kind)
  appendBlocks(range, before, hashes)
  const earlier = range.root()
  appendBlocks(range, behind, hashes.slice(before.length))
  return { from: earlier, to: range.root() }
}

const appendBlocks = (
  range: Mountains,
  blocks: readonly Block[],
  hashes: readonly Digest[],
): void => {
  for (const [at, { height }] of blocks.entries()) range.appendBlock(height, hashes[at] ?? '')
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** The number of nodes of a range with `size` leaves; also the position of the leaf `size`. */
export const nodeCount = (size: number): number => 2 * size - bitsOf(size)

/** The position of a block's root among the nodes of its range, in the order of their making. */
export const positionOf = ({ first, height }: Block): number =>
  nodeCount(first) + 2 ** (height + 1) - 2

const bitsOf = (value: number): number => {
  let count = 0
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
