/**
 * The records of a group and their root. A record is one unit of a DATA frame, with its kind and
 * without its length. A payload that is no list of units is one record. Its digest covers LSN, index
 * within the frame, time stamp and bytes. Digests are hashed in rows of sixteen, and the rows are
 * the leaves of a range. That takes one hash a record, where a plain tree takes two. Pure.
 */
import { copyPart } from '../../bytes/copy-part.ts'
import { sha256Hex, sha256Latin1, startSha256 } from '../../bytes/sha256.ts'
import { u32In, viewOf, writeU64 } from '../../bytes/u64.ts'
import { stampBytes } from '../frames/control-payload.ts'
import { type Digest, digestBytes, putDigest, tags } from './digests.ts'
import { type Block, blocksAround, Mountains, rootFromLeaf } from './mountains.ts'

/** The digests of one row. */
const rowSize = 16

/** The place of a record: in the frame with this LSN, stamped with `time` in ms. */
export type RecordPlace = { readonly lsn: number; readonly index: number; readonly time: number }

/**
 * Calls `take` with the bounds of each record in `payload`, which begins with the stamp. Their
 * index is their place in the order.
 */
export const eachRecord = (payload: Uint8Array, take: (from: number, to: number) => void): void => {
  const units = unitsEnd(payload)
  if (units === undefined) take(Math.min(stampBytes, payload.length), payload.length)
  else
    for (let at = stampBytes + 2; at < payload.length; ) {
      const end = at + 4 + u32In(payload, at)
      take(at + 4, end)
      at = end
    }
}

/** The end of the units; `undefined` if the payload is no list of units. */
const unitsEnd = (payload: Uint8Array): number | undefined => {
  let left = (payload[stampBytes] ?? 0) | ((payload[stampBytes + 1] ?? 0) << 8)
  if (left === 0) return undefined
  let at = stampBytes + 2
  for (; left > 0; left--) {
    if (at + 4 > payload.length) return undefined
    at += 4 + u32In(payload, at)
  }
  return at === payload.length ? at : undefined
}

const prefixBytes = 19

/** Longer records are hashed in two pieces rather than copied. */
const scratch = Buffer.allocUnsafeSlow(4096)
const scratchView = viewOf(scratch)

/** The digest of the record `bytes` at a place. */
export const recordDigest = (
  { lsn, index, time }: RecordPlace,
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): Digest => {
  scratch[0] = tags.record
  writeU64(scratchView, 1, lsn)
  scratchView.setUint16(9, index, true)
  writeU64(scratchView, 11, time)
  const length = prefixBytes + to - from
  if (length > scratch.length) {
    const sum = startSha256()
    sum.add(scratch.subarray(0, prefixBytes))
    sum.add(bytes.subarray(from, to))
    return Buffer.from(sum.end()).toString('hex')
  }
  copyPart(bytes, from, to, scratch, prefixBytes)
  return sha256Hex(scratch.subarray(0, length))
}

/** The digests of all records of a DATA frame. */
export const frameDigests = (lsn: number, time: number, payload: Uint8Array): Digest[] => {
  const digests: Digest[] = []
  eachRecord(payload, (from, to) => {
    digests.push(recordDigest({ lsn, index: digests.length, time }, payload, from, to))
  })
  return digests
}

/** Frames up to this length are hashed in place, in one copy. */
const frameMax = 1024 * 1024

/** The root of a group's records, one record after another. */
export class RecordRoot {
  readonly #row = Buffer.allocUnsafeSlow(1 + rowSize * digestBytes)
  /** The digests of the row that fills, as Latin-1. */
  #digests = ''
  #rows = new Mountains('records')
  /** The number of records since the last `take`. */
  #count = 0
  #frame = Buffer.allocUnsafeSlow(4096)

  /** Adds the records of a DATA frame, stamped with `time`. */
  addFrame(lsn: number, time: number, payload: Uint8Array): void {
    if (payload.length > frameMax) {
      for (const digest of frameDigests(lsn, time, payload)) this.add(digest)
      return
    }
    const frame = this.#copyOf(payload)
    const view = viewOf(frame)
    let index = 0
    // The place of each record is written over the bytes before it, which are hashed already.
    eachRecord(payload, (from, to) => {
      frame[from] = tags.record
      writeU64(view, from + 1, lsn)
      view.setUint16(from + 9, index++, true)
      writeU64(view, from + 11, time)
      this.#add(sha256Latin1(new Uint8Array(frame.buffer, from, prefixBytes + to - from)))
    })
  }

  /** Adds the next record. */
  add(digest: Digest): void {
    this.#add(Buffer.from(digest, 'hex').toString('latin1'))
  }

  /** The root of all records since the last `take`, and their number. Then it begins again. */
  take(): { readonly root: Digest; readonly count: number } {
    const count = this.#count
    this.#endRow()
    const root = this.#rows.root(count)
    this.#rows = new Mountains('records')
    this.#count = 0
    return { root, count }
  }

  /** A copy of the payload, after room for the place of its first record. */
  #copyOf(payload: Uint8Array): Buffer {
    const length = prefixBytes + payload.length
    if (length > this.#frame.length) this.#frame = Buffer.allocUnsafeSlow(2 * length)
    this.#frame.set(payload, prefixBytes)
    return this.#frame
  }

  #add(digest: string): void {
    this.#digests += digest
    this.#count++
    if (this.#count % rowSize === 0) this.#endRow()
  }

  #endRow(): void {
    if (this.#digests === '') return
    this.#row[0] = tags.row
    const length = this.#row.write(this.#digests, 1, 'latin1')
    this.#rows.append(sha256Hex(this.#row.subarray(0, 1 + length)))
    this.#digests = ''
  }
}

const rowDigest = (digests: readonly Digest[]): Digest => {
  const bytes = Buffer.allocUnsafe(1 + digestBytes * digests.length)
  bytes[0] = tags.row
  for (const [at, digest] of digests.entries()) putDigest(bytes, 1 + digestBytes * at, digest)
  return sha256Hex(bytes)
}

/** How one record leads to the root of its group: the others of its row, and the other rows. */
export type RecordPath = { readonly row: readonly Digest[]; readonly path: readonly Digest[] }

/** The path of the record `index` among `digests`. */
export const recordPath = (digests: readonly Digest[], index: number): RecordPath => {
  const rows: Digest[] = []
  for (let at = 0; at < digests.length; at += rowSize)
    rows.push(rowDigest(digests.slice(at, at + rowSize)))
  const own = Math.floor(index / rowSize)
  const row = digests.slice(own * rowSize, (own + 1) * rowSize)
  row.splice(index % rowSize, 1)
  return { row, path: blocksAround(own, rows.length).map((block) => blockRoot(rows, block)) }
}

const blockRoot = (rows: readonly Digest[], { first, height }: Block): Digest => {
  const range = new Mountains('records')
  for (const row of rows.slice(first, first + 2 ** height)) range.append(row)
  return range.peaks[0] ?? ''
}

/**
 * The root of a group of `count` records, from the record `index` and its path. `undefined` unless
 * the path has exactly the length that both numbers demand.
 */
export const rootFromRecord = (
  digest: Digest,
  index: number,
  count: number,
  { row, path }: RecordPath,
): Digest | undefined => {
  if (!Number.isSafeInteger(index) || index >= count) return undefined
  const own = Math.floor(index / rowSize)
  if (row.length !== Math.min(rowSize, count - own * rowSize) - 1) return undefined
  const at = index % rowSize
  const leaf = rowDigest([...row.slice(0, at), digest, ...row.slice(at)])
  const size = Math.ceil(count / rowSize)
  return rootFromLeaf('records', { index: own, size, members: count }, leaf, path)
}
