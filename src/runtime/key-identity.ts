/**
 * When two keys are one key: what is no object by value, arrays and plain objects by what is in them, refs by the process
 * or name that they stand for, all else by identity. A key is read once: what becomes of an object later changes nothing.
 */
import { KeelsonError } from '../errors.ts'
import { isRef } from './address.ts'

/** Nested deeper than this, a key is refused: it may contain itself. */
const depthMax = 64

/** Stands before the text of a compound key, and before a text that begins so by itself. */
const mark = '\u0000'

/** Gives each key the value that stands for it in a Map. */
export class KeyIdentities {
  /** Numbers for what is told apart by identity inside of a key. */
  readonly #numbers = new WeakMap<WeakKey, number>()
  #lastNumber = 0

  /** Two keys that are equal have the same identity (`SameValueZero`). Throws `INVALID_ARGUMENT` for one without end. */
  of(key: unknown): unknown {
    if (typeof key === 'string') return key.startsWith(mark) ? `${mark}${key}` : key
    return isCompound(key) ? `${mark}:${this.#text(key, 0)}` : key
  }

  #text(key: unknown, depth: number): string {
    if (depth > depthMax)
      throw new KeelsonError('INVALID_ARGUMENT', `a key is nested deeper than ${depthMax} levels`)
    if (typeof key === 'string') return JSON.stringify(key)
    if (typeof key === 'bigint') return `${key}n`
    if (typeof key === 'symbol') return this.#symbolText(key)
    if (typeof key === 'function') return this.#number(key)
    if (typeof key !== 'object' || key === null) return String(key)
    if (isRef(key)) return `<${key.name === undefined ? key.pid : JSON.stringify(key.name)}>`
    if (Array.isArray(key))
      return `[${Array.from(key, (each) => this.#text(each, depth + 1)).join()}]`
    if (!isPlain(key)) return this.#number(key)
    const fields = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))
    const texts = fields.map(
      ([name, each]) => `${JSON.stringify(name)}:${this.#text(each, depth + 1)}`,
    )
    return `{${texts.join()}}`
  }

  /** A symbol that is shared by its text cannot be held weakly, and is told by that text. */
  #symbolText(key: symbol): string {
    const shared = Symbol.keyFor(key)
    return shared === undefined ? this.#number(key) : `@${JSON.stringify(shared)}`
  }

  #number(key: WeakKey): string {
    const number = this.#numbers.get(key) ?? ++this.#lastNumber
    this.#numbers.set(key, number)
    return `#${number}`
  }
}

/** Whether a key is compared by what is in it. */
const isCompound = (key: unknown): boolean =>
  typeof key === 'object' && key !== null && (Array.isArray(key) || isRef(key) || isPlain(key))

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
