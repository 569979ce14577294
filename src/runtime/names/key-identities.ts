/**
 * When two keys are equal: primitives by value, arrays and plain objects by their content, refs by
 * their process or name, all else by identity. A key is read once: later changes of an object have
 * no effect.
 */
import { KeelsonError } from '../../errors.ts'
import { isRef } from '../words/address.ts'

/** Nested deeper than this, a key is refused: it may contain itself. */
const depthMax = 64

/** The prefix of a compound key's text, and of a text that begins with it. */
const mark = '\u0000'

/** Gives each key its value in a Map. */
export class KeyIdentities {
  /** Numbers for values inside of a key that are compared by identity. */
  readonly #numbers = new WeakMap<WeakKey, number>()
  #lastNumber = 0

  /**
   * Two keys that are equal have the same identity (`SameValueZero`). Throws `INVALID_ARGUMENT` for
   * one without end.
   */
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

  /** A registered symbol (`Symbol.for`) cannot be held weakly, so its text identifies it. */
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

/** Whether a key is compared by its content. */
const isCompound = (key: unknown): boolean =>
  typeof key === 'object' && key !== null && (Array.isArray(key) || isRef(key) || isPlain(key))

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
