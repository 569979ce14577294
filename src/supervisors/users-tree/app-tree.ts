/**
 * Supervision trees as data: `supervisor('app', { … }, [worker('counter', './counter.ts', { …
 * })])`. A tree is written in a configuration file, or passed to `start` or `startSupervisor`. All
 * of it is checked before anything starts. Pure.
 */

import type { DurableMessages, DurableOptions, DurableServer, Fields } from '../../actors/index.ts'
import {
  anything,
  checkNames,
  config,
  flag,
  noMore,
  object,
  oneOf,
  optional,
  that,
  wholeFrom,
} from '../../check.ts'
import { configError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type AutoShutdown,
  asPart,
  type ChildrenFault,
  type ChildSpec,
  childrenFault,
  type GenServer,
  isVia,
  type JudgedSpec,
  type Messages,
  type Part,
  type RestartOption,
  type Shutdown,
  type Strategy,
  type SupervisorMessages,
  type Via,
} from '../../runtime/index.ts'
import { checkDurableServer, checkPlainServer } from './server-check.ts'

/** The options of a worker. */
export type WorkerOptions<A = unknown> = {
  /** The argument of the server's `init`. */
  readonly arg?: A
  /**
   * Its registered name, also `via(registry, key)`. By default a durable worker, the root of a tree
   * and the children of its root are named by their ids; all other parts have no name.
   */
  readonly name?: string | Via
  /** `permanent` by default. */
  readonly restart?: RestartOption
  /**
   * How it is ended: asked, and killed after this many ms (5,000 by default), `'infinity'`, or
   * `'brutal_kill'`.
   */
  readonly shutdown?: Shutdown
  /** The same as `shutdown` with a number. */
  readonly shutdownMs?: number
  /** Its end may end the supervisor (`autoShutdown`). Not with `permanent`. */
  readonly significant?: boolean
  /** The most user messages in its mailbox; the System's `mailboxMax` by default. */
  readonly mailboxMax?: number
  /** It ends when a handler is pending for this many ms. No limit by default. */
  readonly handlerTimeoutMs?: number
  /**
   * Its state is durable, in rows under its name: it survives the process and the machine. Options
   * in place of `true` say how.
   */
  readonly durable?: boolean | DurableOptions
}

/** The options of a supervisor, also as a child. */
export type SupervisorOptions = {
  /** `one_for_one` by default. */
  readonly strategy?: Strategy
  /** The most restarts within `periodMs`: 3 in 5,000 ms. */
  readonly intensity?: number
  readonly periodMs?: number
  /** `never` by default. */
  readonly autoShutdown?: AutoShutdown
  /**
   * Its registered name, also `via(registry, key)`. By default the root of a tree and the children of
   * its root are named by their ids; all other parts have no name.
   */
  readonly name?: string | Via
  readonly restart?: RestartOption
  readonly shutdown?: Shutdown
  readonly significant?: boolean
}

/**
 * A server: the path of a module that exports it as `server`, such a module, or the server itself.
 */
export type AppModule = string | { readonly server: object } | { readonly init: unknown }

/** A worker of a tree. `M` and `S`: the messages and the state of its process. */
export type AppWorker<M = unknown, S = unknown> = Part<M, S> & {
  readonly kind: 'worker'
  readonly id: string
  readonly module: AppModule
  readonly options: WorkerOptions
}

/** A supervisor of a tree, and its root. */
export type AppTree = Part<SupervisorMessages> & {
  readonly kind: 'supervisor'
  readonly id: string
  readonly options: SupervisorOptions
  readonly children: readonly AppNode[]
}

/** A part with its own start function whose server is in a module. */
export type ModuleSpec = ChildSpec & {
  readonly module: AppModule
  /** The same part with the server of another module. */
  readonly withModule: (module: AppModule) => ChildSpec
}

/** A part of a tree: data, or a specification with its own start function. */
export type AppNode<M = unknown, S = unknown> =
  | AppWorker<M, S>
  | (AppTree & Part<M, S>)
  | ChildSpec<M, S>

type Server<M extends Messages, S, A, P> =
  | GenServer<M, S, A, P>
  | { readonly server: GenServer<M, S, A, P> }

/**
 * The id of a server without an argument. For other servers this type is the compiler's message
 * about the missing `arg`.
 */
type IdWithoutArgument<A> = [A] extends [undefined]
  ? string
  : { readonly 'its init takes an argument: worker(id, server, { arg })': A }

type WorkerArguments<A> = [A] extends [undefined]
  ? [options?: WorkerOptions<A>]
  : [options: WorkerOptions<A> & { readonly arg: A }]

/**
 * A worker whose server is in the module at this path, relative to the configuration file's folder
 * or to the current one.
 */
export function worker(id: string, path: string, options?: WorkerOptions): AppWorker
/**
 * A worker whose state is durable: with alarms, steps and versions. Its rows are found under its
 * name.
 */
export function worker<M extends DurableMessages, S, F extends Fields, A, P>(
  id: string,
  server: DurableServer<M, S, F, A, P> | { readonly server: DurableServer<M, S, F, A, P> },
  options: WorkerOptions<A> & { readonly durable: true | DurableOptions },
): AppWorker<M, S | undefined>
/**
 * A worker with this server (or a module that exports it as `server`), whose `init` takes no
 * argument.
 */
export function worker<M extends Messages, S, A, P>(
  id: IdWithoutArgument<A>,
  server: Server<M, S, A, P>,
): AppWorker<M, S>
/**
 * A worker with this server (or a module that exports it as `server`); `arg` is checked against its
 * `init`.
 */
export function worker<M extends Messages, S, A, P>(
  id: string,
  server: Server<M, S, A, P>,
  ...[options]: WorkerArguments<A>
): AppWorker<M, S>
/** A worker with a server, a module that exports one, or the path of such a module. */
export function worker(
  id: string,
  module: AppModule,
  options: WorkerOptions = noOptions,
  ...surplus: readonly unknown[]
): AppWorker {
  noMore(surplus, 'worker(id, server, { arg, name, restart, … })')
  workerOptions(options, config(String(id)))
  return { kind: 'worker', id, module, options }
}

/** A supervisor with its children in start order. */
export const supervisor = (
  id: string,
  options: SupervisorOptions,
  children: readonly AppNode[],
  ...surplus: []
): AppTree => {
  noMore(surplus, 'supervisor(id, { strategy, name, … }, children)')
  supervisorOptions(options, config(String(id)))
  return { kind: 'supervisor', id, options, children }
}

/** Whether a part has its own start function. */
export const isChildSpec = (node: AppNode): node is ChildSpec =>
  typeof node === 'object' && node !== null && 'start' in node && typeof node.start === 'function'

const isModuleSpec = (node: AppNode): node is ModuleSpec =>
  isChildSpec(node) && typeof (node as Partial<ModuleSpec>).withModule === 'function'

/**
 * Checks one part for a running supervisor. The supervisor itself checks a part with its own start
 * function, and answers as OTP does.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkAppNode = (node: AppNode, path = 'child'): AppNode => {
  if (isChildSpec(node)) return node
  const checked = checkNode(node, path, { taken: new Set(), levels: 0 })
  checkFault(childrenFault([judged(checked)], 'any_significant'), [checked], () => path)
  return checked
}

/**
 * Checks a tree: shape, options, unique ids and names.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkAppTree = (tree: unknown, path = 'app'): AppTree => {
  const node = checkNode(tree, path, { taken: new Set(), levels: namedLevels })
  if (isChildSpec(node) || node.kind !== 'supervisor')
    throw configError(path, 'a supervisor', 'another part')
  // The supervisor above is not known here, so any is assumed.
  checkFault(childrenFault([judged(node)], 'any_significant'), [node], () => path)
  return node
}

/** The tree with every module replaced by the result of `resolve`. */
export const mapModules = async (
  tree: AppTree,
  resolve: (module: AppModule, path: string) => AppModule | Promise<AppModule>,
  path = 'app',
): Promise<AppTree> => {
  const children: AppNode[] = []
  for (const [at, child] of tree.children.entries()) {
    const here = `${path}.children[${at}]`
    if (isModuleSpec(child))
      children.push(asPart(child.withModule(await resolve(child.module, `${here}.module`)), child))
    else if (isChildSpec(child)) children.push(child)
    else if (child.kind === 'supervisor') children.push(await mapModules(child, resolve, here))
    else {
      const module = await resolve(child.module, `${here}.module`)
      children.push(asPart({ ...child, module }, child))
    }
  }
  return asPart({ ...tree, children }, tree)
}

/** So many levels of a whole tree are named by their ids: its root, and the children of its root. */
export const namedLevels = 2

/** A tree is checked and started from level to level, which takes stack. */
const levelsMax = 500

/** The names that a tree has taken, and how many levels from here on are named by their ids. */
type Naming = { readonly taken: Set<string>; readonly levels: number }

/** The names that an instance uses. */
const reserved =
  /^((keelson|shards|registry|services|control)(\('.*'\))?$|(shard|blob_store|wal_writer|applier|batcher|journal|followers|lmdb_writer|expirer|alarms|snapshotter)\()/

const checkNode = (node: unknown, path: string, naming: Naming): AppNode => {
  if (naming.levels < -levelsMax)
    throw configError(path.slice(0, 100), `a tree of at most ${levelsMax} levels`, 'more')
  const { kind, id, start } = fields(node, path)
  checkId(id, `${path}.id`)
  if (typeof start === 'function') return node as ChildSpec
  if (kind !== 'worker' && kind !== 'supervisor')
    throw configError(`${path}.kind`, "'worker' or 'supervisor'", kind)
  const content = kind === 'worker' ? 'module' : 'children'
  checkNames(node, ['kind', 'id', content, 'options'], config(path))
  if (kind === 'worker') checkWorker(node as AppWorker, path, naming)
  else checkSupervisor(node as AppTree, path, naming)
  return node as AppNode
}

const child = { name: anything, restart: anything, shutdown: anything, significant: anything }

const durableOptions = {
  pipeline: optional(wholeFrom(1)),
  mailboxMax: optional(wholeFrom(1)),
  keepIds: optional(
    object({
      forMs: optional(wholeFrom(0)),
      newest: optional(wholeFrom(0)),
      bytesMax: optional(wholeFrom(0)),
    }),
  ),
}

const durableWorker = object(durableOptions)

/** The options of a kind of durable actors. */
export const entityOptions = object({
  ...durableOptions,
  idleMs: optional(wholeFrom(1)),
  handlerTimeoutMs: optional(wholeFrom(1)),
  keepMs: optional(wholeFrom(0)),
  keys: optional(flag),
  record: optional(
    object({
      inputs: that<true>('true', (found) => found === true),
      bytesMax: optional(wholeFrom(1)),
      redact: optional(that<never>('a function', (found) => typeof found === 'function')),
    }),
  ),
})

const workerOptions = object({
  ...child,
  arg: anything,
  shutdownMs: optional(wholeFrom(0)),
  mailboxMax: optional(wholeFrom(1)),
  handlerTimeoutMs: optional(wholeFrom(1)),
  durable: optional((found, at) => typeof found === 'boolean' || durableWorker(found, at)),
})

const supervisorOptions = object({
  ...child,
  strategy: optional(oneOf('one_for_one', 'one_for_all', 'rest_for_one')),
  autoShutdown: optional(oneOf('never', 'any_significant', 'all_significant')),
  intensity: optional(wholeFrom(0)),
  periodMs: optional(wholeFrom(1)),
})

const checkWorker = ({ id, module, options }: AppWorker, path: string, naming: Naming) => {
  workerOptions(options, config(`${path}.options`))
  const server = serverOf(module)
  if (typeof module !== 'string' && server === undefined)
    throw configError(
      `${path}.module`,
      'the path of a module, or one that exports `server`',
      module,
    )
  checkChild(id, options, path, naming)
  if (server === undefined) return
  if (isDurable(options)) checkDurableServer(server, `${path}.module`)
  else checkPlainServer(server, `${path}.module`)
}

const checkSupervisor = (
  { id, options, children }: AppTree,
  path: string,
  naming: Naming,
): void => {
  supervisorOptions(options, config(`${path}.options`))
  checkChild(id, options, path, naming)
  if (!Array.isArray(children)) throw configError(`${path}.children`, 'an array', children)
  // `map` would pass over holes.
  const placed = Array.from(children, (child, at) => [child, `${path}.children[${at}]`] as const)
  for (const [child, here] of placed) checkId(fields(child, here).id, `${here}.id`)
  checkChildren(children, options.autoShutdown, path)
  const below = { ...naming, levels: naming.levels - 1 }
  for (const [child, here] of placed) checkNode(child, here, below)
}

/**
 * Makes the supervisor's checks now, so that nothing has started when a set of children is wrong.
 */
const checkChildren = (
  children: readonly AppNode[],
  autoShutdown: AutoShutdown = 'never',
  path: string,
): void => {
  const fault = childrenFault(children.map(judged), autoShutdown)
  checkFault(fault, children, (at) => `${path}.children[${at}]`)
}

/** Throws a fault with its path. The fields of data are in its options. */
const checkFault = (
  fault: ChildrenFault | undefined,
  parts: readonly AppNode[],
  pathOf: (at: number) => string,
): void => {
  if (fault === undefined) return
  const { at, field, expected, found } = fault
  const part = parts[at]
  const isOption = field !== 'id' && part !== undefined && !isChildSpec(part)
  throw configError(`${pathOf(at)}.${isOption ? 'options.' : ''}${field}`, expected, found)
}

/** The fields of a part that a supervisor checks. The start of data is not checked. */
const judged = (node: AppNode): JudgedSpec =>
  isChildSpec(node)
    ? node
    : { ...node.options, id: node.id, kind: node.kind, start: () => undefined }

/** Whether these are the options of a durable worker, which has its rows under its name. */
export const isDurable = (options: WorkerOptions | SupervisorOptions): boolean =>
  'durable' in options && options.durable !== undefined && options.durable !== false

/** The checks that workers and supervisors share. */
const checkChild = (
  id: string,
  options: WorkerOptions | SupervisorOptions,
  path: string,
  naming: Naming,
): void => {
  const name = naming.levels > 0 || isDurable(options) ? (options.name ?? id) : options.name
  if (isVia(name) && isDurable(options))
    throw configError(`${path}.options.name`, 'a text, by which its rows are found', 'via')
  // Only a running registry knows whether its key is taken.
  if (name === undefined || isVia(name)) return
  checkId(name, `${path}.options.name`)
  if (reserved.test(name))
    throw configError(`${path}.options.name`, 'a name that the instance does not use itself', name)
  if (naming.taken.has(name)) throw configError(`${path}.options.name`, 'a name of its own', name)
  naming.taken.add(name)
}

/** The server in a module, or the server itself; `undefined` when there is none. */
export const serverOf = (module: unknown): object | undefined => {
  if (typeof module !== 'object' || module === null) return undefined
  const { server = module } = module as { server?: unknown }
  const isServer = typeof server === 'object' && server !== null && 'init' in server
  return isServer && typeof server.init === 'function' ? server : undefined
}

const fields = (node: unknown, path: string): Record<string, unknown> => {
  if (typeof node !== 'object' || node === null || Array.isArray(node))
    throw configError(path, 'an object', node)
  return node as Record<string, unknown>
}

const checkId: (id: unknown, path: string) => asserts id is string = (id, path) => {
  if (typeof id !== 'string' || !/^[\w.()'$-]{1,128}$/.test(id))
    throw configError(path, 'letters, digits, _, ., - and parentheses', id)
}
