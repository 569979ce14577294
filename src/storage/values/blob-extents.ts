/**
 * The extents of blobs in their segments: that of one record, whose bytes `blob-record.ts` has, and
 * sets of them. Extents that touch are merged, so adjacent records become one and a folder of live
 * blobs takes little memory. Pure.
 */
import type { BlobRef } from './blob-reference.ts'

/** Length of the header of a record in bytes. */
export const blobHeaderBytes = 48

/** Bytes of a payload that one CRC covers. */
export const blobChunkBytes = 64 * 1024

/** Bytes of a trailer after its CRCs. */
export const blobFooterBytes = 16

/** Records begin on multiples of this. */
const blobBlockBytes = 4096

/** Number of CRCs of a payload. */
export const chunkCount = (size: number): number => Math.ceil(size / blobChunkBytes)

/** Length of a trailer in bytes. */
export const trailerBytes = (size: number): number => 4 * chunkCount(size) + blobFooterBytes

/** Rounds up to a multiple of a block. */
const toBlock = (bytes: number): number => Math.ceil(bytes / blobBlockBytes) * blobBlockBytes

/** Length of a record with its padding, in bytes. */
export const recordBytes = (size: number): number =>
  toBlock(blobHeaderBytes + size + trailerBytes(size))

/** Where a record begins and ends in its segment. */
export const recordExtent = ({ offset, size }: Pick<BlobRef, 'offset' | 'size'>): Extent => {
  const from = offset - blobHeaderBytes
  return { from, to: from + recordBytes(size) }
}

/** Bytes from one offset up to another. */
export type Extent = { readonly from: number; readonly to: number }

/** Extents of a segment that wait to be merged, at most, beside as many as it has merged. */
const pendingMax = 1_024

/** A set of bytes in segments. */
export class BlobExtents {
  readonly #segments = new Map<number, { merged: Extent[]; pending: Extent[] }>()

  /** Adds an extent. An empty one changes nothing. */
  add(segment: number, extent: Extent): void {
    if (extent.from >= extent.to) return
    const found = this.#segments.get(segment) ?? { merged: [], pending: [] }
    this.#segments.set(segment, found)
    found.pending.push(extent)
    if (found.pending.length > pendingMax + found.merged.length) merge(found)
  }

  /** Adds the extents of another set. */
  addAll(other: BlobExtents): void {
    for (const segment of other.#segments.keys())
      for (const extent of other.of(segment)) this.add(segment, extent)
  }

  /** The extents of a segment, in order and disjoint. */
  of(segment: number): readonly Extent[] {
    const found = this.#segments.get(segment)
    if (!found) return []
    if (found.pending.length > 0) merge(found)
    return found.merged
  }

  /** The segments that have extents. */
  get segments(): IterableIterator<number> {
    return this.#segments.keys()
  }
}

const merge = (found: { merged: Extent[]; pending: Extent[] }): void => {
  const all = [...found.merged, ...found.pending].sort((a, b) => a.from - b.from)
  const merged: Extent[] = []
  for (const { from, to } of all) {
    const last = merged[merged.length - 1]
    if (last && from <= last.to)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, to) }
    else merged.push({ from, to })
  }
  found.merged = merged
  found.pending = []
}

/** The parts of a file of `size` bytes outside the extents, which are in order and disjoint. */
export const gapsBetween = (extents: readonly Extent[], size: number): Extent[] => {
  const gaps: Extent[] = []
  let at = 0
  for (const { from, to } of extents) {
    if (from >= size) break
    if (at < from) gaps.push({ from: at, to: from })
    at = Math.max(at, to)
  }
  if (at < size) gaps.push({ from: at, to: size })
  return gaps
}
