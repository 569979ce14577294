/**
 * Encodes rows and the position for LMDB, which has no checksums. Each has a CRC-32 over its key
 * and its content, so a flipped bit in either is detected when it is read. It also converts the
 * bounds of a range to bytes. Pure. Integers are little endian.
 *
 *     row        u32 CRC of key and rest | u64 expiresAt, ms | u8 tag | its bytes
 *     position   u32 CRC of key and rest | u8 kind, 1 or 2 | 16 bytes wal id | u64 epoch | u64 lsn, key 00;
 *                in kind 2 also u64 stamp and u32 CRC of the frame at lsn (`frame-mark.ts`)
 *     load       u32 CRC of key and rest | u8 kind 3 | 16 bytes wal id | of the snapshot u64 lsn,
 *                u64 bytes, u32 sum | u64 offset of the next block | u64 rows; also key 00
 */

import { crc32, crc32Within } from '../../bytes/crc32.ts'
import { hex, layout, u32, u64 } from '../../bytes/layout.ts'
import { readU64, type ViewedBytes, viewedBytes, viewOf, writeU64 } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import type { LoadPlace } from '../ports/named-snapshot.ts'
import {
  type FrameMark,
  isRowTag,
  type ProjectedPosition,
  type Row,
  type RowRange,
  type RowValue,
} from '../ports/projection-store.ts'
import type { SnapshotRecord } from '../ports/snapshot-rows.ts'
import { classBehindNul, rowKeyBytesMax } from './row-key.ts'

/** Bytes of a row before its value. */
export const rowHeadBytes = 13

/**
 * The key of the position: a single NUL. No user's key can equal it, and it sorts before all of
 * them.
 */
export const positionKey: Uint8Array = Uint8Array.of(0)
const positionCrc = crc32(positionKey)

/** Whether the bytes from `from` up to `to` can be the key of a row. */
export const isRowKey = (bytes: Uint8Array, from = 0, to = bytes.length): boolean => {
  const length = to - from
  if (length === 0 || length > rowKeyBytesMax) return false
  return bytes[from] !== 0 || classBehindNul(bytes[from + 1], length) !== undefined
}

/** The size of a position by its kind: without the mark of its frame, and with it. */
const positionBytes: Readonly<Record<number, number>> = { 1: 37, 2: 49 }
const plainPositionBytes = 37
const loadKind = 3
const loadBytes = 57

/**
 * Checks the record from `at` to `end` without decoding it. Its key lies before it, from `keyAt` on.
 * A view of either would cost as much as the checksum. @throws KeelsonError `CORRUPT`
 */
export const checkRecord = (memory: ViewedBytes, keyAt: number, at: number, end: number): void => {
  const isWhole = end - at >= rowHeadBytes
  if (isWhole && sumWithin(memory, keyAt, at, end) === memory.view.getUint32(at, true)) return
  const evidence = isWhole ? 'its checksum does not hold' : 'too short'
  throw corrupt(memory.bytes.subarray(keyAt, at), evidence)
}

/** The encoded size of a row. */
export const rowBytes = (value: RowValue): number => rowHeadBytes + value.bytes.length

/** The checksum at the start of a record: over the key and the rest of the record. */
const recordCrc = (key: Uint8Array, rest: Uint8Array): number => crc32(rest, crc32(key))

/** `recordCrc` of a record after its key, without views of them. */
const sumWithin = (memory: ViewedBytes, keyAt: number, at: number, end: number): number =>
  crc32Within(memory, at + 4, end, crc32Within(memory, keyAt, at, 0))

/**
 * Writes the record of `row` at `at`, right after its key, which begins at `keyAt`. Returns the end
 * of the record.
 */
export const encodeRow = (into: ViewedBytes, keyAt: number, at: number, row: Row): number => {
  const { bytes, view } = into
  const end = at + rowBytes(row.value)
  writeU64(view, at + 4, row.expiresAt)
  bytes[at + 12] = row.value.tag
  bytes.set(row.value.bytes, at + rowHeadBytes)
  view.setUint32(at, sumWithin(into, keyAt, at, end), true)
  return end
}

/** Encodes a row with its key, in memory of their own. */
export const encodeRecord = (rowKey: string, row: Row): SnapshotRecord => {
  const key = Buffer.from(rowKey)
  const bytes = new Uint8Array(key.length + rowBytes(row.value))
  bytes.set(key)
  encodeRow({ bytes, view: viewOf(bytes) }, 0, key.length, row)
  return { key, record: bytes.subarray(key.length) }
}

const corrupt = (key: Uint8Array, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `a row of the projection is damaged: ${evidence}`, {
    details: { key: Buffer.from(key).toString('utf8'), evidence },
  })

/**
 * The fault of a record of `length` bytes, whose key has the checksum `keyCrc`; `undefined` if its
 * checksum and its size are right.
 */
const fault = (
  keyCrc: number,
  record: ViewedBytes,
  length: number,
  bytesMin: number,
): string | undefined => {
  if (length < bytesMin) return 'too short'
  // `recordCrc` without a view of the rest.
  const sum = crc32Within(record, 4, length, keyCrc)
  return sum === record.view.getUint32(0, true) ? undefined : 'its checksum does not hold'
}

/**
 * Decodes the row in `record`; its value is a view. @throws KeelsonError `CORRUPT` with
 * `details.key` and `details.evidence` for a wrong checksum
 */
export const decodeRow = (key: Uint8Array, record: Uint8Array): Row =>
  rowIn(key, viewedBytes(key), viewedBytes(record), record.length)

/**
 * As `decodeRow`, for a record of `length` bytes at the beginning of some memory. `key` is at the
 * beginning of `keyMemory`. It makes no views but that of the value.
 */
export const rowIn = (
  key: Uint8Array,
  keyMemory: ViewedBytes,
  record: ViewedBytes,
  length: number,
): Row => {
  const { bytes, view } = record
  const evidence = fault(crc32Within(keyMemory, 0, key.length, 0), record, length, rowHeadBytes)
  if (evidence) throw corrupt(key, evidence)
  const tag = bytes[12] ?? 0
  if (!isRowTag(tag)) throw corrupt(key, `a row of the unknown kind ${tag}`)
  return {
    value: { tag, bytes: bytes.subarray(rowHeadBytes, length) },
    expiresAt: readU64(view, 4),
  }
}

const plainPosition = layout<Omit<ProjectedPosition, 'frame'>>({
  walId: hex(5, 16),
  epoch: u64(21),
  lsn: u64(29),
})

const frameMark = layout<FrameMark>({ time: u64(37), crc: u32(45) })

const loadPlace = layout<LoadPlace>({
  walId: hex(5, 16),
  snapshot: layout<LoadPlace['snapshot']>({ lsn: u64(21), bytes: u64(29), sum: u32(37) }),
  offset: u64(41),
  rows: u64(49),
})

/** Encodes a position, with the mark of its frame if there is one. */
export const encodePosition = (position: ProjectedPosition): Uint8Array => {
  const { frame } = position
  const kind = frame ? 2 : 1
  const record = new Uint8Array(positionBytes[kind] ?? 0)
  const view = viewOf(record)
  record[4] = kind
  plainPosition.write(view, position)
  if (frame) frameMark.write(view, frame)
  view.setUint32(0, recordCrc(positionKey, record.subarray(4)), true)
  return record
}

/** Decodes a position. @throws KeelsonError `CORRUPT`, also for a load and an unknown kind */
export const decodePosition = (record: Uint8Array): ProjectedPosition => {
  const place = decodePlace(record)
  if ('snapshot' in place) throw corrupt(positionKey, 'a snapshot is not loaded to its end')
  return place
}

/** Encodes the place of a load. */
export const encodeLoad = (place: LoadPlace): Uint8Array => {
  const record = new Uint8Array(loadBytes)
  const view = viewOf(record)
  record[4] = loadKind
  loadPlace.write(view, place)
  view.setUint32(0, recordCrc(positionKey, record.subarray(4)), true)
  return record
}

/**
 * Decodes the record under `positionKey`: a position, or the place of a load that is not complete.
 * @throws KeelsonError `CORRUPT`, also for an unknown kind
 */
export const decodePlace = (record: Uint8Array): ProjectedPosition | LoadPlace => {
  const view = viewOf(record)
  const evidence = fault(positionCrc, { bytes: record, view }, record.length, plainPositionBytes)
  if (evidence) throw corrupt(positionKey, evidence)
  const kind = record[4] ?? 0
  if (kind === loadKind && record.length === loadBytes) return loadPlace.read(view)
  if (record.length !== positionBytes[kind])
    throw corrupt(positionKey, `a position of the unknown kind ${kind}`)
  const position = plainPosition.read(view)
  if (record.length === plainPositionBytes) return position
  return { ...position, frame: frameMark.read(view) }
}

/** The bounds of a range as bytes. LMDB only gets the start; this decides which keys are within. */
export class RowBounds {
  readonly #reverse: boolean
  readonly #from: Buffer | undefined
  readonly #fromOpen: boolean
  readonly #to: Buffer | undefined
  readonly #toOpen: boolean

  constructor(range: RowRange) {
    const from = range.gt ?? range.gte
    const to = range.lt ?? range.lte
    this.#reverse = range.reverse === true
    this.#from = from === undefined ? undefined : Buffer.from(from)
    this.#fromOpen = range.gt !== undefined
    this.#to = to === undefined ? undefined : Buffer.from(to)
    this.#toOpen = range.lt !== undefined
  }

  /** The key at which LMDB begins; `undefined` for the first key, or in reverse the last. */
  start(): Uint8Array | undefined {
    const key = this.#reverse ? this.#to : this.#from
    // No row has a longer key, so cutting a bound to that length skips none. LMDB refuses an empty
    // key.
    return key?.length === 0 ? positionKey : key?.subarray(0, rowKeyBytesMax)
  }

  /**
   * Whether `key` is before the range, within it, or beyond it in the direction of the iteration.
   */
  place(key: Uint8Array): 'before' | 'within' | 'beyond' {
    if (key.length === 1 && key[0] === 0) return this.#reverse ? 'beyond' : 'before'
    const low = this.#from === undefined ? 1 : Buffer.compare(key, this.#from)
    const high = this.#to === undefined ? -1 : Buffer.compare(key, this.#to)
    if (low < 0 || (low === 0 && this.#fromOpen)) return this.#reverse ? 'beyond' : 'before'
    if (high > 0 || (high === 0 && this.#toOpen)) return this.#reverse ? 'before' : 'beyond'
    return 'within'
  }
}
