/**
 * Registry: who is known by which key, and with which value, as in Elixir. A process registers itself, in a unique
 * registry as the one holder of a key, in a duplicate one as one of many; when it ends its entries are gone before
 * anybody hears of it. Whoever looks reads memory: no message, no waiting.
 *
 * Whoever changes entries of its own passes its context; whoever looks passes a ref of the registry, which
 * `context.to(name)` or `system.to(name)` makes. Keys are equal when they look equal: arrays and plain objects will do.
 * A registry is a supervisor over the process that keeps the table; registering links holder and table, so that a
 * holder ends (`'shutdown'`, or `'killed'`) with its registry.
 */
import { configError, KeelsonError } from '../../errors.ts'
import type { OpenRegistry } from '../names/registries.ts'
import type { RegistryEntry, RegistryKeys } from '../names/registry-table.ts'
import { noRegistry, notUnique, Via } from '../names/via.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import type { Context, GenServer, System, Target } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import {
  type Address,
  addressOf,
  name as nameOf,
  type Ref,
  type Name as RuntimeName,
} from '../words/address.ts'
import { type ChildSpec, worker } from './child-spec.ts'
import type { Restart } from './restart-policy.ts'
import { madeAt, started, supervisor } from './supervisor.ts'
import type { SupervisorMessages } from './supervisor-server.ts'

declare const entries: unique symbol

/**
 * What a registry is, for the compiler: keys `K`, values `V`, and what its members understand. `name<Registry.Messages<string,
 * number>>('rooms')` is the typed name of one; so is `Registry.name<string, number>('rooms')`.
 */
export type Messages<K = unknown, V = unknown, M = unknown> = SupervisorMessages & {
  readonly [entries]?: { readonly key: K; readonly value: V; readonly member: M }
}

/** The typed name of a registry. */
export type Name<K = unknown, V = unknown, M = unknown> = RuntimeName<Messages<K, V, M>>

/** A ref of a registry: `context.to(name)`, `system.to(name)`, or what `start` answers. */
export type Handle<K = unknown, V = unknown, M = unknown> = Ref<Messages<K, V, M>>

/** Types a text as the name of a registry. */
export const name = <K = unknown, V = unknown, M = unknown>(text: string): Name<K, V, M> =>
  nameOf<Messages<K, V, M>>(text)

/** How a registry is started, and treated as a child. */
export interface Options<K = unknown, V = unknown, M = unknown> {
  /** `unique`: a key has one holder. `duplicate`: a key may have many entries, also of one holder. */
  readonly keys: RegistryKeys
  readonly name?: Name<K, V, M> | undefined
  readonly restart?: Restart | undefined
  readonly shutdown?: Shutdown | undefined
}

/** One registration as it is read: `value` is what it was then. */
export interface Entry<K = unknown, V = unknown, M = unknown> {
  readonly key: K
  readonly ref: Ref<M>
  readonly value: V
}

/** What came of `register`: `ref` holds the key already, and may be the process itself. */
export type Registered<M = unknown> =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: readonly ['already_registered', ref: Ref<M>] }

/** A process that changes its own entries: its context. */
export interface Owner<M = unknown> extends Pick<Context<never>, 'to'> {
  readonly self: Ref<M>
}

/** A registry as a child; before those that use it, so that it starts first. Throws `CONFIG` with `details.path`. */
export const childSpec = <K = unknown, V = unknown, M = unknown>(
  id: string,
  options: Options<K, V, M>,
): ChildSpec => {
  const { keys, ...others } = options
  if (keys !== 'unique' && keys !== 'duplicate')
    throw configError(`${id}.keys`, "'unique' or 'duplicate'", keys)
  return supervisor(id, { ...others, strategy: 'one_for_one' }, [
    worker('table', tableServer, keys, {
      label: `table(${options.name ?? id})`,
    }),
  ])
}

/** Starts a registry by itself: under nobody when given a System, linked when given a context. Rejects as `startSupervisor`. */
export const start = <K = unknown, V = unknown, M = unknown>(
  where: System | Context,
  options: Options<K, V, M>,
): Promise<Handle<K, V, M>> =>
  madeAt(
    where,
    started(where, () => childSpec(options.name ?? 'registry', options)),
  )

/**
 * The name of whoever holds `key` of a unique registry, wherever a name may stand: of a process that is started (which is
 * then registered, with `value`, before its `init`; a key that is taken is `['already_started', ref]`), in `system.to` and
 * `context.to`, of workers, supervisors and timers.
 */
export const via = <K, V, M>(
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  value?: NoInfer<V>,
): Via<M> => {
  if (registry instanceof Via)
    throw new KeelsonError('INVALID_ARGUMENT', 'a registry has no name through a registry')
  return new Via<M>(registry, key, value ?? null)
}

// What a process does to its own entries.

/**
 * Registers the calling process. In a unique registry a key that is taken is an answer, also when it is its own.
 * Throws `NO_PROCESS` when the registry is not there, `EXITED` in code of a process that has ended.
 */
export const register = <K, V, M>(
  context: Owner<NoInfer<M>>,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  value: NoInfer<V>,
): Registered<M> => {
  const [holder, { open, registries }] = own(context, registry)
  const taken = registries.register(open, holder, key, value)
  return taken === undefined
    ? { ok: true }
    : { ok: false, reason: ['already_registered', refOf<M>(taken)] }
}

/** Gives back all entries that the calling process has of `key`; none is fine. Throws as `register`. */
export const unregister = <K, V, M>(
  context: Owner,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
): void => {
  const [holder, { open, registries }] = own(context, registry)
  registries.unregister(open, holder, key)
}

/**
 * Replaces the value of a key that the calling process holds: the new value and the one before it, or `undefined` when it
 * is not the holder. Throws as `register`, `INVALID_ARGUMENT` in a duplicate registry, and what `update` throws.
 */
export const updateValue = <K, V, M>(
  context: Owner,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  update: (value: V) => V,
): readonly [value: V, previous: V] | undefined => {
  const [holder, { open }] = own(context, registry)
  if (open.table.keys !== 'unique') throw notUnique(registry)
  for (const entry of open.table.of(key)) {
    if (entry.holder !== holder) continue
    const previous = entry.value as V
    const next = update(previous)
    entry.value = next
    return [next, previous]
  }
  return undefined
}

// What everybody may look at. All of it throws `NO_PROCESS` when the registry is not there.

/** The entries of `key`, the first registered first. */
export const lookup = <K, V, M>(registry: Handle<K, V, M>, key: NoInfer<K>): Entry<K, V, M>[] =>
  [...opened(registry).open.table.of(key)].map(shown<K, V, M>)

/** The keys that `holder` has, the first registered first; one that it has twice is there twice. */
export const keys = <K, V, M>(registry: Handle<K, V, M>, holder: Ref): K[] =>
  heldBy(registry, holder).map((entry) => entry.key as K)

/** The values that `holder` has registered with `key`. */
export const values = <K, V, M>(registry: Handle<K, V, M>, key: NoInfer<K>, holder: Ref): V[] => {
  const { table } = opened(registry).open
  const process = (addressOf(holder) as Address<Process>).resolve()
  const own = process === undefined ? [] : table.both(process, key)
  return own.map((entry) => entry.value as V)
}

/** How many entries there are. */
export const count = (registry: Handle): number => opened(registry).open.table.count

/** How many entries of `key` have a value that `where` says yes to. */
export const countMatch = <K, V, M>(
  registry: Handle<K, V, M>,
  key: NoInfer<K>,
  where: (value: V) => boolean,
): number => lookup(registry, key).filter(({ value }) => where(value)).length

/** All entries that `where` says yes to; all there are without it. Looks at each. */
export const select = <K, V, M>(
  registry: Handle<K, V, M>,
  where: (entry: Entry<K, V, M>) => boolean = () => true,
): Entry<K, V, M>[] =>
  Array.from(opened(registry).open.table.all(), shown<K, V, M>).filter((entry) => where(entry))

/**
 * Calls `each` for every entry of `key` that there is now, here, in the order of registration. One that goes meanwhile is
 * left out. What `each` throws ends it.
 */
export const dispatch = <K, V, M>(
  registry: Handle<K, V, M>,
  key: NoInfer<K>,
  each: (ref: Ref<M>, value: V) => void,
): void => {
  const ofKey = opened(registry).open.table.of(key)
  for (const entry of [...ofKey])
    if (ofKey.has(entry)) each(refOf<M>(entry.holder), entry.value as V)
}

// The process that keeps the table.

/** It has nothing to say: the table is read and written where it lies. Who ended has been taken out of it already. */
const tableServer: GenServer<Record<never, never>, null, RegistryKeys> = {
  init: (keys, context) => {
    context.trapExit(true)
    const process = processOf(context)
    if (process.starter === undefined) throw new Error('a table belongs to a registry')
    process.kernel.names.registries.open(process.starter, process, keys)
    return null
  },
  exit: (state) => noReply(state),
}

type Opened = {
  readonly open: OpenRegistry<Process>
  readonly registries: Process['kernel']['names']['registries']
}

const opened = (registry: Ref<never> | Handle): Opened => {
  const process = (addressOf(registry) as Address<Process>).resolve()
  const registries = process?.kernel.names.registries
  const open = registries?.of(process)
  if (registries === undefined || open === undefined) throw noRegistry(registry)
  return { open, registries }
}

/** The calling process and its registry. A process that has ended registers nothing. */
const own = (
  context: Owner,
  registry: Target<Messages<never, never, never>> | Target,
): readonly [Process, Opened] => {
  const holder = processOf(context)
  if (!holder.alive)
    throw new KeelsonError('EXITED', 'the process has ended', {
      details: { reason: holder.reason },
    })
  return [holder, opened(context.to(registry as Target<Messages>))]
}

const heldBy = (
  registry: Handle<never, never, never> | Handle,
  holder: Ref,
): RegistryEntry<Process>[] => {
  const { table } = opened(registry as Handle).open
  const process = (addressOf(holder) as Address<Process>).resolve()
  return process === undefined ? [] : [...table.heldBy(process)]
}

const shown = <K, V, M>({ key, holder, value }: RegistryEntry<Process>): Entry<K, V, M> => ({
  key: key as K,
  ref: refOf<M>(holder),
  value: value as V,
})

const refOf = <M>(process: Process): Ref<M> => process.address as Ref<M>
