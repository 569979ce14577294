/**
 * The table of a Registry: holders, their keys and values. Unique: a key has one holder. Duplicate:
 * a key may have many, and a holder may have it many times. It knows nothing of processes.
 */
import { KeyIdentities } from './key-identities.ts'

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

  /** The entries of `holder`, oldest first; none without a holder. */
  heldBy(holder: H | undefined): ReadonlySet<RegistryEntry<H>> {
    return (holder && this.#byHolder.get(holder)) ?? none
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
  both(holder: H | undefined, key: unknown): RegistryEntry<H>[] {
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
