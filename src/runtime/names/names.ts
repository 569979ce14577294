/**
 * Who has which name in one System: local names, and keys of registries. A process keeps its names until its end, and
 * has none in the moment in which anybody hears of that.
 */
import type { Directory } from '../words/address.ts'
import { type Holder, Registries } from './registries.ts'
import { Via, ViaDirectory } from './via.ts'

/** What can have a name. */
export interface Named<P> extends Holder<P> {
  readonly pid: number
  /** Its local name, if it has one. */
  name: string | undefined
}

/** The names of a System. */
export class Names<P extends Named<P>> implements Directory<P> {
  readonly registries = new Registries<P>()
  readonly #holders = new Map<string, P>()

  /** Whoever has the local name. */
  holderOf(name: string): P | undefined {
    return this.#holders.get(name)
  }

  /** Whoever has the name, local or through a registry. */
  find(name: string | Via): P | undefined {
    return name instanceof Via ? new ViaDirectory(this, name).holderOf() : this.#holders.get(name)
  }

  /**
   * Who stands in the way of a start under this name, if anybody does.
   * @throws KeelsonError `NO_PROCESS` when its registry is not there, `INVALID_ARGUMENT` when that is no unique one
   */
  taken(name: string | Via | undefined): P | undefined {
    if (!(name instanceof Via)) return name === undefined ? undefined : this.#holders.get(name)
    const directory = new ViaDirectory(this, name)
    const fault = directory.fault()
    if (fault !== undefined) throw fault
    return directory.holderOf()
  }

  /** Gives a name to a process; false when somebody has it, or its registry is not there. */
  register(name: string | Via, process: P): boolean {
    if (name instanceof Via) return new ViaDirectory(this, name).register(process)
    if (this.#holders.has(name)) return false
    this.#holders.set(name, process)
    process.name = name
    return true
  }

  /** Takes a local name from its holder, who knows no name then. */
  unregister(name: string): void {
    const holder = this.#holders.get(name)
    if (holder !== undefined) holder.name = undefined
    this.#holders.delete(name)
  }

  /** Lets go all that a process which has ended was known by; it still knows its local name. */
  release(process: P): void {
    if (process.name !== undefined) this.#holders.delete(process.name)
    this.registries.ended(process)
  }
}
