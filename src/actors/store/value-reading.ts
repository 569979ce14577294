/**
 * Values out of what rows and answers hold. Content in blobs is read while the caller waits, so that it is bounded: longer
 * values are for `load`, `getStream` and `getRange`.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type BlobRef,
  decodeValue,
  fieldCount,
  isStoredValue,
  type RopePart,
  type Row,
  type RowValue,
  ropeLength,
  ropeOf,
  ropeSlice,
  rowTags,
  type StoredValue,
  valueTags,
} from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'

/** The most bytes out of blobs that one synchronous read gives. */
export const readBytesMax = 1024 * 1024

/** What a range shows of a compound key in place of its fields, of which there may be many. */
export class Compound {
  /** How many fields it has; `store.fields(key)` reads them. */
  readonly size: number

  constructor(size: number) {
    this.size = size
  }
}

/**
 * The value that a row of this shard holds, or that one of its commands has answered.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` for a value of more than 1 MiB that has blobs; `WRONG_TYPE` for a compound
 */
export const decodedValue = (shard: Shard, stored: RowValue): unknown => {
  if (!isStoredValue(stored) || stored.tag !== valueTags.blob) return decodeValue(stored)
  const rope = ropeOf(stored)
  checkLength(ropeLength(rope))
  return decodeValue({ tag: rope.content, bytes: bytesOf(shard, rope.parts) })
}

/** Whether `decodedValue` reads a value, whatever is in blobs. */
export const isReadAtOnce = (stored: StoredValue): boolean =>
  stored.tag !== valueTags.blob || ropeLength(ropeOf(stored)) <= readBytesMax

/** What a range shows of a row: its value, or that it is a compound. @throws as `decodedValue` */
export const listedValue = (shard: Shard, row: Row): unknown =>
  row.value.tag === rowTags.compound
    ? new Compound(fieldCount(row))
    : decodedValue(shard, row.value)

/**
 * The bytes of text or bytes from `from` up to `to`, clamped, in memory of their own.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` beyond 1 MiB; `WRONG_TYPE` for a structured value and a compound
 */
export const rangeOf = (shard: Shard, stored: RowValue, from: number, to: number): Buffer => {
  const rope = isStoredValue(stored) ? ropeOf(stored) : undefined
  if (!rope || rope.content === valueTags.structured)
    throw new KeelsonError('WRONG_TYPE', 'Only text and bytes have ranges.')
  checkLength(Math.min(to, ropeLength(rope)) - from)
  return bytesOf(shard, ropeSlice(rope, from, to))
}

const checkLength = (length: number): void => {
  if (length > readBytesMax)
    throw new KeelsonError('TOO_LARGE', `A read gives at most ${readBytesMax} bytes at once.`, {
      details: { length, lengthMax: readBytesMax },
    })
}

const bytesOf = (shard: Shard, parts: readonly RopePart[]): Buffer => {
  const pieces = parts.map((part) =>
    part.kind === 'inline' ? part.bytes : blobBytes(shard, part.ref, part.from, part.to),
  )
  return Buffer.concat(pieces)
}

/** The bytes of a blob of this shard from `from` up to `to`, verified. */
const blobBytes = (shard: Shard, ref: BlobRef, from: number, to: number): Uint8Array =>
  shard.blobs.read(ref, from, to)
