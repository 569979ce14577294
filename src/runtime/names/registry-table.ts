/**
 * What a Registry knows: which holder has which keys, with which values. Unique: a key has one holder. Duplicate: it may
 * have many, and one holder may have it many times. Knows nothing of processes.
 */
import { KeelsonError } from '../../errors.ts'
import { isRef } from '../words/address.ts'

// When two keys are one key: what is no object by value, arrays and plain objects by what is in them, refs by the process
// or name that they stand for, all else by identity. A key is read once: what becomes of an object later changes nothing.

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

/** Whether a key has one holder or any number of entries. */
export type RegistryKeys = 'unique' | 'duplicate'

/** One registration. */
export interface RegistryEntry<H> {
  readonly key: unknown
  /** What stands for the key, whatever becomes of it. */
  readonly identity: unknown
  readonly holder: H
  value: unknown
}

const none: ReadonlySet<never> = new Set<never>()

/** Entries by key and by holder, each in the order in which they came. */
export class RegistryTable<H> {
  readonly keys: RegistryKeys
  readonly #identities = new KeyIdentities()
  readonly #byKey = new Map<unknown, Set<RegistryEntry<H>>>()
  readonly #byHolder = new Map<H, Set<RegistryEntry<H>>>()
  #count = 0

  constructor(keys: RegistryKeys) {
    this.keys = keys
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count
  }

  /** Everybody who has an entry. */
  get holders(): Iterable<H> {
    return this.#byHolder.keys()
  }

  /** The entries of `key`, the first come first. */
  of(key: unknown): ReadonlySet<RegistryEntry<H>> {
    return this.#byKey.get(this.#identities.of(key)) ?? none
  }

  /** The entries of `holder`, the first come first. */
  heldBy(holder: H): ReadonlySet<RegistryEntry<H>> {
    return this.#byHolder.get(holder) ?? none
  }

  /** All entries; those of one key are together. */
  *all(): Iterable<RegistryEntry<H>> {
    for (const entries of this.#byKey.values()) yield* entries
  }

  /** The one holder of `key`: `undefined` when nobody has it. For unique keys. */
  holderOf(key: unknown): H | undefined {
    for (const { holder } of this.of(key)) return holder
    return undefined
  }

  /** Adds an entry. Of a unique key that is taken it answers the holder instead, and changes nothing. */
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

  /** The entries that `holder` has of `key`, found through the shorter list: a popular key and a busy holder have many. */
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
