/**
 * Names through a Registry: `via(rooms, 'lobby')` stands for whoever holds that key when it is used, wherever a name may
 * stand. It is a value without a System, so that it can be written into a specification before anything runs.
 */
import { KeelsonError } from '../../errors.ts'
import { Address, addressOf, type Directory, type Name, type Ref } from '../words/address.ts'
import type { Holder, OpenRegistry, Registries } from './registries.ts'

declare const member: unique symbol

/** A key of a unique Registry, as the name of a process that understands `M`. `via` makes one. */
export class Via<M = unknown> {
  declare readonly [member]?: M
  readonly registry: Ref | Name
  readonly key: unknown
  /** What is registered with the key when a process is started under this name. */
  readonly value: unknown

  constructor(registry: Ref | Name, key: unknown, value: unknown) {
    this.registry = registry
    this.key = key
    this.value = value
  }

  toString(): string {
    return `${this.registry}(${typeof this.key === 'string' ? this.key : shown(this.key)})`
  }
}

/** Whether `value` is a name that `via` made. */
export const isVia = (value: unknown): value is Via => value instanceof Via

/** What names through registries are looked up in. */
export interface RegistryDirectory<P extends Holder<P>> extends Directory<P> {
  readonly registries: Registries<P>
}

/** What a via name stands for in one System: a directory of its own, that knows one key. */
export class ViaDirectory<P extends Holder<P> & { readonly pid: number }> implements Directory<P> {
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

  /** Why the name stands for nobody, when it is not just that nobody has the key. */
  fault(): KeelsonError | undefined {
    const registry = this.#registry()
    if (registry === undefined) return noRegistry(this.#via.registry)
    return registry.table.keys === 'unique' ? undefined : notUnique(this.#via.registry)
  }

  /** Registers `process` under the name; false when somebody has it, or there is nothing to register with. */
  register(process: P): boolean {
    const registry = this.#registry()
    const { key, value } = this.#via
    if (registry === undefined || this.fault() !== undefined) return false
    return this.#directory.registries.register(registry, process, key, value) === undefined
  }

  #registry(): OpenRegistry<P> | undefined {
    const { registry } = this.#via
    const owner =
      typeof registry === 'string'
        ? this.#directory.holderOf(registry)
        : (addressOf(registry) as Address<P>).resolve()
    return this.#directory.registries.of(owner)
  }
}

/** The address that a via name has in one System, with its sender when one is bound. */
export const viaAddress = <P extends Holder<P> & { readonly pid: number }>(
  directory: RegistryDirectory<P>,
  via: Via,
): Address<P> => new Address(new ViaDirectory(directory, via), undefined, String(via), undefined)

/** Nobody has that name, or it is no registry. There is no `details.reason`: that is not the end of a process. */
export const noRegistry = (registry: unknown): KeelsonError =>
  new KeelsonError('NO_PROCESS', `no registry ${String(registry)}`, {
    details: { registry: String(registry) },
  })

/** What makes sense only where a key has one holder was asked of a duplicate registry. */
export const notUnique = (registry: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `the keys of ${String(registry)} are not unique`, {
    details: { registry: String(registry) },
  })

const shown = (key: unknown): string => {
  try {
    return JSON.stringify(key) ?? String(key)
  } catch {
    return '…'
  }
}
