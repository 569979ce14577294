/**
 * The registries of one System: the process and the table of each, and the entries of each holder.
 * The entries of a process are gone when it ends, before its end is announced. A process without
 * entries pays one look into an empty map at its end.
 */
import type { HolderWait } from '../words/address.ts'
import { KeyIdentities } from './key-identities.ts'
import type { NameWaits } from './name-waits.ts'
import { type RegistryKeys, RegistryTable } from './registry-table.ts'

/** A process that can hold keys. */
export interface Holder<P> {
  link(other: P): void
  unlink(other: P): void
}

/** A table, the process that keeps it, and the process that users address. */
export interface OpenRegistry<P> {
  readonly table: RegistryTable<P>
  /** Linked to every holder. */
  readonly server: P
  /** The registry itself: the supervisor of the server. */
  readonly owner: P
}

/** The registries of a System. */
export class Registries<P extends Holder<P>> {
  readonly #byOwner = new Map<P, OpenRegistry<P>>()
  readonly #byServer = new Map<P, OpenRegistry<P>>()
  readonly #byHolder = new Map<P, Set<OpenRegistry<P>>>()
  /** The waits for keys of any of them, by the identity of the key. */
  readonly #waits: NameWaits
  readonly #identities = new KeyIdentities()

  constructor(waits: NameWaits) {
    this.#waits = waits
  }

  /** Makes the empty table that `server` keeps for `owner`. */
  open(owner: P, server: P, keys: RegistryKeys): void {
    const registry = { table: new RegistryTable<P>(keys), server, owner }
    this.#byOwner.set(owner, registry)
    this.#byServer.set(server, registry)
  }

  /** The registry of `owner`; `undefined` when it has none, or its table is being restarted. */
  of(owner: P | undefined): OpenRegistry<P> | undefined {
    return owner === undefined ? undefined : this.#byOwner.get(owner)
  }

  /**
   * Adds an entry, and links holder and table. If a unique key is taken, it returns the holder
   * instead.
   */
  register(registry: OpenRegistry<P>, holder: P, key: unknown, value: unknown): P | undefined {
    const taken = registry.table.add(holder, key, value)
    if (taken !== undefined) return taken
    const held = this.#byHolder.get(holder) ?? new Set()
    this.#byHolder.set(holder, held.add(registry))
    holder.link(registry.server)
    this.#waits.registered(this.#identities.of(key))
    return undefined
  }

  /** Waits until a registration of `key` makes `isHeld` true. */
  awaitHolder(
    key: unknown,
    isHeld: () => boolean,
    ms: number,
    signal: AbortSignal | undefined,
  ): HolderWait {
    return this.#waits.add(this.#identities.of(key), isHeld, ms, signal)
  }

  /** Removes the holder's entries of `key`. The link goes with its last entry. */
  unregister(registry: OpenRegistry<P>, holder: P, key: unknown): void {
    const { table, server } = registry
    if (table.heldBy(holder).size === 0) return
    table.remove(holder, key)
    if (table.heldBy(holder).size > 0) return
    holder.unlink(server)
    this.#leave(registry, holder)
  }

  /** Handles the end of a process: removes its entries, and its table if it kept one. */
  ended(process: P): void {
    if (this.#byServer.size === 0) return
    for (const { table } of this.#byHolder.get(process) ?? []) table.forget(process)
    this.#byHolder.delete(process)
    const kept = this.#byServer.get(process)
    if (kept !== undefined) this.#close(kept)
  }

  #close(registry: OpenRegistry<P>): void {
    for (const holder of registry.table.holders) this.#leave(registry, holder)
    this.#byServer.delete(registry.server)
    this.#byOwner.delete(registry.owner)
  }

  #leave(registry: OpenRegistry<P>, holder: P): void {
    const held = this.#byHolder.get(holder)
    held?.delete(registry)
    if (held?.size === 0) this.#byHolder.delete(holder)
  }
}
