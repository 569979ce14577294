/**
 * The place of a Level database in the store: every key of it begins with `{name}:`. The braces are
 * a hash tag, so all its keys are in one shard, and a batch of Level is one atomic unit. Level's
 * keys are bytes; the store's are text without NUL, ordered by its UTF-8 bytes. The mapping keeps
 * the order of the bytes, and leaves text in ASCII as it is: each byte from 0x80 on becomes the
 * character with its number, and the bytes 0 and 1 become two characters each. Pure.
 */
import { invalidArgument } from '../../errors.ts'

/** The two formats in which Level hands over keys and values. */
export type LevelFormat = string | Uint8Array

const mark = '\u0001'
/** Decoding as Latin-1 maps each byte to the character with its number. */
const latin = 'latin1'

/** The keys of one Level database. */
export class LevelPlace {
  /** The beginning of each of its keys in the store. */
  readonly prefix: string

  /** @throws KeelsonError `INVALID_ARGUMENT` for a name that cannot be a hash tag */
  constructor(name: string) {
    if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
      throw invalidArgument('name', '1 to 64 letters, digits, `_`, `-` or `.`', name)
    this.prefix = `{${name}}:`
  }

  /** The store's key of a key of Level. */
  keyOf(key: LevelFormat): string {
    const bytes = typeof key === 'string' ? Buffer.from(key) : asBuffer(key)
    const text = bytes
      .toString(latin)
      .replaceAll(mark, `${mark}\u0002`)
      .replaceAll('\0', `${mark}${mark}`)
    return this.prefix + text
  }

  /** The key of Level that `keyOf` mapped to `key`, as bytes. */
  levelKeyOf(key: string): Buffer {
    const text = key.slice(this.prefix.length).replaceAll(`${mark}${mark}`, '\0')
    return Buffer.from(text.replaceAll(`${mark}\u0002`, mark), latin)
  }
}

/** The same memory as a Buffer. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
