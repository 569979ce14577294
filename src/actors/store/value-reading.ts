/**
 * Decodes the values in rows and answers. Content in blobs is read synchronously and is therefore
 * bounded; larger values need `load`, `getStream` or `getRange`.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  decodeValue,
  encodeValue,
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
import type { WritingShard } from '../writing/writing-shard.ts'

/** The most bytes that one synchronous read takes from blobs. */
const readBytesMax = 1024 * 1024

/** A compound key in a range. Its fields, possibly many, are read by `store.fields`. */
export class Compound {
  /** The number of fields. */
  readonly size: number

  /** @internal */
  constructor(size: number) {
    this.size = size
  }
}

/**
 * A value in a range that is too large for a synchronous read: more than 1 MiB in blobs.
 */
export class LargeValue {
  /** Bytes. */
  readonly length: number
  readonly #load: () => Promise<unknown>

  /** @internal */
  constructor(length: number, load: () => Promise<unknown>) {
    this.length = length
    this.#load = load
  }

  /**
   * The value, as `load` gives it. Of a key of the store it is the present one: `undefined` if the
   * key is gone. Of a row of an entity it is the one that was listed: if it was replaced since, it
   * is `CORRUPT` once a sweep has freed it. Rejects as that `load` does.
   */
  load(): Promise<unknown> {
    return this.#load()
  }
}

/** Reads bytes of blobs, as `ShardBlobs.read` does: a shard has it. */
export type ReadsBlobs = { readonly blobs: Pick<WritingShard['blobs'], 'read'> }

/**
 * Decodes the value of a row or of a command's answer.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` for a value of more than 1 MiB with blobs;
 * `WRONG_TYPE` for a compound
 */
export const decodedValue = (shard: ReadsBlobs, stored: RowValue): unknown => {
  if (!isStoredValue(stored) || stored.tag !== valueTags.blob) return decodeValue(stored)
  const rope = ropeOf(stored)
  checkLength(ropeLength(rope))
  return decodeValue({ tag: rope.content, bytes: bytesOf(shard, rope.parts) })
}

/**
 * The value of a row in a list of keys: a `Compound`, a `LargeValue`, or the value itself. `load`
 * loads the value that its key has then.
 * @throws KeelsonError `CORRUPT`, with the key
 */
export const listedValue = (
  shard: ReadsBlobs,
  key: string,
  row: Row,
  load: (key: string) => Promise<unknown>,
): unknown => {
  const { value } = row
  if (value.tag === rowTags.compound) return new Compound(fieldCount(row))
  const length = largeLength(value)
  if (length !== undefined) return new LargeValue(length, () => load(key))
  try {
    return decodedValue(shard, value)
  } catch (error) {
    throw naming(error, { key })
  }
}

/** Whether `decodedValue` can read this value: it is small enough or has no blobs. */
export const isReadAtOnce = (stored: StoredValue): boolean =>
  stored.tag !== valueTags.blob || ropeLength(ropeOf(stored)) <= readBytesMax

/** The length of a value that a range lists as a `LargeValue`; `undefined` for any other value. */
const largeLength = (stored: RowValue): number | undefined =>
  isStoredValue(stored) && !isReadAtOnce(stored) ? ropeLength(ropeOf(stored)) : undefined

/**
 * The length of a value that is not written yet, and will be in blobs, too large to be read at once;
 * `undefined` for any other value.
 */
export const futureLength = (shard: WritingShard, { tag, bytes }: RowValue): number | undefined => {
  const { threshold } = shard.blobs.parts.terms
  const willBeBlob = tag !== valueTags.blob && threshold > 0 && bytes.length >= threshold
  return willBeBlob && bytes.length > readBytesMax ? bytes.length : undefined
}

/** The error of a failed read, with the key in it, and the field if it was of one. */
export const naming = (
  error: unknown,
  where: { readonly key: string; readonly field?: string },
): unknown =>
  isKeelsonError(error)
    ? new KeelsonError(error.code, error.message, {
        details: { ...error.details, ...where },
        cause: error.cause,
      })
    : error

/**
 * A copy of the bytes of a text or bytes value from `from` up to `to`, clamped.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` beyond 1 MiB; `WRONG_TYPE` for a structured value and
 * a compound
 */
export const rangeOf = (
  shard: WritingShard,
  stored: RowValue,
  from: number,
  to: number,
): Buffer => {
  const rope = isStoredValue(stored) ? ropeOf(stored) : undefined
  if (!rope || rope.content === valueTags.structured)
    throw new KeelsonError('WRONG_TYPE', 'Only text and bytes have ranges.')
  checkLength(Math.min(to, ropeLength(rope)) - from)
  return bytesOf(shard, ropeSlice(rope, from, to))
}

/** Refuses a synchronous read of more than 1 MiB. @throws KeelsonError `TOO_LARGE` */
export const checkLength = (length: number): void => {
  if (length > readBytesMax)
    throw new KeelsonError('TOO_LARGE', `A read gives at most ${readBytesMax} bytes at once.`, {
      details: { length, lengthMax: readBytesMax },
    })
}

/** The bytes of these parts, verified. */
const bytesOf = ({ blobs }: ReadsBlobs, parts: readonly RopePart[]): Buffer => {
  const pieces = parts.map((part) =>
    part.kind === 'inline' ? part.bytes : blobs.read(part.ref, part.from, part.to),
  )
  return Buffer.concat(pieces)
}

/** A value, the fields of a compound key, or the bytes of a large value. */
export type SentValue = StoredValue | { readonly fields: number } | { readonly length: number }

/** A listed value as it is sent. */
export const sentValue = (value: unknown): SentValue => {
  if (value instanceof Compound) return { fields: value.size }
  return value instanceof LargeValue ? { length: value.length } : encodeValue(value)
}

/** A listed value as it came. `load`: the present value of its key. */
export const receivedValue = (sent: SentValue, load: () => Promise<unknown>): unknown => {
  if ('fields' in sent) return new Compound(sent.fields)
  return 'length' in sent ? new LargeValue(sent.length, load) : decodeValue(sent)
}
