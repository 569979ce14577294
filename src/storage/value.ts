/**
 * Values as users hand them in, and as they stand in frames and rows. A value is text, bytes or structured; which one is
 * its tag, never guessed from its content. What comes back is equal to what was put, or the put is refused. Pure.
 */
/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { isKeelsonError, KeelsonError } from '../errors.ts'
import { MsgpackReader, ownBuffer } from './msgpack-reader.ts'
import { MsgpackWriter } from './msgpack-writer.ts'
import { type StoredValue, valueTags } from './projection-store.ts'
import { readUtf8 } from './utf8.ts'

/**
 * The stored form of `value`, in memory of its own. A string becomes text, a Buffer or Uint8Array bytes, anything else
 * is structured: null, booleans, numbers, bigints of 64 bits, and well-formed strings, dense arrays, plain objects, Maps,
 * Sets, valid Dates and Uint8Arrays of them, at most 256 in one another. A value that occurs twice is stored twice.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path` (names and indices from the value down) for everything
 * else: undefined, functions, symbols, symbol keys, class instances, holes, cycles, a `__proto__` key, invalid Dates,
 * ill-formed strings; `TOO_LARGE` for a structured value of more than 1 GiB.
 */
export const encodeValue = (value: unknown): StoredValue => {
  if (typeof value === 'string') return { tag: valueTags.text, bytes: encodeText(value) }
  if (types.isUint8Array(value)) return { tag: valueTags.bytes, bytes: new Uint8Array(value) }
  try {
    return { tag: valueTags.structured, bytes: new MsgpackWriter().encode(value) }
  } catch (error) {
    if (isKeelsonError(error)) throw error
    // Only code of the value's own can throw anything else: a getter, or a proxy's trap.
    throw new KeelsonError('INVALID_ARGUMENT', 'the value cannot be stored: reading it threw', {
      cause: error,
      details: { path: [] },
    })
  }
}

const encodeText = (text: string): Uint8Array => {
  if (!text.isWellFormed())
    throw new KeelsonError('INVALID_ARGUMENT', 'the value is ill-formed: it has a lone surrogate', {
      details: { path: [] },
    })
  return ownBuffer(Buffer.from(text))
}

/**
 * The value that `encodeValue` was given; bytes come back as a Buffer. Shares no memory with `stored`.
 * @throws KeelsonError `CORRUPT` when the bytes are not what their tag says; `INVALID_ARGUMENT` for a blob reference,
 * whose value the blob store has.
 */
export const decodeValue = (stored: StoredValue): unknown => {
  switch (stored.tag) {
    case valueTags.structured:
      return new MsgpackReader(stored.bytes).decode()
    case valueTags.text:
      return readUtf8(stored.bytes)
    case valueTags.bytes:
      return ownBuffer(stored.bytes)
    case valueTags.blob:
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        'the value of a blob reference is in the blob store',
      )
  }
}
