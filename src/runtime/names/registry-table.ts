/**
 * The table of a Registry: holders, their keys and values. Unique: a key has one holder. Duplicate:
 * a key may have many, and a holder may have it many times. It knows nothing of processes.
 */
import { KeelsonError } from '../../errors.ts'
import { isRef } from '../words/address.ts'

// When two keys are equal: primitives by value, arrays and plain objects by their content, refs by
// their process or name, all else by identity. A key is read once: later changes of an object have
// no effect.

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

/** Whether a key has one holder or any number of entries. */
export type RegistryKeys = 'unique' | 'duplicate'

/** One registration. */
export interface RegistryEntry<H> {
  readonly key: unknown
  /** The key's identity, which later changes of the key do not affect. */
  readonly identity: unknown
  readonly holder: H
  value: unknown
}

const none: ReadonlySet<never> = new Set<never>()

/** Entries by key and by holder, in the order of registration. */
export class RegistryTable<H> {
  readonly keys: RegistryKeys
  readonly #identities = new KeyIdentities()
  readonly #byKey = new Map<unknown, Set<RegistryEntry<H>>>()
  readonly #byHolder = new Map<H, Set<RegistryEntry<H>>>()
  #count = 0

  constructor(keys: RegistryKeys) {
    this.keys = keys
  }

  /** The number of entries. */
  get count(): number {
    return this.#count
  }

  /** All holders. */
  get holders(): Iterable<H> {
    return this.#byHolder.keys()
  }

  /** The entries of `key`, oldest first. */
  of(key: unknown): ReadonlySet<RegistryEntry<H>> {
    return this.#byKey.get(this.#identities.of(key)) ?? none
  }

  /** The entries of `holder`, oldest first. */
  heldBy(holder: H): ReadonlySet<RegistryEntry<H>> {
    return this.#byHolder.get(holder) ?? none
  }

  /** All entries; those of one key are together. */
  *all(): Iterable<RegistryEntry<H>> {
    for (const entries of this.#byKey.values()) yield* entries
  }

  /** The holder of `key`; `undefined` when there is none. For unique keys. */
  holderOf(key: unknown): H | undefined {
    for (const { holder } of this.of(key)) return holder
    return undefined
  }

  /** Adds an entry. If a unique key is taken, it returns the holder and changes nothing. */
  add(holder: H, key: unknown, value: unknown): H | undefined {
    const taken = this.keys === 'unique' ? this.holderOf(key) : undefined
    if (taken !== undefined) return taken
    const identity = this.#identities.of(key)
    const entry = { key, identity, holder, value }
    const ofKey = this.#byKey.get(identity) ?? new Set()
    this.#byKey.set(identity, ofKey.add(entry))
    const ofHolder = this.#byHolder.get(holder) ?? new Set()
    this.#byHolder.set(holder, ofHolder.add(entry))
    this.#count++
    return undefined
  }

  /** Removes all entries that `holder` has of `key`. */
  remove(holder: H, key: unknown): void {
    for (const entry of this.both(holder, key)) this.#drop(entry)
  }

  /** The entries of `holder` with `key`, found through the shorter of the two lists. */
  both(holder: H, key: unknown): RegistryEntry<H>[] {
    const ofKey = this.of(key)
    const ofHolder = this.heldBy(holder)
    return ofKey.size < ofHolder.size
      ? [...ofKey].filter((entry) => entry.holder === holder)
      : [...ofHolder].filter((entry) => ofKey.has(entry))
  }

  /** Removes all entries of `holder`. */
  forget(holder: H): void {
    for (const entry of this.heldBy(holder)) this.#drop(entry)
  }

  #drop(entry: RegistryEntry<H>): void {
    const ofKey = this.#byKey.get(entry.identity)
    ofKey?.delete(entry)
    if (ofKey?.size === 0) this.#byKey.delete(entry.identity)
    const ofHolder = this.#byHolder.get(entry.holder)
    ofHolder?.delete(entry)
    if (ofHolder?.size === 0) this.#byHolder.delete(entry.holder)
    this.#count--
  }
}
