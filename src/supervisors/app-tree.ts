/**
 * The user's own supervision tree as data: `supervisor('app', { … }, [worker('counter', './counter.ts', { … })])`. Written in
 * a configuration file or handed to `start`; checked whole before anything starts. Pure.
 */
import { configError } from './config-error.ts'

/** When a child is started again: always, after a crash only, never. OTP's words. */
export type AppRestart = 'permanent' | 'transient' | 'temporary'

/** How a worker is run. */
export type WorkerOptions = {
  /** Given to the server's `init`. */
  readonly arg?: unknown
  /** The name it is registered under; its id by default. */
  readonly name?: string
  /** `permanent` by default. */
  readonly restart?: AppRestart
  /** How long it may take to end, in ms, before it is killed; 5,000. */
  readonly shutdownMs?: number
  /** User messages that it queues; the instance's `mailboxMax` by default. */
  readonly mailboxMax?: number
}

/** How a supervisor treats its children. */
export type SupervisorOptions = {
  /** `one_for_one` by default. */
  readonly strategy?: 'one_for_one' | 'one_for_all' | 'rest_for_one'
  /** So many restarts within `periodMs` are allowed: 3 in 5,000. */
  readonly intensity?: number
  readonly periodMs?: number
  /** `permanent` by default. */
  readonly restart?: AppRestart
}

/** A server, by the path of the module that exports it as `server`, as such a module, or itself. */
export type AppModule = string | { readonly server: object } | { readonly init: unknown }

/** A worker of the user's tree. */
export type AppWorker = {
  readonly kind: 'worker'
  readonly id: string
  readonly module: AppModule
  readonly options: WorkerOptions
}

/** A supervisor of the user's tree, and its root. */
export type AppTree = {
  readonly kind: 'supervisor'
  readonly id: string
  readonly options: SupervisorOptions
  readonly children: readonly AppNode[]
}

/** A part of the user's tree. */
export type AppNode = AppWorker | AppTree

/** A worker of the tree: its id, its server's module (a path is taken from the configuration file's folder), and how it is run. */
export const worker = (id: string, module: AppModule, options: WorkerOptions = {}): AppWorker => ({
  kind: 'worker',
  id,
  module,
  options,
})

/** A supervisor of the tree with its children in their order of start. */
export const supervisor = (
  id: string,
  options: SupervisorOptions,
  children: readonly AppNode[],
): AppTree => ({ kind: 'supervisor', id, options, children })

/** Checks a tree, its shape, its options, that ids and names are its own. @throws KeelsonError `CONFIG` with `details.path` */
export const checkAppTree = (tree: unknown, path = 'app'): AppTree => {
  const node = checkNode(tree, path, new Set())
  if (node.kind !== 'supervisor') throw configError(path, 'a supervisor', 'a worker')
  return node
}

/** The tree with every module replaced by what `resolve` makes of it. */
export const mapModules = async (
  tree: AppTree,
  resolve: (module: AppModule, path: string) => AppModule | Promise<AppModule>,
  path = 'app',
): Promise<AppTree> => {
  const children: AppNode[] = []
  for (const [at, child] of tree.children.entries()) {
    const here = `${path}.children[${at}]`
    if (child.kind === 'supervisor') children.push(await mapModules(child, resolve, here))
    else children.push({ ...child, module: await resolve(child.module, `${here}.module`) })
  }
  return { ...tree, children }
}

const restarts = ['permanent', 'transient', 'temporary']
const strategies = ['one_for_one', 'one_for_all', 'rest_for_one']

const checkNode = (node: unknown, path: string, names: Set<string>): AppNode => {
  const { kind, id, options } = fields(node, path)
  if (kind !== 'worker' && kind !== 'supervisor')
    throw configError(`${path}.kind`, "'worker' or 'supervisor'", kind)
  checkId(id, `${path}.id`)
  fields(options, `${path}.options`)
  if (kind === 'worker') checkWorker(node as AppWorker, path, names)
  else checkSupervisor(node as AppTree, path, names)
  return node as AppNode
}

const checkWorker = (
  { id, module, options }: AppWorker,
  path: string,
  names: Set<string>,
): void => {
  checkKnown(options, ['arg', 'name', 'restart', 'shutdownMs', 'mailboxMax'], `${path}.options`)
  if (typeof module !== 'string' && serverOf(module) === undefined)
    throw configError(
      `${path}.module`,
      'the path of a module, or one that exports `server`',
      module,
    )
  const { name = id, restart, shutdownMs, mailboxMax } = options
  checkId(name, `${path}.options.name`)
  if (names.has(name)) throw configError(`${path}.options.name`, 'a name of its own', name)
  names.add(name)
  checkOneOf(restart, restarts, `${path}.options.restart`)
  checkNumber(shutdownMs, 0, `${path}.options.shutdownMs`)
  checkNumber(mailboxMax, 1, `${path}.options.mailboxMax`)
}

const checkSupervisor = (
  { options, children }: AppTree,
  path: string,
  names: Set<string>,
): void => {
  checkKnown(options, ['strategy', 'intensity', 'periodMs', 'restart'], `${path}.options`)
  checkOneOf(options.strategy, strategies, `${path}.options.strategy`)
  checkOneOf(options.restart, restarts, `${path}.options.restart`)
  checkNumber(options.intensity, 0, `${path}.options.intensity`)
  checkNumber(options.periodMs, 1, `${path}.options.periodMs`)
  if (!Array.isArray(children)) throw configError(`${path}.children`, 'an array', children)
  const ids = new Set<string>()
  for (const [at, child] of children.entries()) {
    const { id } = checkNode(child, `${path}.children[${at}]`, names)
    if (ids.has(id)) throw configError(`${path}.children[${at}].id`, 'an id of its own', id)
    ids.add(id)
  }
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

const checkKnown = (options: object, known: readonly string[], path: string): void => {
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw configError(`${path}.${name}`, `one of ${known.join(', ')}`, name)
}

const checkId = (id: unknown, path: string): void => {
  if (typeof id !== 'string' || !/^[\w.()'-]{1,128}$/.test(id))
    throw configError(path, 'letters, digits, _, ., - and parentheses', id)
}

const checkOneOf = (found: unknown, allowed: readonly string[], path: string): void => {
  if (found !== undefined && !allowed.includes(found as string))
    throw configError(path, allowed.map((each) => `'${each}'`).join(', '), found)
}

const checkNumber = (found: unknown, min: number, path: string): void => {
  if (found !== undefined && !(Number.isSafeInteger(found) && (found as number) >= min))
    throw configError(path, `a whole number from ${min}`, found)
}
