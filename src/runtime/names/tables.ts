/**
 * The tables of one System, by name and by owner. When a process ends, each of its tables learns it
 * before that end is announced: it passes to its heir or is gone.
 */

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
