/**
 * Looks at runs: pages of them, their changes, their operations, and counts. They read rows and wake
 * no run.
 */
import type { ChangePlace, EntityHandle, WatchBegin } from '../../actors/index.ts'
import { argument } from '../../check.ts'
import { invalidArgument, type KeptError } from '../../errors.ts'
import type { AppContext } from '../../supervisors/index.ts'
import type { Workflow } from './body.ts'
import { listOptions as checkedOptions, pageOptions, watchOptions, workflowOf } from './options.ts'
import { entitiesOf } from './parts.ts'
import {
  isLive,
  type Operation,
  type Outcome,
  operationsPrefix,
  padded,
  type RunState,
  type RunStatus,
} from './record.ts'
import type { RunFields } from './run.ts'

/** A run, as `list` shows it. Times in ms since 1970. */
export type Row = {
  readonly id: string
  readonly status: RunStatus
  readonly startedAt: number
  /** When it got its status. */
  readonly since: number
  /** The try of the whole run, from 1. */
  readonly attempt: number
  readonly error: KeptError | undefined
  /** The last value that the body has reported. */
  readonly progress: unknown
  /** The run that began it, as `type/id`, and the first one of its lineage. */
  readonly parent: string | undefined
  readonly root: string | undefined
  readonly correlation: string | undefined
  readonly priority: number | undefined
}

/** An operation of a run, as `steps` shows it. */
export type StepRow = {
  readonly key: string
  readonly kind: Operation['kind']
  /** How many tries have failed. */
  readonly tries: number
  readonly outcome: Outcome['kind'] | undefined
  /** The error of its outcome, or of its last try. */
  readonly error: KeptError | undefined
  /** When its row was written last, and when its timer fires or its next try begins. */
  readonly at: number
  readonly dueAt: number | undefined
  /** The run of a child, as `type/id`. */
  readonly child: string | undefined
}

/** A page. `cursor` continues after it (absent when `exhausted`). */
export type Page<T> = {
  readonly entries: readonly T[]
  readonly cursor?: string
  readonly exhausted: boolean
}

/** Which runs a page has. At most one of `status`, `parent`, `root` and `correlation`. */
export type ListOptions = {
  readonly type: Pick<Workflow, 'name' | 'sort'>
  readonly status?: RunStatus
  /** Runs that got their status from this time on, and before that time, in ms since 1970. */
  readonly since?: number
  readonly until?: number
  /** Runs that this one has begun, as `type/id`. */
  readonly parent?: string
  readonly root?: string
  readonly correlation?: string
  /**
   * By id. With the `status` of runs at rest, which are waiting or blocked or have ended, by `since`,
   * the time of the status.
   */
  readonly order?: 'asc' | 'desc'
  /** The most runs of a page; 100. A page may have fewer, and a cursor. */
  readonly limit?: number
  readonly cursor?: string
}

/**
 * A durable turn of a run: each change of its status, its progress, its operations and its signals
 * is one.
 */
export type RunChange = ChangePlace & {
  readonly id: string
  /** The run after the turn; `undefined`: it was removed. */
  readonly row: Row | undefined
}

/**
 * The changes of a watch: all of this holds for the run after its turn. A removal comes whatever the
 * run was.
 */
export type WatchFilter = WatchBegin &
  Pick<ListOptions, 'type' | 'status' | 'parent' | 'root' | 'correlation'> & {
    readonly id?: string
  }

/** The options of a page of operations. */
export type StepsOptions = { readonly limit?: number; readonly cursor?: string }

/** How many runs have each status. */
export type CountsOf = Readonly<Partial<Record<RunStatus, number>>>

type App = Pick<AppContext, 'entity'>

const runsOf = (app: App, type: Pick<Workflow, 'name' | 'sort'>) =>
  entitiesOf(app, 'workflow', workflowOf(type).name) as unknown as EntityHandle<
    unknown,
    RunState,
    RunFields
  >

/** One page of runs. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const listOf = (app: App, options: ListOptions): Page<Row> => {
  const checked = checkedOptions(options, argument('', 'a list'))
  const { type, since, until, ...others } = checked
  const { status, parent, root, correlation, ...page } = others
  const [first, ...more] = Object.entries({ status, parent, root, correlation }).filter(
    ([, value]) => value !== undefined,
  )
  if (more.length > 0)
    throw invalidArgument('options', 'one of status, parent, root and correlation', 'several')
  const where =
    status !== undefined && !isLive(status)
      ? { at: statusBetween(status, since, until) }
      : first && { [first[0]]: first[1] }
  const found = runsOf(app, type).list({ ...page, ...(where && { where }) } as object)
  const entries = found.entries.flatMap(({ id, state }) =>
    state && state.since >= since && state.since < until ? [rowOf(id, state)] : [],
  )
  return pageWith(found, entries)
}

/** The bounds of the index by which runs at rest are found that got a status in this time. */
export const statusBetween = (status: RunStatus, since: number, until: number) => ({
  gte: `${status}/${padded(Math.max(0, Math.ceil(since)))}`,
  lt: Number.isFinite(until) ? `${status}/${padded(Math.ceil(until))}` : `${status}0`,
})

const rowOf = (id: string, state: RunState): Row => {
  const { status, startedAt, since, attempt, error, progress, parent } = state
  const { root, correlation, priority } = state
  return {
    ...{ id, status, startedAt, since, attempt, error, progress, root, correlation, priority },
    parent: parent && `${parent.type}/${parent.id}`,
  }
}

/** One run; `undefined`: there is none of this id. */
export const runOf = (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Row | undefined => {
  const state = runsOf(app, type).state(id)
  return state && rowOf(id, state)
}

/** The changes of runs from now on, or from a position on. It listens when it returns. */
export const watchOf = (app: App, options: WatchFilter): AsyncIterableIterator<RunChange> => {
  const { type, from, signal, ...filter } = watchOptions(options, argument('', 'a watch'))
  const begin = { ...(from !== undefined && { from }), ...(signal && { signal }) }
  const turns = runsOf(app, type).watch(begin)
  const wanted = Object.entries(filter).filter(([, value]) => value !== undefined)
  const next = async (): Promise<IteratorResult<RunChange, undefined>> => {
    for (;;) {
      const turn = await turns.next()
      if (turn.done) return turn
      const { id, state, blocked, ...place } = turn.value
      const row = state && rowOf(id, state)
      const seen: Readonly<Record<string, unknown>> = row ?? { ...filter, id }
      const isWanted = !blocked && wanted.every(([name, value]) => seen[name] === value)
      if (isWanted) return { done: false, value: { id, row, ...place } }
    }
  }
  return {
    ...{ next, return: () => turns.return() },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** One page of the operations of a run. */
export const stepsOf = (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
  options: StepsOptions,
): Page<StepRow> => {
  const { limit, cursor } = pageOptions(options, argument('', 'a page'))
  const runs = runsOf(app, type)
  const state = runs.state(id)
  if (!state) return { entries: [], exhausted: true }
  const prefix = operationsPrefix(state.lap)
  const found = runs.rows(id).range({ prefix, limit, ...(cursor !== undefined && { cursor }) })
  const entries = found.entries.map(([, row]) => stepOf(row as Operation))
  return pageWith(found, entries)
}

const stepOf = ({ key, kind, tries = 0, ...row }: Operation): StepRow => {
  const { outcome, failure, at, dueAt, child } = row
  const error = outcome?.kind === 'error' ? outcome.error : failure
  return { ...{ key, kind, tries, error, at, dueAt, child }, outcome: outcome?.kind }
}

const pageWith = <T>(
  { cursor, exhausted }: { readonly cursor?: string | undefined; readonly exhausted: boolean },
  entries: readonly T[],
): Page<T> => ({ entries, exhausted, ...(cursor !== undefined && { cursor }) })

/** How many runs have each status. */
export const countsOf = async (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
): Promise<CountsOf> => Object.fromEntries(await runsOf(app, type).counts('status')) as CountsOf
