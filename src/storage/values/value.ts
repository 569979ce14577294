/**
 * Values as users hand them in, and as they stand in frames and rows. A value is text, bytes or structured; which one is
 * its tag, never guessed from its content. What comes back is equal to what was put, or the put is refused. Pure.
 *
 * A structured value is msgpack by msgpackr. Where it has marks (see `plain-data.ts`) the bytes are `c1`, which msgpack never uses,
 * and then the pair of plain data and marks.
 */
/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { Packr } from 'msgpackr'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { readUtf8 } from '../bytes/utf8.ts'
import { type RowValue, rowTags, type StoredValue, valueTags } from '../ports/projection-store.ts'
import { fromPlainData, isPlainData, type PlainData, toPlainData } from './plain-data.ts'

/**
 * The stored form of `value`, which shares no memory with it. A string becomes text, a Buffer or Uint8Array bytes, anything else
 * is structured: null, booleans, numbers, bigints of 64 bits, and well-formed strings, dense arrays, plain objects, Maps,
 * Sets, valid Dates and Uint8Arrays of them, at most 256 in one another. A value that occurs twice is stored twice.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path` (names and indices from the value down) for everything
 * else: undefined, functions, symbols, symbol keys, class instances, holes, cycles, a `__proto__` key, invalid Dates,
 * ill-formed strings.
 */
export const encodeValue = (value: unknown): StoredValue => {
  if (typeof value === 'string') return { tag: valueTags.text, bytes: encodeText(value) }
  if (types.isUint8Array(value)) return { tag: valueTags.bytes, bytes: copied(value) }
  try {
    return { tag: valueTags.structured, bytes: pack(toPlainData(value)) }
  } catch (error) {
    if (isKeelsonError(error)) throw error
    // Only code of the value's own can throw anything else: a getter, or a proxy's trap.
    throw new KeelsonError('INVALID_ARGUMENT', 'the value cannot be stored: reading it threw', {
      cause: error,
      details: { path: [] },
    })
  }
}

/**
 * A copy that nobody else writes to. A small one is a part of Node's pool: memory of its own would cost several times as much to
 * make and to collect, and a stored value lives only until its frame is encoded.
 */
const copied = (bytes: Uint8Array): Uint8Array => {
  const copy = Buffer.allocUnsafe(bytes.length)
  copy.set(bytes)
  return copy
}

const encodeText = (text: string): Uint8Array => {
  if (!text.isWellFormed())
    throw new KeelsonError('INVALID_ARGUMENT', 'the value is ill-formed: it has a lone surrogate', {
      details: { path: [] },
    })
  const bytes = Buffer.allocUnsafe(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}

/**
 * The value that `encodeValue` was given; bytes come back as a Buffer. Shares no memory with `stored`.
 * @throws KeelsonError `CORRUPT` when the bytes are not what their tag says; `INVALID_ARGUMENT` for a rope, whose value
 * the blob store has; `WRONG_TYPE` for a compound, which has fields and no value.
 */
export const decodeValue = (stored: RowValue): unknown => {
  switch (stored.tag) {
    case valueTags.structured:
      return decodeStructured(stored.bytes)
    case valueTags.text:
      return readUtf8(stored.bytes)
    case valueTags.bytes:
      return ownBuffer(stored.bytes)
    case valueTags.blob:
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        'the value of a blob reference is in the blob store',
      )
    case rowTags.compound:
      throw new KeelsonError('WRONG_TYPE', 'the key is a compound: it has fields and no value')
    case rowTags.lock:
      throw new KeelsonError('WRONG_TYPE', 'a lock has no value')
  }
}

/**
 * No records (each encoding stands alone), maps as objects, bigints as they are, and nobody's `toJSON` decides what is
 * stored.
 */
const msgpack = new Packr({
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  int64AsType: 'bigint',
  useToJSON: false,
})

/** The byte that msgpack never uses, before plain data with marks. */
const markedByte = 0xc1

const pack = ({ plain, marks }: PlainData): Uint8Array => {
  if (marks.length === 0) return copied(msgpack.pack(plain))
  const packed = msgpack.pack([plain, marks])
  const bytes = new Uint8Array(packed.length + 1)
  bytes[0] = markedByte
  bytes.set(packed, 1)
  return bytes
}

/** The bytes in memory of their own. */
const ownBuffer = (bytes: Uint8Array): Buffer => Buffer.from(new Uint8Array(bytes).buffer)

/** Bytes that passed the checksum of their frame or row: msgpackr is not made for hostile ones. */
const decodeStructured = (stored: Uint8Array): unknown => {
  // Buffers in the value are views of what they were read from.
  const bytes = ownBuffer(stored)
  try {
    if (bytes[0] !== markedByte) return checked(msgpack.unpack(bytes))
    const [plain, marks] = msgpack.unpack(bytes.subarray(1)) as [unknown, PlainData['marks']]
    return fromPlainData({ plain: checked(plain), marks })
  } catch (cause) {
    throw new KeelsonError('CORRUPT', 'stored bytes are damaged: they are no structured value', {
      details: { evidence: cause instanceof Error ? cause.message : String(cause) },
      cause,
    })
  }
}

/** Plain data hold nothing that msgpackr's own extensions (a RegExp, an Error, a record …) could have brought in. */
const checked = (plain: unknown): unknown => {
  if (!isPlainData(plain)) throw new TypeError('an extension that is not ours')
  return plain
}
