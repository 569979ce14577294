/**
 * Verifies one B+tree of an LMDB file without trusting it. Every page is at its place. Every node
 * lies within its page and overlaps no other. Keys increase within and across pages and keep to the
 * bounds of the branches. The tree has the size that its meta page names. After a complete walk
 * LMDB may follow the pointers of the tree.
 */

import { readU64, viewOf } from '../../bytes/u64.ts'
import type { ExaminationDepth } from '../ports/projection-store.ts'
import {
  depthMax,
  type Meta,
  nodeHeadBytes,
  overflowNode,
  overflowPages,
  overflowReferenceBytes,
  pageFlags,
  pageHeadBytes,
  type Tree,
} from './lmdb-format.ts'
import { damage, type LmdbPages } from './lmdb-pages.ts'

/** Compares two keys. Each is given by its buffer, start and end. */
export type CompareKeys = (
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
) => number

/** Receives the entries of leaves. Bytes are views, valid only during the call. */
export type EntryVisitor = {
  /** An entry inside its leaf: key and data are parts of `page`. */
  inline(page: Uint8Array, keyFrom: number, dataFrom: number, dataTo: number): void
  /** An entry with `bytes` of data that come in pieces. */
  large(key: Uint8Array, bytes: number, pieces: Iterable<Uint8Array>): void
}

/** The bound of a subtree's keys; `undefined` without a bound. */
type Bound = Uint8Array | undefined

/** The keys of a leaf page: from `low` on, below `high`. */
export type LeafBounds = { readonly low: Bound; readonly high: Bound }

/** The branch pages that are kept for the ways to leaf pages. */
const branchesKept = 4_096

const u16 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) + u16(bytes, at + 2) * 0x10000

/** The page number in a node of a branch. */
const childAt = (page: Uint8Array, node: number): number =>
  u32(page, node) + u16(page, node + 4) * 2 ** 32

/**
 * One tree of the snapshot of `meta`; `name` is for evidence. It can be walked once, or searched
 * leaf by leaf.
 */
export class LmdbTree {
  readonly #name: string
  readonly #tree: Tree
  readonly #meta: Meta
  readonly #pages: LmdbPages
  readonly #compare: CompareKeys
  readonly #visitor: EntryVisitor
  /** The bytes of a page after its header, shared by nodes and their pointers. */
  readonly #area: number
  /** For each even offset the last page with a node at that offset: marks that need no clearing. */
  readonly #starts: Float64Array
  #branchPages = 0
  #leafPages = 0
  #overflowPages = 0
  #entries = 0
  #depth: ExaminationDepth = 'all'
  /** Branch pages of searches, checked. */
  readonly #branches = new Map<number, Uint8Array>()

  constructor(
    name: string,
    tree: Tree,
    meta: Meta,
    pages: LmdbPages,
    compare: CompareKeys,
    visitor: EntryVisitor,
  ) {
    this.#name = name
    this.#tree = tree
    this.#meta = meta
    this.#pages = pages
    this.#compare = compare
    this.#visitor = visitor
    this.#area = meta.pageBytes - pageHeadBytes
    this.#starts = new Float64Array(meta.pageBytes / 2)
  }

  /**
   * Walks the tree in order: all of it, all except most leaf pages, or only to the first leaf page,
   * which is always examined. @throws KeelsonError `CORRUPT` at the first fault
   */
  walk(depth: ExaminationDepth): void {
    for (const _ of this.steps(depth));
  }

  /** Walks as `walk` does, and yields after each leaf page. */
  *steps(depth: ExaminationDepth): Generator<void> {
    this.#depth = depth
    const tree = this.#tree
    if (tree.root === undefined) {
      if (tree.depth !== 0) throw damage(`the ${this.#name} has a depth and no root`)
    } else {
      if (tree.depth < 1 || tree.depth > depthMax)
        throw damage(`the ${this.#name} has the depth ${tree.depth}`)
      yield* this.#visit(tree.root, tree.depth, undefined, undefined)
    }
    if (depth === 'position') return
    this.#checkCount('branch pages', this.#branchPages, tree.branchPages)
    this.#checkCount('leaf pages', this.#leafPages, tree.leafPages)
    if (depth === 'branches') return
    this.#checkCount('overflow pages', this.#overflowPages, tree.overflowPages)
    this.#checkCount('entries', this.#entries, tree.entries)
  }

  /**
   * Examines the leaf page of `key` and the way to it, each page once. With `isBelow` it is the page
   * of the keys right below `key`: the last page without one. Returns the page's bounds.
   * @throws KeelsonError `CORRUPT`, each time for the same page
   */
  leafOf(key: Bound, isBelow: boolean): LeafBounds {
    const { root, depth } = this.#tree
    let low: Bound
    let high: Bound
    if (root === undefined) return { low, high }
    let number = root
    for (let levels = depth; levels > 1; levels--) {
      const page = this.#branch(number)
      const count = u16(page, 20) >>> 1
      const index = this.#childOf(page, number, count, key, isBelow)
      if (index > 0) low = this.#separator(page, number, index)
      if (index + 1 < count) high = this.#separator(page, number, index + 1)
      number = childAt(page, this.#nodeAt(page, number, index))
    }
    if (this.#pages.isSound(number)) return { low, high }
    this.#pages.claim(number, 1, this.#name)
    const page = this.#pages.read(number)
    this.#checkHead(page, number, pageFlags.leaf)
    this.#visitLeaf(page, number, low, high)
    this.#pages.sound(number)
    return { low, high }
  }

  #branch(number: number): Uint8Array {
    const known = this.#branches.get(number)
    if (known) return known
    const page = this.#pages.read(number).slice()
    this.#checkHead(page, number, pageFlags.branch)
    this.#checkLayout(page, number, (node) => nodeHeadBytes + u16(page, node + 6))
    if (this.#branches.size < branchesKept) this.#branches.set(number, page)
    return page
  }

  /** The last child of a branch whose keys begin at or, with `isBelow`, below `key`. */
  #childOf(page: Uint8Array, number: number, count: number, key: Bound, isBelow: boolean): number {
    let from = 0
    let to = count - 1
    while (from < to) {
      const middle = (from + to + 1) >>> 1
      const low = this.#separator(page, number, middle)
      const order = key ? this.#compare(low, 0, low.length, key, 0, key.length) : -1
      if (order < 0 || (order === 0 && !isBelow)) from = middle
      else to = middle - 1
    }
    return from
  }

  #checkCount(what: string, found: number, expected: number): void {
    if (found !== expected)
      throw damage(`the ${this.#name} has ${found} ${what} instead of ${expected}`)
  }

  *#visit(number: number, levels: number, low: Bound, high: Bound): Generator<void> {
    this.#pages.claim(number, 1, this.#name)
    const page = this.#pages.read(number)
    this.#checkHead(page, number, levels === 1 ? pageFlags.leaf : pageFlags.branch)
    if (levels > 1) {
      // A branch is used between reads of its children, which move the window, so it is copied.
      yield* this.#visitBranch(page.slice(), number, levels, low, high)
      return
    }
    this.#visitLeaf(page, number, low, high)
    yield
  }

  #fault(number: number, evidence: string): Error {
    return damage(`page ${number} of the ${this.#name}: ${evidence}`)
  }

  #checkHead(page: Uint8Array, number: number, flags: number): void {
    const view = viewOf(page)
    if (readU64(view, 0) !== number) throw this.#fault(number, 'it has another number')
    if (!(readU64(view, 8) <= this.#meta.transaction))
      throw this.#fault(number, 'it is of a later transaction')
    if (u16(page, 16) !== 0) throw this.#fault(number, 'its padding is not zero')
    if (u16(page, 18) !== flags) throw this.#fault(number, `its flags are ${u16(page, 18)}`)
    if (flags === pageFlags.overflow) return
    const lower = u16(page, 20)
    const upper = u16(page, 22)
    if (lower % 2 !== 0 || lower === 0 || lower > upper || upper > this.#area)
      throw this.#fault(number, `its free space is from ${lower} to ${upper}`)
  }

  /** The offset of node `index` of a page, checked to hold at least its header. */
  #nodeAt(page: Uint8Array, number: number, index: number): number {
    const offset = u16(page, pageHeadBytes + 2 * index)
    if (offset % 2 !== 0 || offset < u16(page, 22) || offset + nodeHeadBytes > this.#area)
      throw this.#fault(number, `node ${index} lies outside`)
    return pageHeadBytes + offset
  }

  /**
   * Checks that the nodes of a page, with sizes from `sizeOf`, fill it from its free space to its
   * end without overlap. Their sizes add up to that space, and each ends where another begins or
   * the page ends. So a chain from the lowest node covers the whole space, and any node outside of
   * the chain would make the sum too large.
   */
  #checkLayout(page: Uint8Array, number: number, sizeOf: (node: number) => number): number {
    const count = u16(page, 20) >>> 1
    const starts = this.#starts
    for (let index = 0; index < count; index++)
      starts[this.#nodeAt(page, number, index) >>> 1] = number
    const upper = pageHeadBytes + u16(page, 22)
    let sum = 0
    for (let index = 0; index < count; index++) {
      const node = pageHeadBytes + u16(page, pageHeadBytes + 2 * index)
      const size = (sizeOf(node) + 1) & ~1
      const end = node + size
      if (end > page.length) throw this.#fault(number, `node ${index} goes beyond its page`)
      if (end < page.length && starts[end >>> 1] !== number)
        throw this.#fault(number, `node ${index} ends within another`)
      sum += size
    }
    if (sum !== page.length - upper || starts[upper >>> 1] !== number)
      throw this.#fault(number, 'its nodes do not fill it')
    return count
  }

  *#visitBranch(
    page: Uint8Array,
    number: number,
    levels: number,
    low: Bound,
    high: Bound,
  ): Generator<void> {
    this.#branchPages++
    const count = this.#checkLayout(page, number, (node) => nodeHeadBytes + u16(page, node + 6))
    let from = low
    for (let index = 0; index < count; index++) {
      const node = this.#nodeAt(page, number, index)
      const to = index + 1 < count ? this.#separator(page, number, index + 1) : high
      // The key of the first node is unused: its subtree begins where the parent's does.
      this.#checkBounds(number, from, to)
      const child = childAt(page, node)
      if (levels === 2 && from && this.#depth !== 'all') this.#skipLeaf(child)
      else yield* this.#visit(child, levels - 1, from, to)
      if (this.#depth === 'position') return
      from = to
    }
  }

  /** A leaf page that is not examined must exist, and be used once. */
  #skipLeaf(number: number): void {
    this.#pages.claim(number, 1, this.#name)
    this.#pages.checkWritten(number)
    this.#leafPages++
  }

  #separator(page: Uint8Array, number: number, index: number): Uint8Array {
    const node = this.#nodeAt(page, number, index)
    const bytes = u16(page, node + 6)
    if (bytes === 0) throw this.#fault(number, `node ${index} has no key`)
    return page.subarray(node + nodeHeadBytes, node + nodeHeadBytes + bytes)
  }

  #checkBounds(number: number, low: Bound, high: Bound): void {
    if (low && high && this.#compare(low, 0, low.length, high, 0, high.length) >= 0)
      throw this.#fault(number, 'its keys do not rise')
  }

  #visitLeaf(page: Uint8Array, number: number, low: Bound, high: Bound): void {
    this.#leafPages++
    const count = this.#checkLayout(page, number, (node) => this.#leafNodeBytes(page, node))
    this.#checkLeafKeys(page, number, count, low, high)
    this.#entries += count
    const large: { key: Uint8Array; bytes: number; reference: Uint8Array }[] = []
    for (let index = 0; index < count; index++) {
      const node = pageHeadBytes + u16(page, pageHeadBytes + 2 * index)
      const flags = u16(page, node + 4)
      const key = node + nodeHeadBytes
      const data = key + u16(page, node + 6)
      if (flags === 0) this.#visitor.inline(page, key, data, data + u32(page, node))
      else if (flags !== overflowNode) throw this.#fault(number, `node ${index} has unknown flags`)
      else
        large.push({
          key: page.slice(key, data),
          bytes: u32(page, node),
          reference: page.slice(data, data + overflowReferenceBytes),
        })
    }
    // Comes last, because reading overflow pages moves the window that holds `page`.
    if (this.#depth === 'position') return
    for (const { key, bytes, reference } of large) this.#visitLarge(key, bytes, reference)
  }

  #leafNodeBytes(page: Uint8Array, node: number): number {
    const data = u16(page, node + 4) & overflowNode ? overflowReferenceBytes : u32(page, node)
    return nodeHeadBytes + u16(page, node + 6) + data
  }

  #checkLeafKeys(page: Uint8Array, number: number, count: number, low: Bound, high: Bound): void {
    let before = page
    let from = 0
    let to = 0
    for (let index = 0; index < count; index++) {
      const node = pageHeadBytes + u16(page, pageHeadBytes + 2 * index)
      const key = node + nodeHeadBytes
      const end = key + u16(page, node + 6)
      if (end === key) throw this.#fault(number, `node ${index} has no key`)
      const rises =
        index > 0
          ? this.#compare(before, from, to, page, key, end) < 0
          : !low || this.#compare(low, 0, low.length, page, key, end) <= 0
      if (!rises) throw this.#fault(number, 'its keys do not rise')
      before = page
      from = key
      to = end
    }
    if (high && this.#compare(before, from, to, high, 0, high.length) >= 0)
      throw this.#fault(number, 'it has a key beyond its bound')
  }

  #visitLarge(key: Uint8Array, bytes: number, reference: Uint8Array): void {
    const view = viewOf(reference)
    const number = readU64(view, 0)
    const count = readU64(view, 16)
    // More pages than needed are allowed: data that shrinks within its transaction keeps its pages.
    if (count < overflowPages(bytes, this.#meta.pageBytes))
      throw damage(`the ${this.#name} has ${bytes} bytes on ${count} pages`)
    this.#pages.claim(number, count, this.#name)
    const head = this.#pages.read(number)
    this.#checkHead(head, number, pageFlags.overflow)
    if (u32(head, 20) !== count) throw this.#fault(number, 'its run has another length')
    if (readU64(viewOf(head), 8) !== readU64(view, 8))
      throw this.#fault(number, 'its run is of another transaction')
    this.#overflowPages += count
    const offset = number * this.#meta.pageBytes + pageHeadBytes
    this.#visitor.large(key, bytes, this.#pages.chunks(offset, bytes))
  }
}
