/**
 * Makes specifications from trees as data, and has the `startSupervisor`, `startChild` and
 * `startDynamicChild` that take both.
 */

import { noMore } from '../../check.ts'
import { configError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type AnyContext,
  asPart,
  type ChildSpec,
  type DynamicSupervisorMessages,
  type GenServer,
  isVia,
  type Messages,
  madeAt,
  madeThrough,
  type Name,
  name,
  type Ref,
  type StartGate,
  type StartResult,
  type SupervisorMessages,
  type System,
  startDynamicChild as startDynamicSpec,
  startChild as startSpec,
  startOrGet as startSpecOrGet,
  startSupervisor as startTree,
  supervisor,
  type Via,
  worker,
} from '../../runtime/index.ts'
import {
  type AppNode,
  type AppTree,
  type AppWorker,
  checkAppNode,
  checkAppTree,
  isChildSpec,
  isDurable,
  namedLevels,
  serverOf,
} from './app-tree.ts'
import { durableWorkerSpec } from './durable-parts.ts'
import { serverOnce } from './module-loader.ts'
import { checkPlainServer } from './server-check.ts'

/**
 * The settings of a tree outside of its data: `context.app` below it, the default mailbox bound of
 * workers, and what every start waits for.
 */
export type TreeSurroundings = {
  readonly app?: unknown
  readonly mailboxMax?: number
  readonly startGate?: StartGate
}

/**
 * The specification of a whole tree, which `checkAppTree` has checked. Its root and the children of
 * its root are named by their ids.
 */
export const wholeTree = (tree: AppTree, surroundings: TreeSurroundings = noOptions): ChildSpec =>
  childSpec(tree, surroundings, namedLevels)

/**
 * The specification of a part of a tree. It and the parts below it have names only on request, but
 * for as many levels as `named`.
 */
const childSpec = (
  node: AppNode,
  surroundings: TreeSurroundings = noOptions,
  named: number = 0,
): ChildSpec => {
  if (isChildSpec(node)) return node
  const { options } = node
  const hasName = named > 0 || options.name !== undefined || isDurable(options)
  const registered = hasName ? registeredName(node) : undefined
  const spec =
    node.kind === 'worker'
      ? workerSpec(node, registered, surroundings)
      : treeSpec(node, registered, surroundings, named)
  return asPart({ ...spec }, node)
}

/** The name of a part that has one: that of its options, or its id. */
export const registeredName = <M = unknown>({
  id,
  options,
}: AppWorker | AppTree): Name<M> | Via<M> => {
  const given = options.name ?? id
  return isVia(given) ? (given as Via<M>) : name<M>(given)
}

/**
 * Starts a tree: without a parent for a System, linked for a context. Resolves when all of it has
 * started.
 * @throws KeelsonError `CONFIG` with `details.path`; `EXITED` when a part fails, with the ids from
 * the root to that part as `details.path` and its error as `cause`; no part of it runs then
 */
export const startSupervisor = (
  where: System | AnyContext,
  tree: AppTree | ChildSpec,
  ...surplus: []
): Promise<Ref<SupervisorMessages>> => madeAt(where, treeStarted(where, tree, surplus))

const treeStarted = async (
  where: System | AnyContext,
  tree: AppTree | ChildSpec,
  surplus: readonly unknown[],
): Promise<Ref<SupervisorMessages>> => {
  noMore(surplus, 'startSupervisor(where, tree)')
  return startTree(
    where,
    isChildSpec(tree) ? tree : wholeTree(checkAppTree(tree, tree?.id ?? 'tree')),
  )
}

/**
 * Adds a child, started last. A part has a name only if its options give it one. A failure is
 * `[reason, spec]`, `'already_present'` or `['already_started', ref]`, as in OTP.
 * @throws KeelsonError `CONFIG` with `details.path` for wrong data
 */
export const startChild = <M, S>(
  parent: Ref<SupervisorMessages>,
  node: AppNode<M, S>,
  ...surplus: []
): Promise<StartResult<M, S>> => {
  const one = { name: 'startChild', start: startSpec<M, S> }
  return madeThrough(parent, specStarted(one, parent, node, surplus))
}

/**
 * Starts a child of a dynamic supervisor. Ids may be equal. A part has a name only if its options
 * give it one. A failure is the reason of its start, or `'max_children'`.
 * @throws KeelsonError `CONFIG` with `details.path` for wrong data
 */
export const startDynamicChild = <M, S>(
  parent: Ref<DynamicSupervisorMessages>,
  node: AppNode<M, S>,
  ...surplus: []
): Promise<StartResult<M, S>> => {
  const one = { name: 'startDynamicChild', start: startDynamicSpec<M, S> }
  return madeThrough(parent, specStarted(one, parent, node, surplus))
}

type Starting<M, S, Parent> = {
  readonly name: string
  readonly start: (parent: Parent, spec: ChildSpec<M, S>) => Promise<StartResult<M, S>>
}

/** Async, so that wrong data rejects. */
const specStarted = async <M, S, Parent>(
  { name, start }: Starting<M, S, Parent>,
  parent: Parent,
  node: AppNode<M, S>,
  surplus: readonly unknown[],
): Promise<StartResult<M, S>> => {
  noMore(surplus, `${name}(supervisor, child)`)
  return start(parent, childSpec(checkAppNode(node)) as ChildSpec<M, S>)
}

/**
 * The process of a child of a dynamic supervisor, by its name: the one that has the name, or one
 * that is started now. Two starts at the same time end at the same process. If the ref of the
 * supervisor has its sender bound, so has the process's.
 * @throws KeelsonError `EXITED` with the reason of a failed start as `details.reason`; `CONFIG` with
 * `details.path` for wrong data, and for data without a name
 */
export const startOrGet = <M, S>(
  parent: Ref<DynamicSupervisorMessages>,
  node: AppNode<M, S>,
  ...surplus: []
): Promise<Ref<M, S>> => madeThrough(parent, startedOrGot(parent, node, surplus))

const startedOrGot = async <M, S>(
  parent: Ref<DynamicSupervisorMessages>,
  node: AppNode<M, S>,
  surplus: readonly unknown[],
): Promise<Ref<M, S>> => {
  noMore(surplus, 'startOrGet(supervisor, child)')
  const spec = childSpec(checkAppNode(node)) as ChildSpec<M, S>
  if (isChildSpec(node)) return startSpecOrGet(parent, spec, undefined)
  if (node.options.name === undefined && !isDurable(node.options))
    throw configError('child.options.name', 'a name, by which it is found', undefined)
  return startSpecOrGet(parent, spec, registeredName(node))
}

type AnyName = Name | Via

const treeSpec = (
  tree: AppTree,
  registered: AnyName | undefined,
  surroundings: TreeSurroundings,
  named: number,
): ChildSpec => {
  const { id, options, children } = tree
  const { strategy = 'one_for_one', ...others } = options
  return supervisor(
    id,
    {
      ...others,
      strategy,
      name: registered,
      startGate: surroundings.startGate,
      ...('app' in surroundings ? { app: surroundings.app } : {}),
    },
    children.map((child) => childSpec(child, surroundings, named - 1)),
  )
}

const workerSpec = (
  part: AppWorker,
  registered: AnyName | undefined,
  { mailboxMax }: TreeSurroundings,
): ChildSpec => {
  const { id, module, options } = part
  const { arg, durable, ...others } = options
  const spec = (server: object): ChildSpec =>
    isDurable(options) ? durableWorkerSpec(part, server, mailboxMax) : plainSpec(server)
  const plainSpec = (server: object) => {
    // That of a module is known only now.
    checkPlainServer(server, `${id}.module`)
    return worker(id, server as GenServer<Messages, unknown, unknown>, arg, {
      ...(mailboxMax === undefined ? {} : { mailboxMax }),
      ...others,
      name: registered as Name<Messages> | Via<Messages> | undefined,
    })
  }
  const server = serverOf(module)
  if (server) return spec(server)
  // A module given by its path is loaded at its start: one that cannot be loaded is a failed start.
  const loaded = serverOnce(String(module), `${id}.module`)
  const start: ChildSpec['start'] = async (context) => spec(await loaded()).start(context)
  return { ...spec(neverStarted), start }
}

/** A placeholder for a server that is not loaded yet. Only its place in the tree is read. */
const neverStarted: GenServer<Messages, unknown> = { init: () => undefined }
