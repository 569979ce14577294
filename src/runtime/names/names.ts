/**
 * The names of one System: local names, keys of registries, memberships of groups, and tables. A
 * process keeps them until its end. They are free before its end is announced.
 */
import type { KeelsonError } from '../../errors.ts'
import type { Address, Directory, HolderWait, Lead, Part } from '../words/address.ts'
import { NameWaits, type WaitLimits } from './name-waits.ts'
import { isPart, Parts } from './parts.ts'
import { type GroupMember, ProcessGroups } from './process-groups.ts'
import { type Holder, Registries } from './registries.ts'
import { Via, ViaDirectory } from './via.ts'

// The tables of one System, by name and by owner. When a process ends, each of its tables learns it
// before that end is announced: it passes to its heir or is gone.

/** A table with an owner. */
export interface OwnedTable {
  readonly name: string | undefined
  /** Its owner has ended. */
  ownerEnded(): void
}

/** The tables of a System. */
export class Tables<P, T extends OwnedTable = OwnedTable> {
  readonly #byName = new Map<string, T>()
  readonly #byOwner = new Map<P, Set<T>>()

  /** The table of that name. */
  named(name: string): T | undefined {
    return this.#byName.get(name)
  }

  /** Adds a table of `owner`. False: its name is taken. */
  open(table: T, owner: P): boolean {
    const { name } = table
    if (name !== undefined && this.#byName.has(name)) return false
    if (name !== undefined) this.#byName.set(name, table)
    this.#add(table, owner)
    return true
  }

  /** The table passes from one owner to another. */
  move(table: T, from: P, to: P): void {
    this.#remove(table, from)
    this.#add(table, to)
  }

  /** Removes a table. */
  close(table: T, owner: P): void {
    if (table.name !== undefined) this.#byName.delete(table.name)
    this.#remove(table, owner)
  }

  /** Handles the end of a process. */
  ended(process: P): void {
    for (const table of this.#byOwner.get(process) ?? []) table.ownerEnded()
  }

  #add(table: T, owner: P): void {
    const owned = this.#byOwner.get(owner) ?? new Set()
    this.#byOwner.set(owner, owned.add(table))
  }

  #remove(table: T, owner: P): void {
    const owned = this.#byOwner.get(owner)
    owned?.delete(table)
    if (owned?.size === 0) this.#byOwner.delete(owner)
  }
}

/** A process that can have a name. */
export interface Named<P> extends Holder<P>, GroupMember {
  readonly pid: number
  readonly address: Address<P & { readonly pid: number }>
  /** Its local name, if it has one. */
  name: string | undefined
}

/** The names of a System. */
export class Names<P extends Named<P>> implements Directory<P> {
  readonly registries: Registries<P>
  readonly groups = new ProcessGroups<P>()
  readonly tables = new Tables<P>()
  readonly parts: Parts<P>
  /** Their addresses: a look-up then reads nothing of the process. */
  readonly #holders = new Map<string, P['address']>()
  /** The names that may lead elsewhere; none without members. Each message by a name asks. */
  #leads: Map<string, Lead<P>> | undefined
  readonly #waits: NameWaits

  constructor(limits: WaitLimits) {
    this.registries = new Registries(new NameWaits(limits))
    this.#waits = new NameWaits(limits)
    this.parts = new Parts(new NameWaits(limits))
  }

  /** The holder of the local name, for a message of this sender. */
  holderOf(name: string, sender?: P): P | undefined {
    const lead = this.#leads?.get(name)
    return lead?.leads(sender) ? lead.holderOf(name) : this.#holders.get(name)?.process
  }

  awaits(name = ''): boolean {
    return this.#leads?.get(name)?.awaits?.(name) === true
  }

  fault(name = ''): KeelsonError | undefined {
    return this.#leads?.get(name)?.fault?.(name)
  }

  /** From now on `lead` says where the name leads, and the part that `starter` starts now. */
  lead(name: string, lead: Lead<P>, starter: P): void {
    this.#leads ??= new Map()
    this.#leads.set(name, lead)
    this.parts.lead(starter, lead)
  }

  /** The address of the holder of the local name. */
  addressOf(name: string): P['address'] | undefined {
    return this.#holders.get(name)
  }

  /** The holder of the name: local, in a registry, or a part of a tree. */
  find(name: string | Via | Part): P | undefined {
    if (typeof name === 'string') return this.holderOf(name)
    if (isPart(name)) return this.parts.holderOf(name)
    return new ViaDirectory(this, name).holderOf()
  }

  /**
   * The process that already has this name, if there is one.
   * @throws KeelsonError `NO_PROCESS` when the registry is not there, `INVALID_ARGUMENT` when it is
   * not unique
   */
  taken(name: string | Via | undefined): P | undefined {
    if (!(name instanceof Via)) return name === undefined ? undefined : this.holderOf(name)
    const directory = new ViaDirectory(this, name)
    const fault = directory.fault()
    if (fault !== undefined) throw fault
    return directory.holderOf()
  }

  /** Gives a name to a process. False: the name is taken, or its registry is not there. */
  register(name: string | Via, process: P): boolean {
    if (name instanceof Via) return new ViaDirectory(this, name).register(process)
    if (this.#holders.has(name)) return false
    this.#holders.set(name, process.address)
    process.name = name
    this.#waits.registered(name)
    return true
  }

  awaitHolder(name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    const lead = this.#leads?.get(name)
    if (lead?.awaits?.(name) === true) return lead.awaitHolder(name, ms, signal)
    return this.awaitHere(name, ms, signal)
  }

  /** Waits for a process here. */
  awaitHere(name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    return this.#waits.add(name, () => this.#holders.has(name), ms, signal)
  }

  /** Removes a local name from its holder, which then has no name. */
  unregister(name: string): void {
    const holder = this.#holders.get(name)?.process
    if (holder !== undefined) holder.name = undefined
    this.#holders.delete(name)
  }

  /**
   * Releases the names of a process that has ended. The process itself still knows its local name.
   */
  release(process: P): void {
    if (process.name !== undefined) this.#holders.delete(process.name)
    this.registries.ended(process)
    this.groups.ended(process)
    this.tables.ended(process)
  }
}
