/**
 * Encodes users' values for frames and rows, and decodes them. A value is text, bytes or
 * structured. Its tag says which; the content never decides. A value that would not come back equal
 * is refused. Pure.
 *
 * A structured value is msgpack, written by msgpackr. A value with marks (see `plain-data.ts`)
 * starts with the byte `c1`, which msgpack never uses, followed by the pair of plain data and
 * marks.
 */
/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { copyPart } from '../../bytes/copy-part.ts'
import { realLength } from '../../bytes/real-bytes.ts'
import { asBuffer, readUtf8 } from '../../bytes/utf8.ts'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import { type RowValue, rowTags, type StoredValue, valueTags } from '../ports/projection-store.ts'
import { loadOwnMsgpackr } from './own-msgpackr.ts'
import {
  fromPlainData,
  isPlainData,
  type PlainData,
  toPlainData,
  toPlainList,
} from './plain-data.ts'
import { hasStructuredForm } from './structured-form.ts'

/**
 * The stored form of `value`. It shares no memory with the value. A string becomes text, a Buffer
 * or Uint8Array becomes bytes. Other values are structured: null, booleans, numbers, bigints of 64
 * bits, well-formed strings, dense arrays, plain objects, Maps, Sets, valid Dates and Uint8Arrays,
 * nested at most 256 deep. A value that occurs twice is stored twice. A property that is
 * `undefined` is left out, as in JSON.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path` (names and indices from the value
 * down) for anything else: other `undefined`, functions, symbols, symbol keys, class instances, holes,
 * cycles, a `__proto__` key, invalid Dates, ill-formed strings.
 */
export const encodeValue = (value: unknown): StoredValue => {
  if (typeof value === 'string') return { tag: valueTags.text, bytes: encodeText(value) }
  try {
    if (types.isUint8Array(value)) return { tag: valueTags.bytes, bytes: copied(value) }
    return { tag: valueTags.structured, bytes: pack(toPlainData(value)) }
  } catch (error) {
    throw refusalOf(error)
  }
}

/**
 * `value` in the form of a structured value, whatever its kind, after `room` free bytes. @throws
 * KeelsonError as `encodeValue`
 */
export const encodeStructured = (value: unknown, room = 0): Buffer => {
  try {
    return pack(toPlainData(value), room)
  } catch (error) {
    throw refusalOf(error)
  }
}

/**
 * The bytes of a structured value after `room` free ones. The value is a list that the caller has
 * just made of others, and does not use again. Items before `from` are plain data already. @throws
 * KeelsonError as `encodeValue`
 */
export const encodeList = (list: unknown[], room = 0, from = 0): Buffer => {
  try {
    return pack(toPlainList(list, from), room)
  } catch (error) {
    throw refusalOf(error)
  }
}

const refusalOf = (error: unknown): KeelsonError =>
  isKeelsonError(error)
    ? error
    : // It comes from the value itself: a getter, a proxy's trap, or detached memory.
      new KeelsonError('INVALID_ARGUMENT', 'the value cannot be stored: reading it threw', {
        cause: error,
        details: { path: [] },
      })

/**
 * A private copy. Small copies come from Node's pool: separate memory costs several times as much
 * to allocate and collect.
 */
const copied = (bytes: Uint8Array): Buffer => {
  const copy = Buffer.allocUnsafe(realLength(bytes))
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
 * Decodes a stored value; bytes come back as a Buffer. The result shares no memory with `stored`.
 * @throws KeelsonError `CORRUPT` when the bytes do not fit their tag; `INVALID_ARGUMENT` for a rope
 * (its value is in the blob store); `WRONG_TYPE` for a compound (it has fields and no value).
 */
export const decodeValue = (stored: RowValue): unknown => {
  switch (stored.tag) {
    case valueTags.structured:
      return decodeStructured(stored.bytes)
    case valueTags.text:
      return readUtf8(stored.bytes)
    case valueTags.bytes:
      return copied(stored.bytes)
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
 * Decodes a structured value that came from outside of this process, with no checksum of ours.
 * @throws KeelsonError `INVALID_ARGUMENT` for bytes that `encodeStructured` does not write
 */
export const decodeFromOutside = (bytes: Uint8Array): unknown => {
  const isMarked = bytes[0] === markedByte
  try {
    if (hasStructuredForm(isMarked ? bytes.subarray(1) : bytes)) return decodeStructured(bytes)
  } catch {
    // Marks that do not fit. Refused below.
  }
  throw new KeelsonError('INVALID_ARGUMENT', 'the bytes are no structured value')
}

/**
 * Whether `stored` is exactly what `encodeValue` makes of its decoded value, so that decoding loses
 * nothing. @throws KeelsonError as `decodeValue` and `encodeValue` do
 */
export const isCanonical = (stored: StoredValue): boolean => {
  const { tag, bytes } = encodeValue(decodeValue(stored))
  return tag === stored.tag && asBuffer(bytes).equals(stored.bytes)
}

const { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } = loadOwnMsgpackr()

/**
 * No records (each encoding is complete), maps as objects, bigints unchanged. `toJSON` is not
 * called. Bytes in a value are copied out of what they were read from.
 */
const msgpack = new Packr({
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  int64AsType: 'bigint',
  useToJSON: false,
  copyBuffers: true,
})

/** The byte that msgpack never uses, before plain data with marks. */
export const markedByte = 0xc1

const pack = ({ plain, marks }: PlainData, room = 0): Buffer => {
  if (marks.length === 0) return packed(plain, room)
  const bytes = packed([plain, marks], room + 1)
  bytes[room] = markedByte
  return bytes
}

/** msgpackr returns its own memory, says where the bytes begin and end, and writes there again. */
const inPlace = REUSE_BUFFER_MODE | RESET_BUFFER_MODE

const packed = (plain: unknown, room: number): Buffer => {
  const memory = msgpack.pack(plain, inPlace) as Buffer & Record<'start' | 'end', number>
  const { start, end } = memory
  const bytes = Buffer.allocUnsafe(room + end - start)
  copyPart(memory, start, end, bytes, room)
  return bytes
}

/**
 * Where short values are decoded. msgpackr makes a view of the memory that it reads, and leaves it
 * there as a property. For a short value that costs more than a copy, and keeps more memory.
 */
const desk = Buffer.allocUnsafeSlow(4096)

/**
 * The bytes have passed the checksum of their frame or row: msgpackr is not safe on hostile bytes.
 */
const decodeStructured = (stored: Uint8Array): unknown => {
  const { length } = stored
  try {
    if (stored[0] === markedByte) {
      const pair = msgpack.unpack(asBuffer(stored).subarray(1))
      const [plain, marks] = pair as [unknown, PlainData['marks']]
      return fromPlainData({ plain: checked(plain), marks })
    }
    if (length > desk.length) return checked(msgpack.unpack(asBuffer(stored)))
    desk.set(stored)
    return checked(msgpack.unpack(desk, length))
  } catch (cause) {
    throw new KeelsonError('CORRUPT', 'stored bytes are damaged: they are no structured value', {
      details: { evidence: keptError(cause).message },
      cause,
    })
  }
}

/** Refuses anything that msgpackr's own extensions (RegExp, Error, record) have produced. */
const checked = (plain: unknown): unknown => {
  if (!isPlainData(plain)) throw new TypeError('an extension that is not ours')
  return plain
}
