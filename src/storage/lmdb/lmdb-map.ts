/**
 * The size of LMDB's map. It begins small and grows inside a transaction: lmdb-js maps the file
 * again, with twice the pages that it needs, and keeps the old maps until it closes. If the system
 * refuses that map, lmdb-js ends the process. So a commit that might need it is refused before its
 * transaction when there is no room for it. So is one that the disk may not have room for. Pure.
 */
import { KeelsonError } from '../../errors.ts'

const MiB = 2 ** 20

/** The greatest map of a store, unless the caller names another. */
export const mapBytesDefault = 1024 * 1024 * MiB

/** The map of a new store. It costs address space, neither memory nor disk. */
const firstBytes = 1024 * MiB

/** A map is made for a file that may grow to this many times its size. */
const growth = 4

/** LMDB and its caller allocate this much beside the map. */
const besideBytes = 64 * MiB

/**
 * The first map of a file of `fileBytes`: `mapBytesMax` at most, and an eighth of the address space
 * that is left, but the whole file. @throws KeelsonError `NO_SPACE` if that does not fit
 */
export const firstMap = (fileBytes: number, mapBytesMax: number, left: number): number => {
  const wanted = Math.min(Math.max(firstBytes, growth * fileBytes), mapBytesMax, left / 8)
  const bytes = Math.ceil(Math.max(wanted, fileBytes, MiB) / MiB) * MiB
  refuseMap(bytes, left)
  return bytes
}

/** @throws KeelsonError `NO_SPACE` if a map of `bytes` does not fit into the space that is left */
export const refuseMap = (bytes: number, left: number): void => {
  if (bytes + besideBytes > left)
    throw noMap(`the process may map only ${left} bytes more`, { bytes, left })
}

/** An open environment, as LMDB describes it. */
export type MapUse = {
  readonly pageBytes: number
  readonly lastPage: number
  readonly depth: number
  readonly mapBytes: number
}

/** The extent of a commit: its entries, and their bytes. */
export type MapLoad = { readonly entries: number; readonly bytes: number }

/**
 * Refuses a commit that might outgrow the map when a larger one is not allowed or does not fit.
 * @throws KeelsonError `NO_SPACE`
 */
export const refuseGrowth = (
  use: MapUse,
  load: MapLoad,
  mapBytesMax: number,
  left: () => number,
): void => {
  const pages = use.lastPage + 1 + pagesAtMost(use, load)
  if (pages * use.pageBytes < use.mapBytes) return
  const bytes = 2 * pages * use.pageBytes
  if (bytes > mapBytesMax)
    throw noMap(`its map may not be larger than lmdb.mapBytes, ${mapBytesMax} bytes`, { bytes })
  // A second growth in one transaction is less than the first one again.
  refuseMap(2 * bytes, left())
}

/**
 * Refuses a commit for which the disk may have no room. LMDB takes that badly: it may end the
 * process (`lmdb-environment.ts`). A commit writes a page for each entry, each split in two at most
 * and none twice, and the pages of its bytes. @throws KeelsonError `NO_SPACE`
 */
export const refuseFull = (
  { pageBytes, lastPage }: MapUse,
  { entries, bytes }: MapLoad,
  freeBytes: number,
): void => {
  const pages =
    Math.min(2 * entries, lastPage + 1) + Math.ceil((3 * bytes) / pageBytes) + sparePages
  const neededBytes = pages * pageBytes
  if (freeBytes >= neededBytes) return
  throw new KeelsonError('NO_SPACE', 'the disk may have no room for a commit of the projection', {
    details: { freeBytes, neededBytes },
  })
}

/** For the free list, and for the pages above the leaves. */
const sparePages = 256

/**
 * Each entry changes at most the pages on its way, and each of these may be split once. Records
 * fill their pages to a half at least, and the free list needs a few pages more.
 */
const pagesAtMost = ({ pageBytes, depth }: MapUse, { entries, bytes }: MapLoad): number =>
  2 * entries * (depth + 1) + Math.ceil((3 * bytes) / pageBytes) + sparePages

const noMap = (evidence: string, details: Record<string, unknown>): KeelsonError =>
  new KeelsonError('NO_SPACE', `the projection cannot be mapped: ${evidence}`, {
    details: { evidence, ...details },
  })
