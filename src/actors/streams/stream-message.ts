/**
 * A message of a stream as JSON, and messages as they are packed in a part. A value that JSON would
 * change is refused at its caller. Pure.
 */
import { plainJson } from '../../bytes/json.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { messageBytesMax, messageHeadBytes } from '../../storage/index.ts'

/** The most values within each other: a reader of JSON could overflow its stack. */
const depthMax = 500

type Path = readonly (string | number)[]

/**
 * The JSON text of a value.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path` for a value that JSON would change or
 * leave out, but for `undefined` in an object; `TOO_LARGE` beyond 1 MiB
 */
export const messageText = (value: unknown, path: Path = ['message']): string => {
  checkJson(value, path, 0)
  const text = plainJson(value)
  const bytes = Buffer.byteLength(text)
  if (bytes <= messageBytesMax) return text
  throw new KeelsonError(
    'TOO_LARGE',
    `a message of a stream takes at most ${messageBytesMax} bytes`,
    {
      details: { bytes, bytesMax: messageBytesMax },
    },
  )
}

const expected =
  'a value that JSON keeps: null, booleans, finite numbers, texts, lists, plain objects'

const checkJson = (value: unknown, path: Path, depth: number): void => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (Number.isFinite(value)) return
      break
    case 'object':
      if (value === null) return
      if (depth < depthMax && checkParts(value, path, depth + 1)) return
      break
  }
  throw invalidArgument(path, expected, value)
}

/** Checks the parts of a list or a plain object; false for any other object. */
const checkParts = (value: object, path: Path, depth: number): boolean => {
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) checkJson(value[at], [...path, at], depth)
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const [name, part] of Object.entries(value))
    if (part !== undefined) checkJson(part, [...path, name], depth)
  return true
}

const leastBytes = 256

/** Messages that are packed one after another: each u32 length and its bytes. */
export class PackedMessages {
  #memory = Buffer.allocUnsafe(leastBytes)
  #length = 0
  #count = 0

  /** How many there are. */
  get count(): number {
    return this.#count
  }

  /** Their bytes. */
  get length(): number {
    return this.#length
  }

  /** Adds a message: JSON, or bytes. */
  add(message: string | Uint8Array): void {
    if (typeof message === 'string') this.#addText(message)
    else {
      this.#reserve(messageHeadBytes + message.length)
      this.#memory.writeUInt32LE(message.length, this.#length)
      this.#memory.set(message, this.#length + messageHeadBytes)
      this.#length += messageHeadBytes + message.length
      this.#count++
    }
  }

  #addText(text: string): void {
    // A character of a text takes at most three bytes.
    this.#reserve(messageHeadBytes + 3 * text.length)
    const from = this.#length + messageHeadBytes
    const bytes = this.#memory.write(text, from)
    this.#memory.writeUInt32LE(bytes, this.#length)
    this.#length = from + bytes
    this.#count++
  }

  /** The bytes of all. No message is added after that. */
  packed(): Uint8Array {
    return this.#memory.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#memory.length) return
    const memory = Buffer.allocUnsafe(Math.max(needed, 2 * this.#memory.length))
    this.#memory.copy(memory, 0, 0, this.#length)
    this.#memory = memory
  }
}
