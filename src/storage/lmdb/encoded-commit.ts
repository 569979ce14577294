/**
 * Encodes a projection's commit as bytes in one piece of memory. It is made where the rows are and
 * written by the owner of the writing environment. The memory is transferred and not copied, and
 * comes back for the next commit.
 *
 *     entry      u32 bytes of the key | u32 bytes of the record, FFFFFFFF for a removed row | key | record
 *
 * The last entry is the position. Integers are little endian.
 */

import { viewOf } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import type { ProjectedPosition, Row } from '../ports/projection-store.ts'
import { encodePosition, encodeRow, isRowKey, positionKey, rowBytes } from '../values/row-codec.ts'

/** A commit in new memory. `bytes` is all of that memory, `used` the length of the commit. */
export type EncodedCommit = { readonly bytes: Uint8Array; readonly used: number }

/** The bytes of the two lengths of an entry. */
const headBytes = 8
const removed = 0xffff_ffff

/**
 * The least memory that is allocated, and the most that is kept for reuse: a commit of one large
 * row may take more.
 */
const bytesMin = 64 * 1024
const bytesKept = 8 * 1024 * 1024

/** Encodes commits one after another, in memory that it gets back. */
export class CommitEncoder {
  #free: Uint8Array | undefined

  /**
   * Begins a commit. Nothing is written before it is complete, so a draft can simply be dropped.
   */
  begin(): CommitDraft {
    const draft = new CommitDraft(this.#free ?? new Uint8Array(bytesMin))
    this.#free = undefined
    return draft
  }

  /** Takes back the memory of a commit. */
  reuse(bytes: Uint8Array): void {
    if (bytes.length > 0 && bytes.length <= bytesKept) this.#free = bytes
  }
}

/** A commit under construction. Its memory grows with its rows. */
export class CommitDraft {
  #into: Memory
  #used = 0

  constructor(bytes: Uint8Array) {
    this.#into = memoryOver(bytes)
  }

  /**
   * Adds a row or a removal. @throws KeelsonError `INVALID_ARGUMENT` for a key that no row can have
   */
  add(key: string, row: Row | undefined): void {
    // A UTF-16 unit takes at most three bytes.
    this.#makeRoom(headBytes + 3 * key.length + (row ? rowBytes(row.value) : 0))
    const { bytes, view } = this.#into
    const at = this.#used
    const from = at + headBytes
    const begin = from + writeKey(bytes, from, key)
    if (!isRowKey(bytes, from, begin)) throw unfitKey(begin - from)
    this.#used = row ? encodeRow(this.#into, from, begin, row) : begin
    view.setUint32(at, begin - from, true)
    view.setUint32(at + 4, row ? this.#used - begin : removed, true)
  }

  /** Completes the commit. */
  end(position: ProjectedPosition): EncodedCommit {
    const record = encodePosition(position)
    this.#makeRoom(headBytes + positionKey.length + record.length)
    const { bytes, view } = this.#into
    const from = this.#used + headBytes
    view.setUint32(this.#used, positionKey.length, true)
    view.setUint32(this.#used + 4, record.length, true)
    bytes.set(positionKey, from)
    bytes.set(record, from + positionKey.length)
    this.#used = from + positionKey.length + record.length
    return { bytes, used: this.#used }
  }

  #makeRoom(bytes: number): void {
    const old = this.#into.bytes
    if (this.#used + bytes <= old.length) return
    const grown = new Uint8Array(Math.max(2 * old.length, this.#used + bytes))
    grown.set(old.subarray(0, this.#used))
    this.#into = memoryOver(grown)
  }
}

/** Memory to write text and numbers to; also a `FrameBuffer`. */
type Memory = { readonly bytes: Buffer; readonly view: DataView }

/** Memory over these bytes. */
export const memoryOver = (bytes: Uint8Array): Memory => ({
  bytes: asBuffer(bytes),
  view: viewOf(bytes),
})

/** Up to this many UTF-16 units a loop here costs less than the call into Node. */
const shortKey = 40

/** Writes `key` as UTF-8 and returns its length in bytes. */
export const writeKey = (bytes: Buffer, from: number, key: string): number => {
  if (key.length > shortKey) return bytes.write(key, from)
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    if (unit > 0x7f) return bytes.write(key, from)
    bytes[from + at] = unit
  }
  return key.length
}

const unfitKey = (bytes: number): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'the key of a row must have 1 to 1,537 bytes', {
    details: { bytes },
  })

/** An entry of a commit, as views of its memory. Without a record the row is removed. */
export type EncodedEntry = { readonly key: Buffer; readonly record: Buffer | undefined }

/** The entries of a commit in order; the position is the last. */
export const entriesOf = ({ bytes, used }: EncodedCommit): EncodedEntry[] => {
  const { bytes: memory, view } = memoryOver(bytes)
  const entries: EncodedEntry[] = []
  for (let at = 0; at < used; ) {
    const from = at + headBytes
    const begin = from + view.getUint32(at, true)
    const length = view.getUint32(at + 4, true)
    at = length === removed ? begin : begin + length
    const record = length === removed ? undefined : memory.subarray(begin, at)
    entries.push({ key: memory.subarray(from, begin), record })
  }
  return entries
}
