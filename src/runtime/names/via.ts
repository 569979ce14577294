/**
 * Names in a Registry: `via(rooms, 'lobby')` stands for the holder of that key at the time of use,
 * wherever a name is accepted. It is a value without a System: a specification can contain it
 * before anything runs.
 */
import { KeelsonError } from '../../errors.ts'
import {
  Address,
  addressOf,
  type Directory,
  type HolderWait,
  type Name,
  type Part,
  type Ref,
} from '../words/address.ts'
import { isPart, type Parts } from './parts.ts'
import type { Holder, OpenRegistry, Registries } from './registries.ts'

declare const member: unique symbol

/** A key of a unique Registry, as the name of a process that understands `M`. `via` makes one. */
export class Via<M = unknown> {
  declare readonly [member]?: M
  readonly registry: Ref | Name | Part
  readonly key: unknown
  /** The value registered with the key when a process is started under this name. */
  readonly value: unknown

  constructor(registry: Ref | Name | Part, key: unknown, value: unknown) {
    this.registry = registry
    this.key = key
    this.value = value
  }

  toString(): string {
    return `${titleOf(this.registry)}(${typeof this.key === 'string' ? this.key : shown(this.key)})`
  }
}

/** Whether `value` is a name that `via` made. */
export const isVia = (value: unknown): value is Via => value instanceof Via

/** A process that a registry or a part of a tree may lead to. */
interface Member<P> extends Holder<P> {
  readonly pid: number
  readonly alive: boolean
}

/** Looks up names in registries. */
export interface RegistryDirectory<P extends Member<P>> extends Directory<P> {
  readonly registries: Registries<P>
  readonly parts: Parts<P>
}

/** The meaning of a via name in one System: a directory with one key. */
export class ViaDirectory<P extends Member<P>> implements Directory<P> {
  readonly #directory: RegistryDirectory<P>
  readonly #via: Via

  constructor(directory: RegistryDirectory<P>, via: Via) {
    this.#directory = directory
    this.#via = via
  }

  holderOf(): P | undefined {
    const registry = this.#registry()
    return registry?.table.keys === 'unique' ? registry.table.holderOf(this.#via.key) : undefined
  }

  /** The error of a via name without a holder, if its key is not simply free. */
  fault(): KeelsonError | undefined {
    const registry = this.#registry()
    if (registry === undefined) return noRegistry(this.#via.registry)
    return registry.table.keys === 'unique' ? undefined : notUnique(this.#via.registry)
  }

  awaitHolder(_name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    const { registries } = this.#directory
    return registries.awaitHolder(this.#via.key, () => this.holderOf() !== undefined, ms, signal)
  }

  /** Registers `process` under the name. False: the key is taken, or there is no such registry. */
  register(process: P): boolean {
    const registry = this.#registry()
    const { key, value } = this.#via
    if (registry === undefined || this.fault() !== undefined) return false
    return this.#directory.registries.register(registry, process, key, value) === undefined
  }

  #registry(): OpenRegistry<P> | undefined {
    const { registry } = this.#via
    return this.#directory.registries.of(this.#holderOf(registry))
  }

  #holderOf(registry: Via['registry']): P | undefined {
    if (typeof registry === 'string') return this.#directory.holderOf(registry)
    if (isPart(registry)) return this.#directory.parts.holderOf(registry)
    return addressOf<P>(registry).resolve()
  }
}

/** A registry as errors and logs name it. */
const titleOf = (registry: unknown): string => (isPart(registry) ? registry.id : String(registry))

/** The address that a via name has in one System, with its sender when one is bound. */
export const viaAddress = <P extends Member<P>>(
  directory: RegistryDirectory<P>,
  via: Via,
): Address<P> => new Address(new ViaDirectory(directory, via), undefined, String(via), undefined)

/**
 * No process has that name, or it is not a registry. There is no `details.reason`, because no
 * process ended.
 */
export const noRegistry = (registry: unknown): KeelsonError =>
  new KeelsonError('NO_PROCESS', `there is no registry ${titleOf(registry)}`, {
    details: { registry: titleOf(registry) },
  })

/** An operation that needs unique keys was used on a duplicate registry. */
export const notUnique = (registry: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `the keys of ${titleOf(registry)} are not unique`, {
    details: { registry: titleOf(registry) },
  })

const shown = (key: unknown): string => {
  try {
    return JSON.stringify(key) ?? String(key)
  } catch {
    return '…'
  }
}
