/**
 * A table of keys and values that all processes of a System read directly, as OTP's `ets`: reads
 * are synchronous and send no message, and only the owner writes unless the table is public. It
 * dies with its owner, or passes to its heir. A table keeper is an heir that
 * hands tables back to the process that claims them.
 *
 * Keys are compared by content: arrays and plain objects are fine. Values are not copied: the
 * reader of one must not change it.
 */

import { argument, noMore, object, or, readOptions, that } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { showAsText } from '../../value-text.ts'
import { KeyIdentities } from '../names/key-identities.ts'
import { livingOf, type Process } from '../process/process.ts'
import { isAnything } from '../server/acceptance.ts'
import type { Context, GenServer, System } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import { kernelOf } from '../server/system.ts'
import { type ChildSpec, type WorkerOptions, worker } from '../supervision/child-spec.ts'
import { addressOf, noProcess, type Ref } from '../words/address.ts'
import { Envelope, kinds } from '../words/envelope.ts'

declare const content: unique symbol

/** The typed name of a table. `Table.name<K, V>('prices')` types one. */
export type TableName<K = unknown, V = unknown> = string & {
  readonly [content]: readonly [K, V]
}

/**
 * Who may use a table: `protected` (read by all, written by the owner), `public` (by all),
 * `private` (by the owner).
 */
export type TableProtection = 'protected' | 'public' | 'private'

/** The payload of the info `table`: the table belongs to the receiver now (OTP's `ETS-TRANSFER`). */
export interface TableTransfer<K = unknown, V = unknown> {
  readonly table: Table<K, V>
  /** Its last owner, which may have ended. */
  readonly from: Ref
  /** The heir's data, or the data of `giveAway`. */
  readonly data: unknown
}

/** The messages of a process that may become the owner of a table. */
export type TableHeir<K = unknown, V = unknown> = {
  infos: { table: (transfer: TableTransfer<K, V>) => void }
}

/** The options of a table. */
export interface TableOptions<K = unknown, V = unknown> {
  readonly name?: TableName<K, V> | undefined
  /** `protected` by default. */
  readonly protection?: TableProtection | undefined
  /** The owner after the present one. A ref of a name is looked up when it is needed. */
  readonly heir?: Ref<TableHeir<K, V>> | undefined
  /** Sent to the heir with the table. */
  readonly heirData?: unknown
}

/** The context of the calling process. */
export type Caller = Pick<Context<never>, 'now'> & { readonly self: Ref }

/** Who writes: a process, by its context; a public table also takes a System. */
export type TableUser = System | Caller

/** The kind of the processes that hand tables back. */
const keeperKind = 'table_keeper'

const tableKeys = ['name', 'protection', 'heir', 'heirData']
const finite = that<number>('a finite number', Number.isFinite)
const counterOptions = object({ by: or(finite, 1), initial: or(finite, 0) })
const counted = { by: 1, initial: 0 }
const claimKeys = ['protection', 'keeper']
const protections = ['protected', 'public', 'private']

/**
 * A table. Reading and writing throw `CLOSED` when it is gone, and `INVALID_ARGUMENT` when its
 * protection does not allow them. Writing in code of a process that has ended throws `EXITED`.
 */
export class Table<K = unknown, V = unknown> {
  readonly name: TableName<K, V> | undefined
  readonly protection: TableProtection
  /** JSON has the table as its text. */
  declare readonly toJSON: () => string
  readonly #identities = new KeyIdentities()
  readonly #entries = new Map<unknown, { readonly key: K; value: V }>()
  #owner: Process | undefined
  #heir: Ref | undefined
  #heirData: unknown

  private constructor(owner: Process, options: TableOptions<K, V>) {
    this.name = options.name
    this.protection = options.protection ?? 'protected'
    this.#owner = owner
    this.#heir = options.heir
    this.#heirData = options.heirData
  }

  /** Types a text as the name of a table. */
  static name<K, V>(text: string): TableName<K, V> {
    return text as TableName<K, V>
  }

  /**
   * A new table of the calling process. Throws `CONFLICT` when the name is taken,
   * `INVALID_ARGUMENT` for wrong options, `EXITED` in code of a process that has ended.
   */
  static create<K = unknown, V = unknown>(
    context: Caller,
    options: TableOptions<K, V> = noOptions,
  ): Table<K, V> {
    const owner = livingOf(context)
    const table = new Table(owner, readTableOptions(options))
    if (owner.kernel.names.tables.open(table, owner)) return table
    throw taken(table)
  }

  /** The table of that name; `undefined` when there is none. */
  static named<K, V>(where: TableUser, name: TableName<K, V>): Table<K, V> | undefined {
    return kernelOf(where).names.tables.named(name) as Table<K, V> | undefined
  }

  /**
   * The table of that name as the calling process's own: taken over from a table keeper if that
   * holds it, otherwise new. The keeper is its heir. Throws `CONFLICT` when another process owns
   * it, `NO_PROCESS` when the keeper is not there, and like `create`.
   */
  static claim<K = unknown, V = unknown>(
    context: Caller,
    name: TableName<K, V>,
    options: Omit<TableOptions<K, V>, 'name' | 'heir' | 'heirData'> & { readonly keeper: Ref },
  ): Table<K, V> {
    const claimer = livingOf(context)
    const { keeper, ...others } = readOptions(options, claimKeys, argument('', 'a table'))
    if (processAt(keeper)?.alive !== true) throw noProcess(keeper)
    const table = Table.named(context, name)
    if (table === undefined)
      return Table.create(context, { ...others, name, heir: keeper as Ref<TableHeir<K, V>> })
    if (table.#owner !== claimer && table.#owner?.kind !== keeperKind) throw taken(table)
    table.#passTo(claimer)
    table.#heir = keeper
    return table
  }

  /** The owner; `undefined` when the table is gone. */
  get owner(): Ref | undefined {
    return this.#owner?.address
  }

  /** The number of entries. Open to all. */
  get size(): number {
    this.#opened()
    return this.#entries.size
  }

  // Reading. A private table needs to know who reads.

  /** The value of `key`; `undefined` when there is none. */
  get(key: K, by?: TableUser): V | undefined {
    return this.#readBy(by).get(this.#identities.of(key))?.value
  }

  /** Whether there is an entry of `key`. */
  has(key: K, by?: TableUser): boolean {
    return this.#readBy(by).has(this.#identities.of(key))
  }

  /**
   * The entries, oldest key first. An entry that is added or removed during the walk is seen or not
   * seen.
   */
  entries(by?: TableUser): IterableIterator<[key: K, value: V]> {
    return entriesOf(this.#readBy(by))
  }

  /** The keys, oldest first. */
  keys(by?: TableUser): IterableIterator<K> {
    return keysOf(this.#readBy(by))
  }

  [Symbol.iterator](): IterableIterator<[key: K, value: V]> {
    return this.entries()
  }

  // Writing.

  /** Adds an entry, or replaces the value of `key`. */
  insert(by: TableUser, key: K, value: V): void {
    const entries = this.#writtenBy(by)
    const identity = this.#identities.of(key)
    const entry = entries.get(identity)
    if (entry === undefined) entries.set(identity, { key, value })
    else entry.value = value
  }

  /** Adds an entry. False: there is one of `key`, and nothing changes. */
  insertNew(by: TableUser, key: K, value: V): boolean {
    if (this.#writtenBy(by).has(this.#identities.of(key))) return false
    this.insert(by, key, value)
    return true
  }

  /** Removes an entry. False: there was none. */
  delete(by: TableUser, key: K): boolean {
    return this.#writtenBy(by).delete(this.#identities.of(key))
  }

  /** Removes an entry and returns its value; `undefined` when there was none. */
  take(by: TableUser, key: K): V | undefined {
    const entries = this.#writtenBy(by)
    const identity = this.#identities.of(key)
    const value = entries.get(identity)?.value
    entries.delete(identity)
    return value
  }

  /** Removes all entries. */
  clear(by: TableUser): void {
    this.#writtenBy(by).clear()
  }

  /**
   * Adds `by` to a number and returns the sum. A key without an entry begins with `initial`. Throws
   * `WRONG_TYPE` when the value is not a number, `INVALID_ARGUMENT` for wrong options or a sum
   * that is not finite, and changes nothing.
   */
  updateCounter(
    this: Table<K, number>,
    user: TableUser,
    key: K,
    options: { readonly by?: number; readonly initial?: number } = counted,
  ): number {
    const { by, initial } =
      options === counted ? counted : counterOptions(options, argument('', 'a counter'))
    const value = this.#writtenBy(user).get(this.#identities.of(key))?.value ?? initial
    if (typeof value !== 'number')
      throw new KeelsonError('WRONG_TYPE', `${this}: the value of a counter is a ${typeof value}`)
    const next = value + by
    if (!Number.isFinite(next)) throw invalidArgument('by', 'a finite number', by)
    this.insert(user, key, next)
    return next
  }

  // Ownership. Only the owner changes it, also of a public table.

  /**
   * Gives the table to another process, which is sent the info `table`. Throws `NO_PROCESS` when
   * that process is not there.
   */
  giveAway(owner: Caller, to: Ref<TableHeir<K, V>>, data?: unknown): void {
    const from = this.#ownedBy(owner)
    const heir = processAt(to)
    if (heir?.alive !== true) throw noProcess(to)
    if (heir === from || heir.kernel !== from.kernel)
      throw invalidArgument('to', 'another process of the System', String(to))
    this.#passTo(heir)
    this.#sendTransfer(heir, from, data)
  }

  /** Replaces the heir; `undefined`: the table dies with its owner. */
  setHeir(owner: Caller, heir: Ref<TableHeir<K, V>> | undefined, data?: unknown): void {
    this.#ownedBy(owner)
    if (heir !== undefined) addressOf(heir)
    this.#heir = heir
    this.#heirData = data
  }

  /** Ends the table (OTP's `ets:delete/1`). Allowed to every writer. */
  drop(by: TableUser): void {
    this.#writtenBy(by)
    this.#close()
  }

  /** The runtime calls it at the end of the owner. */
  ownerEnded(): void {
    const owner = this.#opened()
    const heir = this.#heir === undefined ? undefined : processAt(this.#heir)
    if (heir?.alive !== true || heir.kernel !== owner.kernel) {
      this.#close()
      return
    }
    this.#passTo(heir)
    this.#sendTransfer(heir, owner, this.#heirData)
  }

  /** Logs and prompts show this, not the content. */
  toString(): string {
    return `table ${this.name ?? `of ${this.owner ?? 'no process'}`}`
  }

  #passTo(to: Process): void {
    const from = this.#opened()
    to.kernel.names.tables.move(this, from, to)
    this.#owner = to
  }

  /** A mailbox never refuses a table. */
  #sendTransfer(heir: Process, from: Process, data: unknown): void {
    const transfer: TableTransfer<K, V> = { table: this, from: from.address, data }
    heir.deliver(new Envelope(kinds.info, 'table', transfer))
  }

  #close(): void {
    const owner = this.#opened()
    owner.kernel.names.tables.close(this, owner)
    this.#owner = undefined
    this.#heir = undefined
    this.#entries.clear()
  }

  /** The owner of a table that is not gone. */
  #opened(): Process {
    if (this.#owner !== undefined) return this.#owner
    throw new KeelsonError('CLOSED', `${this} is gone`, { details: { table: this.name } })
  }

  #readBy(by: TableUser | undefined): ReadonlyMap<unknown, { readonly key: K; value: V }> {
    this.#opened()
    if (this.protection === 'private') this.#ownedBy(by)
    return this.#entries
  }

  #writtenBy(by: TableUser): Map<unknown, { readonly key: K; value: V }> {
    const owner = this.#opened()
    if (this.protection !== 'public') this.#ownedBy(by)
    else if (kernelOf(by) !== owner.kernel)
      throw invalidArgument('by', 'a context of the System, or the System', by)
    else if ('self' in by) livingOf(by)
    return this.#entries
  }

  #ownedBy(by: TableUser | undefined): Process {
    const owner = this.#opened()
    const isObject = typeof by === 'object' && by !== null
    const caller = isObject && 'self' in by ? livingOf(by) : undefined
    if (caller === owner) return owner
    const who = caller ?? 'code without its context'
    throw new KeelsonError('INVALID_ARGUMENT', `${who} is not the owner of ${this}`)
  }
}

showAsText(Table)

function* entriesOf<K, V>(
  entries: ReadonlyMap<unknown, { readonly key: K; readonly value: V }>,
): IterableIterator<[key: K, value: V]> {
  for (const { key, value } of entries.values()) yield [key, value]
}

function* keysOf<K>(entries: ReadonlyMap<unknown, { readonly key: K }>): IterableIterator<K> {
  for (const { key } of entries.values()) yield key
}

const readTableOptions = <K, V>(given: TableOptions<K, V>): TableOptions<K, V> => {
  const options = readOptions(given, tableKeys, argument('', 'a table'))
  const { name, protection, heir } = options
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    throw invalidArgument('name', 'a text', name)
  if (protection !== undefined && !protections.includes(protection))
    throw invalidArgument('protection', `one of ${protections.join(', ')}`, protection)
  if (heir !== undefined) addressOf(heir)
  return options
}

const processAt = (ref: Ref): Process | undefined => addressOf<Process>(ref).resolve()

const taken = (table: {
  readonly name: string | undefined
  owner: Ref | undefined
}): KeelsonError =>
  new KeelsonError('CONFLICT', `the table ${table.name} is taken`, {
    details: { table: table.name },
  })

/** The messages of a table keeper. */
export type TableKeeperMessages = {
  infos: { table: (transfer: TableTransfer<never, never>) => void }
}

/**
 * A table keeper as a child. Place it before the writers, under a strategy that does not restart it
 * with them. Throws `CONFIG` with `details.path` for wrong options.
 */
export const tableKeeper = (
  id: string,
  options: Omit<WorkerOptions<TableKeeperMessages>, 'kind'> = noOptions,
  ...surplus: []
): ChildSpec<TableKeeperMessages> => {
  noMore(surplus, 'tableKeeper(id, { name, … })')
  return worker(id, keeper, undefined, options)
}

const keeper: GenServer<TableKeeperMessages, null> = {
  kind: keeperKind,
  init: () => null,
  // The tables that it keeps do not end by a wrong message.
  accepts: { calls: {}, casts: {}, infos: { table: isAnything } },
  infos: { table: (state) => noReply(state) },
}
