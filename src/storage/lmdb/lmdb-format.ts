/**
 * The layout of an LMDB data file, as far as an examination needs it: version 2 of the format, as
 * in lmdb-js 3.5 (its mdb.c: MDB_page_header, MDB_meta, MDB_db, MDB_node, MDB_ovpage), on 64-bit
 * little-endian machines. Pure. Offsets and sizes are in bytes; page numbers count from the start
 * of the file.
 */
import { readU64, viewOf } from '../../bytes/u64.ts'

/** A B+tree as described by its meta page. `root` is `undefined` for an empty tree. */
export type Tree = {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  readonly root: number | undefined
}

/** One of the two meta pages: the start of one snapshot. */
export type Meta = {
  readonly pageBytes: number
  /** The free list: pages that may be overwritten, by the transaction that freed them. */
  readonly free: Tree
  readonly main: Tree
  readonly lastPage: number
  readonly transaction: number
}

/**
 * The bytes of a page's header: u64 number, u64 transaction, u16 pad, u16 flags, u16 lower, u16
 * upper.
 */
export const pageHeadBytes = 24

/**
 * The bytes of a node's header: u32 size of the data (u48 page number in a branch), u16 flags, u16
 * size of the key.
 */
export const nodeHeadBytes = 8

/** The bytes in a node for large data: u64 page, u64 transaction, u64 pages. */
export const overflowReferenceBytes = 24

/** The kind of a page, in its header. A committed page has exactly one of these flags. */
export const pageFlags = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const

/** The flag of a leaf node with its data on overflow pages. */
export const overflowNode = 0x01

/** The flag of the free list: its keys are integers. */
const integerKeys = 0x08

/** The number of meta pages: pages 0 and 1. */
export const metaPages = 2

/** The greatest depth of a tree: the depth of LMDB's cursor stack. */
export const depthMax = 32

const magic = 0xbeefc0de
const formatVersion = 2
const metaBytes = 144
const freeAt = 24
const mainAt = 72

/** The bytes of a page to read for its meta. */
export const metaPageBytes = pageHeadBytes + metaBytes

const isNone = (view: DataView, at: number): boolean =>
  view.getUint32(at, true) === 0xffffffff && view.getUint32(at + 4, true) === 0xffffffff

const readTree = (view: DataView, at: number): Tree => ({
  flags: view.getUint16(at + 4, true),
  depth: view.getUint16(at + 6, true),
  branchPages: readU64(view, at + 8),
  leafPages: readU64(view, at + 16),
  overflowPages: readU64(view, at + 24),
  entries: readU64(view, at + 32),
  root: isNone(view, at + 40) ? undefined : readU64(view, at + 40),
})

/** The meta on the page at the start of `bytes`, or its fault as the end of a sentence. */
export const readMeta = (bytes: Uint8Array, page: number): Meta | string => {
  if (bytes.length < metaPageBytes) return 'is cut short'
  const head = viewOf(bytes)
  if (readU64(head, 0) !== page) return 'has another number'
  if (head.getUint16(18, true) !== pageFlags.meta) return 'is no meta page'
  const view = viewOf(bytes.subarray(pageHeadBytes))
  if (view.getUint32(0, true) !== magic) return 'has no magic number'
  if (view.getUint32(4, true) !== formatVersion) return 'has an unknown version'
  const pageBytes = view.getUint32(freeAt, true)
  if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0)
    return 'has an impossible page size'
  const meta: Meta = {
    pageBytes,
    free: readTree(view, freeAt),
    main: readTree(view, mainAt),
    lastPage: readU64(view, 120),
    transaction: readU64(view, 128),
  }
  return metaFault(meta, view.getUint32(mainAt, true)) ?? meta
}

const metaFault = (meta: Meta, mainPad: number): string | undefined => {
  if (meta.free.flags !== integerKeys) return 'has unknown flags of the free list'
  if (meta.main.flags !== 0 || mainPad !== 0) return 'has unknown flags of the main tree'
  if (!Number.isSafeInteger(meta.lastPage) || meta.lastPage < metaPages - 1)
    return 'has an impossible last page'
  if (!Number.isSafeInteger(meta.transaction)) return 'has an impossible transaction'
  return undefined
}

/**
 * The meta that LMDB will use, of the later transaction, or why the two do not match. Transaction n
 * writes page n mod 2. So one follows the other, or both belong to a new file.
 */
export const newerMeta = (first: Meta, second: Meta): Meta | string => {
  if (first.pageBytes !== second.pageBytes) return 'the meta pages disagree about the page size'
  if (first.transaction === 0 && second.transaction === 0) return first
  const newer = first.transaction > second.transaction ? first : second
  const older = newer === first ? second : first
  if (newer.transaction !== older.transaction + 1 || first.transaction % 2 !== 0)
    return 'the meta pages are not those of two transactions in a row'
  return newer
}

/** The number of overflow pages for this many bytes of data. */
export const overflowPages = (bytes: number, pageBytes: number): number =>
  Math.floor((pageHeadBytes - 1 + bytes) / pageBytes) + 1
