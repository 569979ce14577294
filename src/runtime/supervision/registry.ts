/**
 * Registry: processes by key, with a value each, as in Elixir. A process registers itself: in a
 * unique registry as the only holder of a key, in a duplicate one as one of many. When a process
 * ends, its entries are gone before its end is announced. Look-ups read memory: no message and no
 * waiting.
 *
 * A process that changes its own entries passes its context. A look-up passes a ref of the registry
 * from `context.to(name)` or `system.to(name)`. Keys are compared by content: arrays and plain
 * objects are fine. A registry is a supervisor over the process that keeps the table. Registering
 * links holder and table, so a holder ends (`'shutdown'` or `'killed'`) with its registry.
 */
import { config, noMore, oneOf, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import type { OpenRegistry } from '../names/registries.ts'
import type { RegistryEntry, RegistryKeys } from '../names/registry-table.ts'
import { noRegistry, notUnique, Via } from '../names/via.ts'
import type { Process } from '../process/process.ts'
import { expectOf, livingOf, processOf } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import { signalOrder } from '../process/ties.ts'
import { acceptsNothing } from '../server/acceptance.ts'
import type { AnyContext, Context, GenServer, System, Target } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import { addressOf, name as nameOf, type Ref, type Name as RuntimeName } from '../words/address.ts'
import { Monitor } from '../words/monitor.ts'
import { type ChildSpec, worker } from './child-spec.ts'
import type { RestartOption } from './restart-policy.ts'
import { madeAt, started, supervisor } from './supervisor.ts'
import type { SupervisorMessages } from './supervisor-server.ts'

declare const entries: unique symbol

/**
 * The type of a registry: keys `K`, values `V`, and the messages of its members.
 * `name<Registry.Messages<string, number>>('rooms')` is the typed name of one; so is
 * `Registry.name<string, number>('rooms')`.
 */
export type Messages<K = unknown, V = unknown, M = unknown> = SupervisorMessages & {
  readonly [entries]?: { readonly key: K; readonly value: V; readonly member: M }
}

/** The typed name of a registry. */
export type Name<K = unknown, V = unknown, M = unknown> = RuntimeName<Messages<K, V, M>>

/** A ref of a registry: from `context.to(name)`, `system.to(name)` or `start`. */
export type Handle<K = unknown, V = unknown, M = unknown> = Ref<Messages<K, V, M>>

/** Types a text as the name of a registry. */
export const name = <K = unknown, V = unknown, M = unknown>(text: string): Name<K, V, M> =>
  nameOf<Messages<K, V, M>>(text)

/** The options of a registry, also as a child. */
export interface Options<K = unknown, V = unknown, M = unknown> {
  /**
   * `unique`: a key has one holder. `duplicate`: a key may have many entries, also of one holder.
   */
  readonly keys: RegistryKeys
  readonly name?: Name<K, V, M> | undefined
  readonly restart?: RestartOption | undefined
  readonly shutdown?: Shutdown | undefined
}

/** One entry at the moment of the look-up. */
export interface Entry<K = unknown, V = unknown, M = unknown> {
  readonly key: K
  readonly ref: Ref<M>
  readonly value: V
}

/** The result of `register`. `ref` is the present holder, which may be the process itself. */
export type Registered<M = unknown> =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: readonly ['already_registered', ref: Ref<M>] }

/** The context of a process that changes its own entries. */
export interface Owner<M = unknown> extends Pick<Context<never>, 'to'> {
  readonly self: Ref<M>
}

/**
 * A registry as a child. Place it before the children that use it, so that it starts first. Throws
 * `CONFIG` with `details.path`.
 */
export const childSpec = <K = unknown, V = unknown, M = unknown>(
  id: string,
  options: Options<K, V, M>,
  ...surplus: []
): ChildSpec<Messages<K, V, M>> => {
  noMore(surplus, 'Registry.childSpec(id, { keys, … })')
  const { keys, ...others } = readOptions(options, knownOptions, config(id))
  oneOf('unique', 'duplicate')(keys, config(`${id}.keys`))
  return supervisor(id, { ...others, strategy: 'one_for_one' }, [
    worker('table', tableServer, keys, {
      label: `table(${options.name ?? id})`,
    }),
  ])
}

const knownOptions = ['keys', 'name', 'restart', 'shutdown']

/**
 * Starts a registry by itself: without a parent for a System, linked for a context. Rejects like
 * `startSupervisor`.
 */
export const start = <K = unknown, V = unknown, M = unknown>(
  where: System | AnyContext,
  options: Options<K, V, M>,
  ...surplus: []
): Promise<Handle<K, V, M>> =>
  madeAt(
    where,
    started(where, () => {
      noMore(surplus, 'Registry.start(where, { keys, … })')
      const read = readOptions(options, knownOptions, config('registry'))
      return childSpec(read.name ?? 'registry', read)
    }),
  )

/**
 * The name of the holder of `key` in a unique registry. It works wherever a name does: in
 * `system.to` and `context.to`, and for workers, supervisors and timers. A process started under it
 * is registered with `value` before its `init`; if the key is taken, the failure is
 * `['already_started', ref]`.
 */
export const via = <K, V, M>(
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  value?: NoInfer<V>,
  ...surplus: []
): Via<M> => {
  noMore(surplus, 'via(registry, key, value)')
  if (registry instanceof Via)
    throw new KeelsonError('INVALID_ARGUMENT', 'a registry has no name through a registry')
  return new Via<M>(registry, key, value ?? null)
}

// A process changes its own entries.

/**
 * Registers the calling process. If a unique key is taken, even by the process itself, the result
 * says so. Throws `NO_PROCESS` when the registry is not there, `EXITED` in code of a process that
 * has ended.
 */
export const register = <K, V, M>(
  context: Owner<NoInfer<M>>,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  value: NoInfer<V>,
): Registered<M> => {
  const [holder, open] = own(context, registry)
  const taken = holder.kernel.names.registries.register(open, holder, key, value)
  return taken === undefined
    ? { ok: true }
    : { ok: false, reason: ['already_registered', refOf<M>(taken)] }
}

/**
 * Removes all entries of the calling process with `key`, if there are any. Throws like `register`.
 */
export const unregister = <K, V, M>(
  context: Owner,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
): void => {
  const [holder, open] = own(context, registry)
  holder.kernel.names.registries.unregister(open, holder, key)
}

/**
 * Replaces the value of a key that the calling process holds. Returns the new and the old value, or
 * `undefined` when it is not the holder. Throws like `register`, `INVALID_ARGUMENT` for a duplicate
 * registry, and the error of `update`.
 */
export const updateValue = <K, V, M>(
  context: Owner,
  registry: Target<Messages<K, V, M>>,
  key: NoInfer<K>,
  update: (value: V) => V,
): readonly [value: V, previous: V] | undefined => {
  const [holder, { table }] = own(context, registry)
  if (table.keys !== 'unique') throw notUnique(registry)
  const [entry] = table.both(holder, key)
  if (entry === undefined) return undefined
  const { value: previous } = shown<K, V, unknown>(entry)
  const next = update(previous)
  entry.value = next
  return [next, previous]
}

// Look-ups, open to all. They throw `NO_PROCESS` when the registry is not there.

/** The entries of `key`, oldest first. */
export const lookup = <K, V, M>(registry: Handle<K, V, M>, key: NoInfer<K>): Entry<K, V, M>[] =>
  [...opened(registry).table.of(key)].map(shown<K, V, M>)

/** The keys of `holder`, oldest first. A key with two entries occurs twice. */
export const keys = <K, V, M>(registry: Handle<K, V, M>, holder: Ref): K[] =>
  [...opened(registry).table.heldBy(processAt(holder))].map((entry) => shown<K, V, M>(entry).key)

/** The values of `holder` with `key`. */
export const values = <K, V, M>(registry: Handle<K, V, M>, key: NoInfer<K>, holder: Ref): V[] =>
  opened(registry)
    .table.both(processAt(holder), key)
    .map((entry) => shown<K, V, M>(entry).value)

/** The number of entries. */
export const count = (registry: Handle): number => opened(registry).table.count

/** The number of entries of `key` whose value passes `where`. */
export const countMatch = <K, V, M>(
  registry: Handle<K, V, M>,
  key: NoInfer<K>,
  where: (value: V) => boolean,
): number => lookup(registry, key).filter(({ value }) => where(value)).length

/** All entries that pass `where`; without it, all. Reads each entry. */
export const select = <K, V, M>(
  registry: Handle<K, V, M>,
  where: (entry: Entry<K, V, M>) => boolean = () => true,
): Entry<K, V, M>[] =>
  Array.from(opened(registry).table.all(), shown<K, V, M>).filter((entry) => where(entry))

/**
 * Calls `each` for every present entry of `key`, in the order of registration. An entry that is
 * removed during the walk is skipped. A throw of `each` ends it.
 */
export const dispatch = <K, V, M>(
  registry: Handle<K, V, M>,
  key: NoInfer<K>,
  each: (ref: Ref<M>, value: V) => void,
): void => {
  const ofKey = opened(registry).table.of(key)
  for (const entry of [...ofKey]) {
    if (!ofKey.has(entry)) continue
    const { ref, value } = shown<K, V, M>(entry)
    each(ref, value)
  }
}

// The process that keeps the table.

/**
 * It handles no messages: callers read and write the table directly. The entries of an ended
 * process are gone already.
 */
const tableServer: GenServer<Record<never, never>, null, RegistryKeys> = {
  init: (keys, context) => {
    context.trapExit(true)
    const process = processOf(context)
    process.kernel.names.registries.open(process.parent, process, keys)
    return null
  },
  accepts: acceptsNothing,
  exit: (state) => noReply(state),
  terminate: (_state, reason, context) => {
    const server = processOf(context)
    const { parent, ties } = server
    if (parent.shutdownAt === undefined) return
    // The registry is ending. Its holders end when it has, as in OTP: a supervisor of both has to
    // know of its end first, or it would start them again without a registry.
    const holders = [...signalOrder(ties.links.all)].filter((linked) => linked !== parent)
    for (const holder of holders) holder.unlink(server)
    const onDown = () => {
      for (const holder of holders) holder.signal(server, reason, true)
    }
    parent.watchBy(new Monitor<Process>(undefined, parent.address, onDown))
  },
}

const opened = (registry: Ref<never> | Handle): OpenRegistry<Process> => {
  const process = processAt(registry)
  const open = process?.kernel.names.registries.of(process)
  if (open === undefined) throw noRegistry(registry)
  return open
}

/** The calling process and its registry. Throws for a process that has ended. */
const own = (
  context: Owner,
  registry: Target<Messages<never, never, never>> | Target,
): readonly [Process, OpenRegistry<Process>] => {
  const holder = livingOf(context)
  const open = opened(context.to(registry as Target<Messages>))
  expectOf(holder.kernel, open.server)
  return [holder, open]
}

const processAt = (ref: Ref<never> | Ref): Process | undefined => addressOf<Process>(ref).resolve()

const shown = <K, V, M>({ key, holder, value }: RegistryEntry<Process>): Entry<K, V, M> => ({
  key: key as K,
  ref: refOf<M>(holder),
  value: value as V,
})

const refOf = <M>(process: Process): Ref<M> => process.address
