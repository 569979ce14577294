/**
 * Surveys an instance's present supervision tree: every process below the root, and the places of
 * missing ones with the reason. It asks supervisors for their children. A busy supervisor is shown
 * with the processes that it started.
 */
import { invalidArgument } from '../../errors.ts'
import {
  type ChildInfo,
  type ProcessSummary,
  type Ref,
  type SupervisorMessages,
  type System,
  whichChildren,
} from '../../runtime/index.ts'
import type { App, ShardHealth } from '../../supervisors/index.ts'
import { processPages } from './process-pages.ts'
import type { TreeNode } from './tree-view.ts'

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
  const { root } = treeNames(instance)
  const info = system.info(root)
  const reasons = new Map(surveyed.health().shards.flatMap(downReasons))
  const survey = { ...(await startedBy(system)), reasons }
  return info ? nodeOf(info, info.name ?? root, survey) : missing(root, 'supervisor', undefined)
}

/** The processes by the pid of the process that started them. Processes of entities are counted. */
const startedBy = async (system: System): Promise<Omit<Survey, 'reasons'>> => {
  const children = new Map<number, ProcessSummary[]>()
  const live = new Map<number, number>()
  for await (const page of processPages(system))
    for (const process of page) {
      const { parent = 0, pid, kind } = process
      const count = live.get(parent)
      if (kind === 'entity_kind') live.set(pid, 0)
      if (count !== undefined) live.set(parent, count + 1)
      else if (!children.get(parent)?.push(process)) children.set(parent, [process])
    }
  return { children, live }
}

type Survey = {
  readonly children: ReadonlyMap<number, readonly ProcessSummary[]>
  /** How many processes each kind of entities has. */
  readonly live: ReadonlyMap<number, number>
  /** The reasons why parts are down, by their ids. */
  readonly reasons: ReadonlyMap<string, string>
}

const downReasons = ({ shard, reason }: ShardHealth): [string, string][] =>
  reason === undefined ? [] : [[`shard(${shard})`, reason]]

const nodeOf = async (info: ProcessSummary, id: string, survey: Survey): Promise<TreeNode> => ({
  name: info.name ?? info.label ?? id,
  pid: info.pid,
  kind: info.kind,
  status: statusOf(info),
  mailbox: info.mailbox,
  restarts: info.restarts,
  reason: undefined,
  children: info.kind === 'supervisor' ? await childrenOf(info, survey) : [],
  live: survey.live.get(info.pid),
})

const childrenOf = async (supervisor: ProcessSummary, survey: Survey): Promise<TreeNode[]> => {
  const started = survey.children.get(supervisor.pid) ?? []
  const known = await askedChildren(supervisor)
  const nodes =
    known?.map((child) => childNode(child, started, survey)) ??
    started.map((info) => nodeOf(info, `<${info.pid}>`, survey))
  return Promise.all(nodes)
}

/** The supervisor's own list in start order; `undefined` while it is busy. */
const askedChildren = async (supervisor: ProcessSummary): Promise<ChildInfo[] | undefined> => {
  if (supervisor.status !== 'waiting' && supervisor.status !== 'runnable') return undefined
  try {
    const children = await whichChildren(supervisor.ref as Ref<SupervisorMessages>)
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
  const reason = survey.reasons.get(child.id)
  return missing(
    child.id,
    child.kind,
    reason,
    child.status === 'restarting' ? 'restarting' : 'down',
  )
}

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
