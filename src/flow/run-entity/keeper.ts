/**
 * The keeper of runs. At its start it wakes every run that is live, a few at a time, and later each
 * one that has lost its process without its end. It removes runs whose time of retention is over. A
 * copy of a folder that waits starts no tree, so it has no keeper.
 */
import { type Some, some } from '../../actors/index.ts'
import { backoffMs } from '../../clock.ts'
import { isKeelsonError, type KeptError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import {
  type AnyContext,
  type AppContext,
  type ChildSpec,
  call,
  type ExitReason,
  type GenServer,
  isOrderly,
  noReply,
  ok,
  worker,
} from '../../runtime/index.ts'
import { durableActors } from '../../supervisors/index.ts'
import { WaitingRuns } from '../judging/waiting-runs.ts'
import {
  type ListOptions,
  listOf,
  stateIn,
  statusBetween,
  type Unread,
  unreadIn,
} from '../looks/listing.ts'
import { atOnce, type Look } from '../looks/look.ts'
import type { Workflow } from '../runs/body.ts'
import type { RunMessages } from '../runs/messages.ts'
import { entitiesOf, runKind, schedulesKind } from '../runs/parts.ts'
import { type Awaited, liveStatuses, type RunState } from '../runs/record.ts'
import { isLacking } from '../runs/replaying.ts'
import { unreadRuns } from '../runs/unread-runs.ts'

type Messages = {
  casts: {
    /** The process of a run has ended by a failure. */
    ended: (run: Run) => void
    wake: (run: Run) => void
    /** The runs here may not all be awake. */
    wakeAll: () => void
    /** The shards in `opened` have come, or are open after they were down. */
    wakeOpened: () => void
    /** A kind has begun, or an entity is no longer blocked: live runs may have no process. */
    wakeRuns: () => void
    clean: () => void
  }
}

/** A run, or a schedule that was made at run time. */
type Run = { readonly kind: string; readonly id: string }

/** A schedule that starts nothing in this program. */
export type BrokenSchedule = {
  readonly schedule: string
  readonly reason: string
  /** The first of its times that started nothing, in ms since 1970. `undefined`: none has passed. */
  readonly since: number | undefined
}

type BrokenSchedules = (app: AppContext, now: number) => readonly BrokenSchedule[]

/** A queue, as runs wait in it. */
type Place = { readonly name: string; readonly takesRuns: boolean }

type Start = {
  readonly workflows: readonly Workflow[]
  readonly queues: readonly Place[]
  readonly broken: BrokenSchedules
}

type State = {
  readonly workflows: readonly Workflow[]
  /**
   * Of each run the failures in a row, until it has been quiet for long. In the order of the last ones,
   * whose times are of the monotonic clock.
   */
  readonly failures: Map<string, { count: number; at: number }>
  /** The shards here whose runs are to wake when they are open: they are down, or recover. */
  readonly left: Set<Shard>
  /** The shards for which `wakeOpened` is on its way: one pass is for all of them. */
  readonly opened: Set<number>
  /** `wakeRuns` is on its way. */
  readonly asked: { wakeRuns: boolean }
}

type Entities = AppContext[typeof durableActors]['entities']
type Shard = Entities['shards'][number]

/** The health of workflows, in `app.health().parts.flow`. */
export type FlowHealth = {
  /** Runs that do not go on until `retry` or `settle`, the oldest first: how many, 1,000 of a type at most. */
  readonly blocked: Some<StoppedRun>
  /** Runs that failed in the last ten minutes, the oldest first: how many, 100 of a type at most. */
  readonly failed: Some<StoppedRun>
  /**
   * Schedules made at run time that start nothing, because their workflow is not in the tree or the
   * tree has one of their name: how many, among the first 1,000. `since`: the first of its times that
   * passed so.
   */
  readonly schedules: Some<BrokenSchedule>
  /**
   * Runs that wait for a signal or an update for more than a minute, and have unread ones of other
   * names: how many, among the first 1,000.
   */
  readonly unread: Some<UnreadRun>
}

/** A run that waits for a signal or an update, and has unread ones of other names. */
export type UnreadRun = {
  /** `payment/7`. */
  readonly run: string
  readonly waitsFor: Awaited
  readonly unread: readonly Unread[]
  /** Since when it rests so, in ms since 1970, as seen since the start. */
  readonly since: number
}

/** A run that is blocked or has failed. */
export type StoppedRun = {
  /** `payment/7`. */
  readonly run: string
  readonly reason: string
  /** When it got this status, in ms since 1970. */
  readonly since: number
}

const failedMax = 100
const recentMs = 600_000

const flowHealth = (context: Keeping, { workflows, broken }: Start): FlowHealth => {
  // A member answers for its own shards.
  const app = within(context)
  const runsOf = (filter: Pick<ListOptions, 'status' | 'since' | 'limit'>): StoppedRun[] =>
    workflows
      .flatMap((type) =>
        atOnce(listOf(app, { type, order: 'oldest', ...filter })).entries.map(
          ({ id, error, since }) => ({
            run: `${type.name}/${id}`,
            since,
            // A run in these statuses has its error.
            reason: keptText(error as KeptError),
          }),
        ),
      )
      .sort((one, other) => one.since - other.since)
  const now = timeHere(context)
  const since = now - recentMs
  return {
    blocked: some(runsOf({ status: 'blocked', limit: removedMax })),
    failed: some(runsOf({ status: 'failed', since, limit: failedMax })),
    schedules: some(broken(app, now)),
    unread: unreadHealth(app, workflows, now),
  }
}

/** A signal that comes before its wait is read soon, as a rule. */
const unreadMs = 60_000
/** Of so many the signals are read. */
const unreadShown = 10

const unreadHealth = (
  app: AppContext,
  workflows: readonly Workflow[],
  now: number,
): FlowHealth['unread'] => {
  const types = new Map(workflows.map((type) => [type.name, type]))
  const { entities } = app[durableActors]
  const known = unreadRuns(entities, ({ type, id }) =>
    hereOnly(types.get(type), (found) => stateIn(app, found, id)),
  ).filter(({ since }) => now - since > unreadMs)
  const first = known.slice(0, unreadShown).flatMap(({ type, id, since }): readonly UnreadRun[] => {
    const found = hereOnly(types.get(type), (workflow) => unreadIn(app, workflow, id))
    const waitsFor = found?.state.waitsFor
    return waitsFor ? [{ run: `${type}/${id}`, waitsFor, unread: found.unread, since }] : []
  })
  return { count: known.length, first }
}

/** A look at a run here; `undefined`: another member has it, or its shard is not open. */
const hereOnly = <T>(
  type: Workflow | undefined,
  look: (type: Workflow) => Look<T | undefined>,
): T | undefined => {
  try {
    return type && atOnce(look(type))
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return undefined
  }
}

/** So many runs are removed at once. */
const removedMax = 1_000
/** So many runs are on their way to where they were at a time. */
const wakingMax = 32
/** A run that takes longer gives its place to another one. */
const placeMs = 250
/** So many runs of a workflow wake before those of another one. */
const pageMax = 64
const cleanEveryMs = 3_600_000
/** The first pass comes so soon: a program that starts more often than each hour removes runs too. */
const cleanFirstMs = 60_000
/** The pause after a pass that has not removed all, or could not list them. */
const againMs = 1_000
/** A run that fails again within this time waits longer. */
const quietMs = 300_000
const pauses = { baseMs: 1_000, maxMs: 60_000, jitter: 0.2 }

/** The keeper of these workflows, and of the schedules made at run time, as a part of the tree. */
export const keeperSpec = (
  workflows: readonly Workflow[],
  queues: readonly Place[],
  broken: BrokenSchedules,
): ChildSpec => worker('keeper', server, { workflows, queues, broken }, { label: 'keeper of runs' })

const server: GenServer<Messages, State, Start> = {
  kind: 'flow_keeper',
  init: (start, context) => {
    const { workflows } = start
    const kinds = new Set([...workflows.map(({ name }) => runKind(name)), schedulesKind])
    const own = context.to(context.self)
    const listener = ({ entity, reason }: { entity: string; reason: unknown }): void => {
      const [kind, id] = splitOnce(entity)
      if (kinds.has(kind) && !isOrderly(reason as ExitReason))
        context.cast(own, 'ended', { kind, id })
    }
    const events = context.system.events as unknown as Bus
    events.on('entity.ended', listener)
    const { entities } = (context.app as AppContext)[durableActors]
    const { reports } = entities
    reports.set('flow', () => flowHealth(context, start))
    const judge = new WaitingRuns(context.app as AppContext, workflows, start.queues)
    const unjudged = entities.judgement.judgedBy(
      judge,
      workflows.map(({ name }) => runKind(name)),
    )
    const left = new Set<Shard>()
    const opened = new Set<number>()
    const unlisten = onOpening(entities, left, (shard) => {
      if (opened.size === 0) context.cast(own, 'wakeOpened')
      opened.add(shard)
    })
    const asked = { wakeRuns: false }
    const forget = entities.onRuns(() => {
      if (asked.wakeRuns) return
      asked.wakeRuns = true
      context.cast(own, 'wakeRuns')
    })
    context.system.monitor(context.self, () => {
      unlisten()
      forget()
      events.removeListener('entity.ended', listener)
      reports.delete('flow')
      unjudged()
    })
    context.cast(own, 'wakeAll')
    context.castAfter(cleanFirstMs, 'clean')
    return ok({ workflows, failures: new Map(), left, opened, asked })
  },
  casts: {
    wakeAll: async (state, _, context) => {
      if (!(await isListed(wakeAll(context, state)))) context.castAfter(againMs, 'wakeAll')
      return noReply(state)
    },
    wakeOpened: async (state, _, context) => {
      const { opened } = state
      const shards = new Set(opened)
      opened.clear()
      if (await isListed(wakeAll(context, state, shards))) return noReply(state)
      if (opened.size === 0) context.castAfter(againMs, 'wakeOpened')
      for (const shard of shards) opened.add(shard)
      return noReply(state)
    },
    wakeRuns: async (state, _, context) => {
      state.asked.wakeRuns = false
      const lines = liveRuns(within(context), state)
      if (!(await isListed(wakeLines(context, lines, () => true))))
        context.castAfter(againMs, 'wakeRuns')
      return noReply(state)
    },
    ended: (state, run, context) => {
      const { failures } = state
      const key = `${run.kind}/${run.id}`
      const now = context.system.clock.monotonic()
      for (const [quiet, { at }] of failures) {
        if (now - at < quietMs) break
        failures.delete(quiet)
      }
      const count = (failures.get(key)?.count ?? 0) + 1
      // In the order of the last failures.
      failures.delete(key)
      failures.set(key, { count, at: now })
      const pauseMs = backoffMs(pauses, count, context.system.clock.random())
      context.castAfter(pauseMs, 'wake', run)
      return noReply(state)
    },
    wake: (state, { kind, id }, context) => {
      void wake(context, kind, id)
      return noReply(state)
    },
    clean: async (state, _, context) => {
      const isDone = await isListed(cleanAll(context, state))
      context.castAfter(isDone ? cleanEveryMs : againMs, 'clean')
      return noReply(state)
    },
  },
}

/** The part of the context of the keeper that the functions below need. */
type Keeping = Pick<AnyContext, 'app' | 'system' | 'now' | 'to'>

type Bus = {
  on(event: string, listener: (event: never) => void): void
  removeListener(event: string, listener: (event: never) => void): void
}

const splitOnce = (entity: string): readonly [kind: string, id: string] => {
  const at = entity.indexOf('/')
  return [entity.slice(0, at), entity.slice(at + 1)]
}

const runsOf = (context: Keeping, type: string) =>
  entitiesOf<RunMessages>(within(context), 'workflow', type)

/**
 * Calls `listener` when a shard has come to this member, or is open after it was down or in `left`: what could
 * not be listed or woken there can be now. A shard whose storage actors die and begin again keeps its actors.
 */
const onOpening = (
  entities: Entities,
  left: Set<Shard>,
  listener: (shard: number) => void,
): (() => void) => {
  const stops = entities.shards.map((shard) =>
    shard.onPhase(() => {
      if (shard.phase.kind === 'down') left.add(shard)
      else if (isOpen(shard) && left.delete(shard)) listener(shard.index)
    }),
  )
  const stop = entities.onArrival(({ index }) => listener(index))
  return () => {
    for (const each of [stop, ...stops]) each()
  }
}

const isOpen = ({ phase }: Shard): boolean => phase.kind === 'open'

/** The shards here, or some of them. */
const shardsHere = ({ app }: Keeping, only?: ReadonlySet<number>): readonly Shard[] =>
  (app as AppContext)[durableActors].entities.shardsHere.filter(
    ({ index }) => only === undefined || only.has(index),
  )

/**
 * The time of day of the shards here, which does not jump with a clock that is set: the earliest one,
 * while that is accepted in a part of them.
 */
const timeHere = (context: Keeping): number => {
  const times = shardsHere(context).map(({ time }) => time.wall())
  return times.length === 0 ? context.now() : Math.min(...times)
}

/** The app, with lists of those of `among` that are open. */
const within = (context: Keeping, among = shardsHere(context)): AppContext => {
  const app = context.app as AppContext
  const { entityIn } = app[durableActors]
  const shards = among.filter(isOpen)
  const entity = (kind: { readonly id: string } | string): unknown =>
    entityIn(typeof kind === 'string' ? kind : kind.id, shards)
  return { ...app, entity: entity as AppContext['entity'] }
}

/**
 * Whether `work` has done all. Its lists are refused while the lease of this member is not renewed, and
 * when a shard leaves or goes down between two pages.
 */
const isListed = async (work: Promise<boolean>): Promise<boolean> => {
  try {
    return await work
  } catch (error) {
    if (isKeelsonError(error)) return false
    throw error
  }
}

/** The entities of a kind that are to wake, in pages. `isAll`: awake ones too. */
type Line = { readonly kind: string; readonly ids: readonly string[]; readonly isAll?: boolean }

/** The entities of a kind that a query finds. A page is read when the one before it is done. */
function* pagesOf(app: AppContext, kind: string, query: object): Iterable<Line> {
  const found = app.entity(kind)
  let cursor: string | undefined
  do {
    const page = found.list({
      ...query,
      limit: pageMax,
      states: false,
      ...(cursor !== undefined && { cursor }),
    } as object)
    yield { kind, ids: page.entries.map(({ id }) => id) }
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** The runs of a workflow that are blocked because a program lacked a part of it. */
function* lackingRuns(app: AppContext, type: Workflow): Iterable<Line> {
  let cursor: string | undefined
  do {
    const options = { type, status: 'blocked', limit: pageMax, ...(cursor && { cursor }) } as const
    const page = atOnce(listOf(app, options))
    const ids = page.entries.filter(isLacking).map(({ id }) => id)
    // The process of a run stays for a while after its block.
    yield { kind: runKind(type.name), ids, isAll: true }
    cursor = page.cursor
  } while (cursor !== undefined)
}

/**
 * The runs that are live, of each workflow those first that changed longest ago; and the runs that
 * wait for a part of the program.
 */
const liveRuns = (app: AppContext, { workflows }: State): readonly Iterable<Line>[] => {
  const at = liveStatuses.map((status) => statusBetween(status, 0, Number.POSITIVE_INFINITY))
  return workflows.flatMap((type) => [
    ...at.map((each) => pagesOf(app, runKind(type.name), { where: { at: each } })),
    lackingRuns(app, type),
  ])
}

/** Wakes the runs that are live and the schedules, in the open shards here or in `opened`. */
const wakeAll = (context: Keeping, state: State, opened?: ReadonlySet<number>): Promise<true> => {
  const here = shardsHere(context, opened)
  for (const each of here) if (!isOpen(each)) state.left.add(each)
  const app = within(context, here)
  const lines = [...liveRuns(app, state), pagesOf(app, schedulesKind, {})]
  // A run may have been called while its shard was down, and sleep. A schedule may have found that its
  // workflow is not there, before the part of the tree with that.
  return wakeLines(context, lines, (kind) => opened === undefined && kind !== schedulesKind)
}

/**
 * Wakes the entities of all lines in turn. `skipsAwake`: one of this kind that is awake, or on its way,
 * is left out. The event loop turns between two of them, so a call of others waits for one and not for all.
 */
const wakeLines = async (
  context: Keeping,
  lines: readonly Iterable<Line>[],
  skipsAwake: (kind: string) => boolean,
): Promise<true> => {
  const { entities } = (context.app as AppContext)[durableActors]
  const { clock } = context.system
  const turned = (): Promise<void> => new Promise((resolve) => void clock.soon(resolve))
  const places = new Places(wakingMax)
  for (const { kind, ids, isAll } of inTurn(lines)) {
    for (const id of ids) {
      if (!isAll && skipsAwake(kind) && entities.holder(`${kind}/${id}`)) continue
      await places.take(wake(context, kind, id))
      await turned()
    }
    await turned()
  }
  await places.empty()
  return true
}

/**
 * Resolves when a run is where it was, or has not come there for long: so it holds up few others. One
 * that does not wake is listed by `blocked()` of its kind.
 */
const wake = async (context: Keeping, kind: string, id: string): Promise<void> => {
  const { app } = context
  const ref = context.to((app as AppContext).entity<Pick<RunMessages, 'calls'>>(kind).ref(id))
  await call(ref, 'wake', undefined, { timeoutMs: placeMs }).catch(() => undefined)
}

/** Removes runs of all workflows that ended long ago. False: there may be more. */
const cleanAll = async (context: Keeping, { workflows }: State): Promise<boolean> => {
  let isDone = true
  for (const workflow of workflows) isDone = (await clean(context, workflow)) && isDone
  return isDone
}

/**
 * Removes runs that ended long ago, at most 1,000 of each status. False: there may be more. A child
 * whose parent does not have its end yet stays. So does a run that has a process until the next
 * pass: a retry of it may be on its way.
 */
const clean = async (context: Keeping, { name, options }: Workflow): Promise<boolean> => {
  const runs = runsOf(context, name)
  const { entities } = (context.app as AppContext)[durableActors]
  const now = timeHere(context)
  let isDone = true
  for (const status of ['completed', 'failed', 'cancelled'] as const) {
    const where = { at: statusBetween(status, 0, now - options.keep[status]) }
    let cursor: string | undefined
    let removed = 0
    do {
      const page = runs.list({ where, limit: removedMax, ...(cursor && { cursor }) } as object)
      const over = page.entries.filter(
        ({ id, state }) =>
          mayGo(state as RunState | undefined) && !entities.holder(`${runKind(name)}/${id}`),
      )
      await Promise.all(over.map(({ id }) => runs.delete(id).catch(() => false)))
      removed += over.length
      cursor = page.cursor
    } while (cursor !== undefined && removed === 0)
    isDone &&= cursor === undefined
  }
  return isDone
}

const mayGo = (state: RunState | undefined): boolean =>
  !state?.parent || state.isParentNotified === true

// How it goes through many runs: which come next, and how many at a time.

/** One item of each line, then the next one of each, until all lines end: a short one waits for no long one. */
export function* inTurn<T>(lines: readonly Iterable<T>[]): Iterable<T> {
  let left = lines.map((line) => line[Symbol.iterator]())
  while (left.length > 0) {
    const longer: typeof left = []
    for (const line of left) {
      const { done, value } = line.next()
      if (done) continue
      longer.push(line)
      yield value
    }
    left = longer
  }
}

/** The places for work. */
export class Places {
  readonly #max: number
  #taken = 0
  #freed: (() => void) | undefined

  constructor(max: number) {
    this.#max = max
  }

  /** Begins a work at once, which never rejects. Resolves when there is a place for another one. */
  async take(work: Promise<void>): Promise<void> {
    this.#taken++
    void work.then(() => {
      this.#taken--
      this.#freed?.()
    })
    await this.#until(this.#max - 1)
  }

  /** Resolves when all work has ended. */
  empty(): Promise<void> {
    return this.#until(0)
  }

  /** One caller at a time. */
  async #until(taken: number): Promise<void> {
    while (this.#taken > taken)
      await new Promise<void>((resolve) => {
        this.#freed = resolve
      })
  }
}
