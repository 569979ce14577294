/**
 * A projection's commit as bytes, all of it in one piece of memory: made where the rows are, written by whoever has the
 * writing environment. Between the two the memory is handed over, not copied, and comes back to be used again.
 *
 *     entry      u32 bytes of the key | u32 bytes of the record, FFFFFFFF where the row is removed | key | record
 *
 * The last entry is the position. Integers are little endian.
 */
import { KeelsonError } from '../../errors.ts'
import { viewOf } from '../bytes/u64.ts'
import { asBuffer } from '../bytes/utf8.ts'
import type { ProjectedPosition, Row } from '../ports/projection-store.ts'
import { encodePosition, encodeRow, isRowKey, positionKey, rowBytes } from './row-codec.ts'

/** A commit in memory that is nobody else's: `bytes` is all of that memory, and `used` how much of it says something. */
export type EncodedCommit = { readonly bytes: Uint8Array; readonly used: number }

/** What an entry begins with. */
const headBytes = 8
const removed = 0xffff_ffff

/** The least that is asked for, and the most that is kept to be used again: a commit of one large row may take more. */
const bytesMin = 64 * 1024
const bytesKept = 8 * 1024 * 1024

/** Encodes commits, one after another, in memory that it gets back. */
export class CommitEncoder {
  #free: Uint8Array | undefined

  /** Begins a commit. It is whole before anything of it is written: whoever drops it has done nothing. */
  begin(): CommitDraft {
    const draft = new CommitDraft(this.#free ?? new Uint8Array(bytesMin))
    this.#free = undefined
    return draft
  }

  /** Takes memory back that a commit was in. */
  reuse(bytes: Uint8Array): void {
    if (bytes.length > 0 && bytes.length <= bytesKept) this.#free = bytes
  }
}

/** A commit to which rows are added. Its memory grows with them. */
export class CommitDraft {
  #into: Memory
  #used = 0

  constructor(bytes: Uint8Array) {
    this.#into = memoryOver(bytes)
  }

  /** Adds a row, or that it is removed. @throws KeelsonError `INVALID_ARGUMENT` for a key that no row can have */
  add(key: string, row: Row | undefined): void {
    // A unit of UTF-16 takes three bytes at most.
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

  /** That was all. */
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

/** Memory to be written as text and as numbers; a `FrameBuffer` too. */
type Memory = { readonly bytes: Buffer; readonly view: DataView }

const memoryOver = (bytes: Uint8Array): Memory => ({ bytes: asBuffer(bytes), view: viewOf(bytes) })

/** Up to this many units a key is written here; longer ones cost less in Node. */
const shortKey = 40

/** Writes `key` as UTF-8 and answers how many bytes it takes. */
const writeKey = (bytes: Buffer, from: number, key: string): number => {
  if (key.length > shortKey) return bytes.write(key, from)
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    if (unit > 0x7f) return bytes.write(key, from)
    bytes[from + at] = unit
  }
  return key.length
}

const unfitKey = (bytes: number): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'a row has a key of 1 to 1,537 bytes', {
    details: { bytes },
  })

/** Parts of a commit, which are views of its memory. A row without a record is removed. */
export type EncodedEntry = { readonly key: Buffer; readonly record: Buffer | undefined }

/** The entries of a commit, in their order; the position comes last. */
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
