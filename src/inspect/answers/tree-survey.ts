/**
 * Surveys an instance's present supervision tree: every process below the root, and the places of
 * missing ones with the reason. It asks supervisors for their children. A busy supervisor is shown
 * with the processes that it started.
 */
import { invalidArgument } from '../../errors.ts'
import {
  type ChildInfo,
  call,
  type ProcessSummary,
  type Ref,
  type SupervisorMessages,
  type System,
} from '../../runtime/index.ts'
import type { App, ShardHealth } from '../../supervisors/index.ts'
import { nextTurn, processPages } from './process-pages.ts'

/** A process of the tree, or the place of a missing one. */
export type TreeNode = {
  /** Its name, or its id with its supervisor. */
  readonly name: string
  /** `undefined` where no process runs. */
  readonly pid: number | undefined
  readonly kind: string
  /**
   * `running`, `busy`, `suspended`, `starting`, `terminating`, `down`; `elsewhere`: another member has
   * the shard.
   */
  readonly status: string
  /** The number of waiting messages. */
  readonly mailbox: number
  /** The number of its restarts. */
  readonly restarts: number
  /** Why it is down, or which member has it. */
  readonly reason: string | undefined
  readonly children: readonly TreeNode[]
  /**
   * How many children live, of a kind of entities, a dynamic supervisor, or a process with very
   * many. Not all are among `children`.
   */
  readonly live: number | undefined
}

/** The part of an instance that is surveyed. */
export type Surveyed = Pick<App, 'system' | 'instance' | 'health'>

/**
 * The tree, from the root supervisor down.
 * @throws KeelsonError `INVALID_ARGUMENT` for a value that is not an instance
 */
export const surveyTree = async (surveyed: Surveyed): Promise<TreeNode> => {
  const { system, instance, health } = (surveyed ?? {}) as Partial<Surveyed>
  if (!system || instance === undefined || !health)
    throw invalidArgument('instance', 'what start resolves with', surveyed)
  // An instance is running, so the supervisors are loaded; a program that imports Keelson may not
  // need them.
  const { treeNames } = await import('../../supervisors/index.ts')
  await nextTurn(system)
  const { root } = treeNames(instance)
  const info = system.info(root)
  return info ? surveyBelow(surveyed, info) : missing(root, 'supervisor', undefined)
}

/** The tree below a process. */
export const surveyBelow = async (surveyed: Surveyed, top: ProcessSummary): Promise<TreeNode> => {
  const gaps = new Map(surveyed.health().shards.flatMap(gapsOf))
  const children = await startedBy(surveyed.system, top.pid)
  return nodeOf(top, `<${top.pid}>`, { children, gaps, top: top.pid })
}

/** The most children of the process at the top that are shown, and of any other. */
const topChildrenMax = 500
const childrenMax = 100

/** Whether a process of this kind has children in any number: they are counted, and not shown. */
const folds = (kind: string): boolean =>
  kind === 'entity_kind' || (kind.endsWith('supervisor') && kind !== 'supervisor')

/** The children of a process that are shown, and how many it has. */
type Children = { readonly shown: ProcessSummary[]; readonly folds: boolean; count: number }

/** The processes by the pid of the process that started them. */
const startedBy = async (system: System, top: number): Promise<Map<number, Children>> => {
  const all = new Map<number, Children>()
  const childrenOf = (pid: number, kind: string): Children => {
    const known = all.get(pid) ?? { shown: [], folds: folds(kind), count: 0 }
    all.set(pid, known)
    return known
  }
  for await (const page of processPages(system))
    for (const process of page) {
      const { parent = 0, pid, kind } = process
      if (folds(kind)) childrenOf(pid, kind)
      const children = childrenOf(parent, '')
      const roomLeft = parent === top ? topChildrenMax : children.folds ? 0 : childrenMax
      if (children.count++ < roomLeft) children.shown.push(process)
    }
  return all
}

type Survey = {
  readonly children: ReadonlyMap<number, Children>
  /** Why shards have no process here, by the ids of their parts. */
  readonly gaps: ReadonlyMap<string, Gap>
  /** The pid of the process at the top. */
  readonly top: number
}

type Gap = { readonly status: 'down' | 'elsewhere'; readonly reason: string }

const gapsOf = ({ shard, phase, member, reason }: ShardHealth): [string, Gap][] => {
  const part = `shard(${shard})`
  if (phase === 'elsewhere' && member !== undefined)
    return [[part, { status: 'elsewhere', reason: `at member ${member}` }]]
  return reason === undefined ? [] : [[part, { status: 'down', reason }]]
}

const nodeOf = async (info: ProcessSummary, id: string, survey: Survey): Promise<TreeNode> => {
  const { shown = [], folds = false, count = 0 } = survey.children.get(info.pid) ?? {}
  const isOpen = info.kind === 'supervisor' || info.pid === survey.top
  const isCounted = folds || count > shown.length
  return {
    name: info.name ?? info.label ?? id,
    pid: info.pid,
    kind: info.kind,
    status: statusOf(info),
    mailbox: info.mailbox,
    restarts: info.restarts,
    reason: undefined,
    // One with very many would hold up the event loop with its list.
    children: isOpen ? await childNodes(info, shown, isCounted, survey) : [],
    live: isCounted ? count : undefined,
  }
}

const childNodes = async (
  parent: ProcessSummary,
  started: readonly ProcessSummary[],
  isCounted: boolean,
  survey: Survey,
): Promise<TreeNode[]> => {
  const isAsked = parent.kind === 'supervisor' && !isCounted
  const known = isAsked ? await askedChildren(parent) : undefined
  const nodes =
    known?.map((child) => childNode(child, started, survey)) ??
    started.map((info) => nodeOf(info, `<${info.pid}>`, survey))
  return Promise.all(nodes)
}

/** A supervisor that does not answer within this time is busy, in ms. */
const askedMs = 1_000

/** The supervisor's own list in start order; `undefined` while it is busy. */
const askedChildren = async (supervisor: ProcessSummary): Promise<ChildInfo[] | undefined> => {
  if (supervisor.status !== 'waiting' && supervisor.status !== 'runnable') return undefined
  try {
    const ref = supervisor.ref as Ref<SupervisorMessages>
    const children = await call(ref, 'whichChildren', undefined, { timeoutMs: askedMs })
    return children.reverse()
  } catch {
    // It has ended or is busy: the processes that it started are shown instead.
    return undefined
  }
}

const childNode = async (
  child: ChildInfo,
  started: readonly ProcessSummary[],
  survey: Survey,
): Promise<TreeNode> => {
  const info = started.find(({ pid }) => pid === child.ref?.pid)
  if (info) return nodeOf(info, child.id, survey)
  const { status = 'down', reason } = survey.gaps.get(child.id) ?? {}
  const isRestarting = child.status === 'restarting'
  return missing(child.id, child.kind, reason, isRestarting ? 'restarting' : status)
}

/** From so many shards on the sound ones are counted. */
const shardsMax = 8

/**
 * The tree of an instance as people look at it: of many shards those without trouble are counted, so
 * that the user's tree is in sight. `tree('shards')` has them all.
 */
export const foldedTree = (root: TreeNode): TreeNode => ({
  ...root,
  children: root.children.map((node) => {
    if (!node.name.startsWith('shards') || node.children.length <= shardsMax) return node
    const live = node.children.filter(({ pid }) => pid !== undefined).length
    return { ...node, live, children: node.children.filter((each) => !isSound(each)) }
  }),
})

const isSound = ({ status, restarts, children }: TreeNode): boolean =>
  (status === 'running' || status === 'elsewhere') && restarts === 0 && children.every(isSound)

const missing = (
  name: string,
  kind: string,
  reason: string | undefined,
  status = 'down',
): TreeNode => ({
  name,
  pid: undefined,
  kind,
  status,
  mailbox: 0,
  restarts: 0,
  reason,
  children: [],
  live: undefined,
})

/** The status as the views show it: a waiting or runnable process is running. */
export const statusOf = ({ status }: ProcessSummary): string =>
  status === 'waiting' || status === 'runnable' ? 'running' : status
