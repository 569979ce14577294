/**
 * What a Registry knows: which holder has which keys, with which values. Unique: a key has one holder. Duplicate: it may
 * have many, and one holder may have it many times. Knows nothing of processes.
 */
import { KeyIdentities } from './key-identity.ts'

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
