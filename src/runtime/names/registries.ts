/**
 * The Registries of one System: which process stands for which table, and who holds what, so that the entries of a
 * process are gone in the moment of its end, before anybody hears of that. Costs a process that holds nothing a look
 * into an empty map at its end, and no message anything.
 */
import { type RegistryKeys, RegistryTable } from './registry-table.ts'

/** What a process must do to hold keys. */
export interface Holder<P> {
  link(other: P): void
  unlink(other: P): void
}

/** A table, the process that it lives and dies with, and the process that people know it by. */
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

  /** Makes the empty table that `server` keeps for `owner`. */
  open(owner: P, server: P, keys: RegistryKeys): void {
    const registry = { table: new RegistryTable<P>(keys), server, owner }
    this.#byOwner.set(owner, registry)
    this.#byServer.set(server, registry)
  }

  /** The registry that `owner` is; `undefined` when it is none, or its table is being started again. */
  of(owner: P | undefined): OpenRegistry<P> | undefined {
    return owner === undefined ? undefined : this.#byOwner.get(owner)
  }

  /** Adds an entry, and links holder and table. Of a unique key that is taken it answers the holder instead. */
  register(registry: OpenRegistry<P>, holder: P, key: unknown, value: unknown): P | undefined {
    const taken = registry.table.add(holder, key, value)
    if (taken !== undefined) return taken
    const held = this.#byHolder.get(holder) ?? new Set()
    this.#byHolder.set(holder, held.add(registry))
    holder.link(registry.server)
    return undefined
  }

  /** Removes the holder's entries of `key`; with its last entry, the link goes. */
  unregister(registry: OpenRegistry<P>, holder: P, key: unknown): void {
    const { table, server } = registry
    if (table.heldBy(holder).size === 0) return
    table.remove(holder, key)
    if (table.heldBy(holder).size > 0) return
    holder.unlink(server)
    this.#leave(registry, holder)
  }

  /** Is told of the end of every process: its entries go, and its table when it kept one. */
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
