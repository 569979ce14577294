/**
 * Looks at runs: pages of them, their changes, their operations, and counts. They read rows and wake
 * no run.
 */
import type {
  ChangePlace,
  EntityHandle,
  RowsOptions,
  RowsPage,
  WatchBegin,
} from '../../actors/index.ts'
import { plainJson } from '../../bytes/json.ts'
import { argument } from '../../check.ts'
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  keptError,
} from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { compareKeys } from '../../storage/index.ts'
import type { AppContext } from '../../supervisors/index.ts'
import {
  type Attributes,
  areIn,
  attributeBetween,
  attributeField,
} from '../attributes/attributes.ts'
import type { Where, Workflow } from '../runs/body.ts'
import type { EnteringRun } from '../runs/messages.ts'
import {
  listOptions as checkedOptions,
  stepsOptions,
  watchOptions,
  workflowOf,
} from '../runs/options.ts'
import { entitiesOf } from '../runs/parts.ts'
import {
  type Awaited,
  isLive,
  isOver,
  type Operation,
  operationsPrefix,
  padded,
  type RunFields,
  type RunState,
  type RunStatus,
  runStatuses,
  unreadOf,
  unreadPrefix,
  valueKey,
} from '../runs/record.ts'
import { ask, type Look } from './look.ts'
import { isApart, type StepRow, stepOf } from './step-row.ts'

export type { StepRow } from './step-row.ts'

/** A run, as `list` shows it. Times in ms since 1970. */
export type Row = {
  readonly id: string
  readonly status: RunStatus
  readonly startedAt: number
  /** When it got its status. */
  readonly since: number
  /** The try of the whole run, from 1. */
  readonly attempt: number
  /** Why it has ended or is blocked; of a run that goes on that of its last failure. */
  readonly error: KeptError | undefined
  /** The event that it waits for, while it is `waiting`. */
  readonly waitsFor: Awaited | undefined
  /** The last value that the body has reported. */
  readonly progress: unknown
  /** The run that began it, as `type/id`, and the first one of its lineage. */
  readonly parent: string | undefined
  readonly root: string | undefined
  readonly correlation: string | undefined
  /** The values by which `where` finds it; `undefined`: it has none. */
  readonly attributes: Attributes | undefined
  readonly priority: number | undefined
  /** The run that it was forked from, as `type/id`. */
  readonly forkedFrom: string | undefined
}

/** Signals or updates of one name that have come, and that the body has not read. */
export type Unread = {
  readonly kind: 'signal' | 'update'
  readonly name: string
  readonly count: number
}

/**
 * One run with its input and its output, each of which may be a `LargeValue`. `output` is `undefined`
 * until the run is `completed`. `unread`: a body that waits for another name never reads these.
 */
export type RunLook = Row & {
  readonly input: unknown
  readonly output: unknown
  readonly unread: readonly Unread[]
}

/** A run of a list that shows inputs or outputs: the fields that `show` names. */
export type ListedRun = Row & Partial<Pick<RunLook, 'input' | 'output'>>

/** A page. `cursor` continues after it (absent when `exhausted`). */
export type Page<T> = {
  readonly entries: readonly T[]
  readonly cursor?: string
  readonly exhausted: boolean
}

/** The order of a page. */
type Order = 'newest' | 'oldest' | 'id'

/**
 * Which runs a page has. At most one of `status`, `parent`, `root`, `correlation` and `where`; `status`
 * may be in `where`.
 */
export type ListOptions = {
  readonly type: Pick<Workflow, 'name' | 'sort'>
  readonly status?: RunStatus
  /**
   * Runs with all of these attributes. The index of the first attribute is walked through, and the other
   * conditions filter: a page looks at 1,000 runs at most, or at `limit`, and may have fewer.
   */
  readonly where?: Where
  /** Runs that got their status from this time on, and before that time, in ms since 1970. */
  readonly since?: number
  readonly until?: number
  /** Runs that this one has begun, as `type/id`. */
  readonly parent?: string
  readonly root?: string
  readonly correlation?: string
  /**
   * By the last change of status, the `newest` first or the `oldest`; or by `id`, without `status`.
   * `newest` by default. With `parent`, `root` and `correlation` always by `id`.
   */
  readonly order?: Order
  /** The most runs of a page; 100. A page may have fewer, and a cursor. */
  readonly limit?: number
  readonly cursor?: string
  /** The values that each row has, too. A list reads a row more for each of them. */
  readonly show?: readonly ('input' | 'output')[]
}

/**
 * A durable turn of a run: each change of its status, its progress, its operations and its signals
 * is one.
 */
export type RunChange = ChangePlace & {
  readonly id: string
  /** The run after the turn; `undefined`: it was removed. */
  readonly row: Row | undefined
  /**
   * With `where`: it held for the run, and does not after this turn, or the run was removed. While
   * `catchingUp` it may come for a run for which `where` did not hold.
   */
  readonly left?: true
}

/** A running watch of runs. End it with `return`, or leave the `for await` loop. */
export type RunWatch = AsyncIterableIterator<RunChange> & {
  /**
   * Resolves with a position of each shard, when all their owners have answered: the watch gives every
   * change from there on, and no earlier one. A `page` that is read after that has every earlier one.
   */
  readonly ready: Promise<ChangePlace['next']>
}

/**
 * The changes of a watch: all of this holds for the run after its turn. A removal comes whatever the
 * run was. With `where`, which `status` is in then, a turn after which it does not hold any longer comes
 * once, with `left`, and only a run for which it held is said to be removed.
 */
export type WatchFilter = WatchBegin &
  Pick<ListOptions, 'type' | 'status' | 'where' | 'parent' | 'root' | 'correlation'> & {
    readonly id?: string
  }

/** The options of a page of operations. `reverse`: the last ones come first. */
export type StepsOptions = {
  readonly limit?: number
  readonly cursor?: string
  readonly reverse?: boolean
}

/** How many runs have each status. */
export type CountsOf = Readonly<Record<RunStatus, number>>

type Runs = ReturnType<typeof runsOf>

type CheckedWhere = NonNullable<ReturnType<typeof watchOptions>['where']>

type App = Pick<AppContext, 'entity'>

const runsOf = (app: App, type: Pick<Workflow, 'name' | 'sort'>) =>
  entitiesOf(app, 'workflow', workflowOf(type).name) as unknown as EntityHandle<
    unknown,
    RunState,
    RunFields
  >

/** One page of runs. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export function* listOf(app: App, options: ListOptions): Look<Page<ListedRun>> {
  const checked = checkedOptions(options, argument('', 'a list'))
  const { type, parent, root, correlation, where, order, show = [], ...others } = checked
  const { limit = 100, status = where?.status, ...rest } = others
  const runs = runsOf(app, type)
  const named = Object.entries({ parent, root, correlation }).filter(isGiven)
  if ([...named, checked.status, where].filter((each) => each !== undefined).length > 1)
    throw invalidArgument('options', `one of ${choices.join(', ')}`, 'several')
  const isById = order === 'id' || (order === undefined && named.length > 0)
  if (isById && (status !== undefined || where))
    throw invalidArgument('order', `newest or oldest with ${where ? 'where' : 'status'}`, order)
  if (!isById && named.length > 0) throw invalidArgument('order', `id with ${named[0]?.[0]}`, order)
  const wanted = { ...rest, limit }
  const found = isById
    ? yield* pageById(runs, named, wanted)
    : yield* pageByTime(
        runs,
        walkOf(status, where?.attributes),
        order === 'oldest' ? 'asc' : 'desc',
        wanted,
      )
  const entries: ListedRun[] = []
  for (const { id, state } of found.entries) {
    const row = yield* lookOf(runs, id, state)
    entries.push({ ...row, ...(yield* valuesOf(runs, id, show)) })
  }
  return pageWith(found, entries)
}

/** The options of which a list has at most one. */
const choices = ['status', 'parent', 'root', 'correlation', 'where'] as const

const isGiven = ([, value]: readonly [string, unknown]): boolean => value !== undefined

/** So many of its last operations are searched for a step that fails. */
const lastOperations = 20

/** A row with the error of a step that fails. */
function* lookOf(runs: Runs, id: string, state: RunState): Look<Row> {
  const row = rowOf(id, state)
  if (row.error || !(isLive(state.status) || row.waitsFor?.error)) return row
  if (row.waitsFor?.error) return { ...row, error: row.waitsFor.error }
  const range = { prefix: operationsPrefix(state.lap), reverse: true, limit: lastOperations }
  const { entries } = yield* rowsOf(runs, id, range)
  const found = entries.map(([, operation]) => operation as Operation)
  return { ...row, error: found.find(({ outcome, failure }) => !outcome && failure)?.failure }
}

const rowOf = (id: string, state: RunState): Row => {
  const { status, startedAt, since, attempt, error, progress, parent } = state
  const { root, correlation, attributes, priority } = state
  return {
    id,
    status,
    startedAt,
    since,
    attempt,
    error,
    progress,
    root,
    correlation,
    attributes,
    priority,
    parent: parent && `${parent.type}/${parent.id}`,
    forkedFrom: state.fork?.run,
    waitsFor: status === 'waiting' ? state.waitsFor : undefined,
  }
}

function* rowsOf(runs: Runs, id: string, range: RowsOptions): Look<RowsPage> {
  const rows = runs.rows(id)
  return yield* ask(
    () => rows.range(range),
    () => rows.page(range),
  )
}

function* stateOf(runs: Runs, id: string): Look<RunState | undefined> {
  return yield* ask(
    () => runs.state(id),
    () => runs.load(id),
  )
}

/** One run; `undefined`: there is none of this id. */
export function* runOf(
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Look<RunLook | undefined> {
  const runs = runsOf(app, type)
  const state = yield* stateOf(runs, id)
  if (!state) return undefined
  const { input, output } = yield* valuesOf(runs, id, ['input', 'output'])
  const unread = state.unread === 0 ? [] : yield* unreadOfRun(runs, id)
  return { ...(yield* lookOf(runs, id, state)), input, output, unread }
}

/** The state of a run, and its unread signals and updates. */
export function* unreadIn(
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Look<{ readonly state: RunState; readonly unread: readonly Unread[] } | undefined> {
  const runs = runsOf(app, type)
  const state = yield* stateOf(runs, id)
  return state && { state, unread: yield* unreadOfRun(runs, id) }
}

/** The state of a run; `undefined`: there is none of this id. */
export const stateIn = (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Look<RunState | undefined> => stateOf(runsOf(app, type), id)

/**
 * The unread signals and updates of a run by their names. It has at most 1,000. They end at one that
 * cannot be read: a body that comes to it blocks the run, and names it.
 */
function* unreadOfRun(runs: Runs, id: string): Look<readonly Unread[]> {
  const counts = new Map<string, Unread>()
  let cursor: string | undefined
  try {
    do {
      const found = yield* rowsOf(runs, id, { prefix: unreadPrefix, ...(cursor && { cursor }) })
      for (const [key] of found.entries) {
        const { kind, name } = unreadOf(key)
        const { count } = counts.get(`${kind} ${name}`) ?? { count: 0 }
        counts.set(`${kind} ${name}`, { kind, name, count: count + 1 })
      }
      cursor = found.cursor
    } while (cursor !== undefined)
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
  }
  return [...counts.values()]
}

function* valuesOf(
  runs: Runs,
  id: string,
  show: NonNullable<ListOptions['show']>,
): Look<Partial<Pick<RunLook, 'input' | 'output'>>> {
  const values: [string, unknown][] = []
  for (const name of show) values.push([name, yield* valueAt(runs, id, name)])
  return Object.fromEntries(values)
}

/** A run as the queue knows it in which it waits; `undefined`: it does not wait in a queue. */
export const waitingOf = async (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Promise<(EnteringRun & { readonly queue: string }) | undefined> => {
  const { status, waitsFor, queueKey: key, priority } = (await runsOf(app, type).load(id)) ?? {}
  if (status !== 'waiting' || waitsFor?.kind !== 'queue') return undefined
  return { queue: waitsFor.name as string, run: `${type.name}/${id}`, key, priority }
}

/** The queue in which a run waits, or from which it has begun, and whether it is over. */
export const queueOfRun = async (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
): Promise<{ readonly queue: unknown; readonly isOver: boolean } | undefined> => {
  const state = await runsOf(app, type).load(id)
  if (!state) return undefined
  const { status, waitsFor, queue } = state
  return { queue: waitsFor?.kind === 'queue' ? waitsFor.name : queue, isOver: isOver(status) }
}

/** The value of a row of a run. One that cannot be read is the reason for that. */
function* valueAt(runs: Runs, id: string, key: string): Look<unknown> {
  try {
    return (yield* rowsOf(runs, id, { gte: key, lte: key, limit: 1 })).entries[0]?.[1]
  } catch (error) {
    return keptError(error)
  }
}

/** The changes of runs from now on, or from a position on. It listens when it returns. */
export const watchOf = (app: App, options: WatchFilter): RunWatch => {
  const { type, from, signal, where, ...filter } = watchOptions(options, argument('', 'a watch'))
  if (where && filter.status !== undefined)
    throw invalidArgument('options', 'status in where, or one of status and where', 'both')
  const fields = where && fieldsOf(where)
  const begin = { from, signal, where: fields } as WatchBegin
  const turns = runsOf(app, type).watch(begin)
  const wanted = Object.entries(filter)
  const next = async (): Promise<IteratorResult<RunChange, undefined>> => {
    for (;;) {
      const turn = await turns.next()
      if (turn.done) return turn
      const { id, state, blocked, left, ...place } = turn.value
      const row = state && rowOf(id, state)
      const seen: Readonly<Record<string, unknown>> = row ?? { ...filter, id }
      const isWanted = !blocked && wanted.every(([name, value]) => seen[name] === value)
      if (isWanted) return { done: false, value: { id, row, ...(left && { left }), ...place } }
    }
  }
  return {
    next,
    return: () => turns.return(),
    get ready() {
      return turns.ready
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** Conditions on fields of the index that say the same as `where`; `undefined`: it has none. */
const fieldsOf = ({ status, attributes = {} }: CheckedWhere): object | undefined => {
  const [since, until] = [0, Number.POSITIVE_INFINITY]
  const all = Object.entries(attributes).map(([name, value]) => [
    attributeField(name),
    attributeBetween(value, timeText(since), undefined),
  ])
  if (status !== undefined) all.push(['at', statusBetween(status, since, until)])
  return all.length === 0 ? undefined : Object.fromEntries(all)
}

/** One page of the operations of a run. */
export function* stepsOf(
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
  id: string,
  options: StepsOptions = noOptions,
): Look<Page<StepRow>> {
  const { limit, cursor, reverse } = stepsOptions(options, argument('', 'a page'))
  const runs = runsOf(app, type)
  const state = yield* stateOf(runs, id)
  if (!state) return { entries: [], exhausted: true }
  const prefix = operationsPrefix(state.lap)
  const range = { prefix, limit, reverse, ...(cursor !== undefined && { cursor }) }
  const found = yield* rowsOf(runs, id, range)
  const entries: StepRow[] = []
  for (const [place, row] of found.entries) {
    const step = stepOf(row as Operation)
    const key = valueKey(state.lap, Number(place.slice(prefix.length)))
    const isHere = !isApart(row as Operation)
    entries.push(isHere ? step : { ...step, value: yield* valueAt(runs, id, key) })
  }
  return pageWith(found, entries)
}

const pageWith = <T>(
  { cursor, exhausted }: { readonly cursor?: string | undefined; readonly exhausted: boolean },
  entries: readonly T[],
): Page<T> => ({ entries, exhausted, ...(cursor !== undefined && { cursor }) })

/** How many runs have each status. Running ones are the rest: no counter has them. */
export const countsOf = async (
  app: App,
  type: Pick<Workflow, 'name' | 'sort'>,
): Promise<CountsOf> => {
  const runs = runsOf(app, type)
  const [counted, all] = await Promise.all([runs.counts('status'), runs.count()])
  const running = [...counted.values()].reduce((rest, count) => rest - count, all)
  const countOf = (status: RunStatus): number =>
    status === 'running' ? Math.max(0, running) : (counted.get(status) ?? 0)
  return Object.fromEntries(runStatuses.map((each) => [each, countOf(each)])) as CountsOf
}

/** The bounds of the index by which runs are found that got a status in this time. */
export const statusBetween = (status: RunStatus, since: number, until: number) => ({
  gte: `${status}/${timeText(since)}`,
  lt: Number.isFinite(until) ? `${status}/${timeText(until)}` : `${status}0`,
})

const timeText = (ms: number): string => padded(Math.max(0, Math.ceil(ms)))

type Found = { readonly id: string; readonly state: RunState }
type Wanted = {
  readonly since: number
  readonly until: number
  readonly limit: number
  readonly cursor?: string | undefined
}

/** A page, and the cursor after it. */
type FoundPage = {
  readonly entries: readonly Found[]
  readonly cursor?: string | undefined
  readonly exhausted: boolean
}

function* pageById(
  runs: Runs,
  named: readonly (readonly [string, unknown])[],
  { since, until, limit, cursor }: Wanted,
): Look<FoundPage> {
  const where = named.length > 0 ? { where: Object.fromEntries(named) } : {}
  const found = yield* pageOf(runs, { ...where, limit }, cursor)
  const isWithin = ({ state }: Found): boolean => state.since >= since && state.since < until
  return { ...found, entries: found.entries.filter(isWithin) }
}

type Direction = 'asc' | 'desc'

/** An index in the order of time: the condition for runs that got their status in this time. */
type TimeIndex = { readonly name: string; readonly where: (since: number, until: number) => object }

/** The indexes that a page goes through, and which of their runs it has; without `isWanted` all. */
type Walk = {
  readonly indexes: readonly TimeIndex[]
  readonly isWanted?: (run: Found) => boolean
}

/** The index of the first attribute; without attributes that of the status, or of each. */
const walkOf = (status: RunStatus | undefined, attributes: Attributes | undefined): Walk => {
  const [first] = Object.entries(attributes ?? {})
  if (!attributes || !first) return { indexes: (status ? [status] : runStatuses).map(statusIndex) }
  const [name, value] = first
  const field = attributeField(name)
  const where = (since: number, until: number): object => {
    const end = Number.isFinite(until) ? timeText(until) : undefined
    return { [field]: attributeBetween(value, timeText(since), end) }
  }
  const isWanted = ({ state }: Found): boolean =>
    areIn(attributes, state.attributes) && (status === undefined || state.status === status)
  return { indexes: [{ name: field, where }], isWanted }
}

const statusIndex = (status: RunStatus): TimeIndex => ({
  name: status,
  where: (since, until) => ({ at: statusBetween(status, since, until) }),
})

/** The place after a page by time: after this run, and by index where it goes on. */
type Place = { readonly after?: readonly [since: number, id: string]; readonly cursors: Cursors }

/** By index the cursor of the page that has the next run; `false`: there is none. */
type Cursors = Readonly<Partial<Record<string, string | false>>>

/** Runs in the order of a page, and the place after them; `undefined`: no run comes after them. */
type Merged = { readonly entries: readonly Found[]; readonly next: Place | undefined }

/** A page that chooses among the runs of its index looks at so many. */
const looksMax = 1_000

/** It reads at least so many in one go. */
const looksAtOnce = 100

/**
 * One page by the last change of status. It is merged from indexes, so it reads no more than a page of
 * each; a page that chooses among their runs ends after so many looks. @throws KeelsonError `BAD_CURSOR`
 */
function* pageByTime(
  runs: Runs,
  { indexes, isWanted }: Walk,
  direction: Direction,
  wanted: Wanted,
): Look<FoundPage> {
  const { cursor, limit } = wanted
  let entries: readonly Found[] = []
  let looksLeft = Math.max(limit, looksMax)
  let next: Place | undefined = cursor === undefined ? { cursors: {} } : placeOf(cursor)
  while (next !== undefined && entries.length < limit && (!isWanted || looksLeft > 0)) {
    const place: Place = next
    const missing = limit - entries.length
    const of = { ...wanted, limit: isWanted ? looksAt(missing, looksLeft) : missing }
    looksLeft -= of.limit
    const streams: Stream[] = []
    for (const index of indexes) streams.push(yield* streamOf(runs, index, direction, place, of))
    const merged = mergedOf(streams, byTime(direction), place, (all) =>
      isWanted ? throughLast(all, missing, isWanted) : all.slice(0, missing),
    )
    const found = isWanted ? merged.entries.filter(isWanted) : merged.entries
    entries = lastOfEach([...entries, ...found])
    next = merged.next
  }
  if (next === undefined) return { entries, exhausted: true }
  return { entries, exhausted: false, cursor: textOf(next) }
}

const looksAt = (missing: number, left: number): number =>
  Math.min(left, Math.max(missing, looksAtOnce))

/** The runs up to the last one that is wanted, of so many; all, if there are fewer. */
const throughLast = (
  all: readonly Found[],
  count: number,
  isWanted: (run: Found) => boolean,
): readonly Found[] => {
  let found = 0
  const last = all.findIndex((run) => isWanted(run) && ++found === count)
  return last < 0 ? all : all.slice(0, last + 1)
}

const mergedOf = (
  streams: readonly Stream[],
  inOrder: Compare,
  { after, cursors }: Place,
  chosen: (all: readonly Found[]) => readonly Found[],
): Merged => {
  const all = lastOfEach(streams.flatMap(({ left }) => left)).sort(inOrder)
  // A run that comes after the end of a page that goes on may not be the next one.
  const ends = streams.flatMap(({ left, more }) => (more === undefined ? [] : [left.at(-1)]))
  const isNext = (run: Found): boolean =>
    ends.every((end) => end !== undefined && inOrder(run, end) <= 0)
  const entries = chosen(all.filter(isNext))
  if (all.length === entries.length && ends.length === 0) return { entries, next: undefined }
  const last = entries.at(-1)
  const next: [string, string | false][] = streams.flatMap(({ name, left, more }) => {
    const end = left.at(-1)
    if (end !== undefined && (!last || inOrder(end, last) > 0)) return kept(name, cursors)
    return [[name, more ?? false]]
  })
  const from = last ? ([last.state.since, last.id] as const) : after
  return { entries, next: { cursors: Object.fromEntries(next), ...(from && { after: from }) } }
}

/** Each run once: one that got another status between the reads of two indexes is in both. */
const lastOfEach = (runs: readonly Found[]): Found[] => {
  const last = new Map<string, Found>()
  for (const run of runs) {
    const known = last.get(run.id)
    if (!known || known.state.since <= run.state.since) last.set(run.id, run)
  }
  return [...last.values()]
}

/** The page of its present cursor still has a run to give. */
const kept = (name: string, cursors: Cursors): [string, string | false][] => {
  const cursor = ownOf(cursors, name)
  return cursor === undefined ? [] : [[name, cursor]]
}

type Stream = {
  readonly name: string
  readonly left: readonly Found[]
  readonly more: string | undefined
}

/** The runs of an index that come after the place, of one page of it. */
function* streamOf(
  runs: Runs,
  { name, where }: TimeIndex,
  order: Direction,
  { after, cursors }: Place,
  { since, until, limit }: Wanted,
): Look<Stream> {
  const cursor = ownOf(cursors, name)
  if (cursor === false) return { name, left: [], more: undefined }
  const found = yield* pageOf(runs, { where: where(since, until), order, limit }, cursor)
  const place = after && { id: after[1], state: { since: after[0] } }
  const left = found.entries.filter((run) => !place || byTime(order)(run, place) > 0)
  return { name, left, more: found.cursor }
}

type Ordered = { readonly id: string; readonly state: Pick<RunState, 'since'> }

type Compare = (one: Ordered, other: Ordered) => number

/** In the order of the index. */
const byTime =
  (direction: Direction): Compare =>
  (one, other) => {
    const by = one.state.since - other.state.since || compareKeys(one.id, other.id)
    return direction === 'asc' ? by : -by
  }

function* pageOf(runs: Runs, query: object, cursor: string | undefined): Look<FoundPage> {
  const options = { ...query, ...(cursor !== undefined && { cursor }) } as object
  const found = yield* ask(
    () => runs.list(options),
    () => runs.page(options),
  )
  const entries = found.entries.flatMap(({ id, state }) => (state ? [{ id, state }] : []))
  return { entries, cursor: found.cursor, exhausted: found.exhausted }
}

const textOf = (place: Place): string => Buffer.from(plainJson(place)).toString('base64url')

const placeOf = (cursor: string): Place => {
  try {
    const place: Place | null = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (place && 'cursors' in place) return place
  } catch {}
  throw new KeelsonError('BAD_CURSOR', 'the cursor is of no page of runs')
}
