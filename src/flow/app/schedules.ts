/** `flow(app).schedules`: makes schedules at run time, acts on them and on those of the tree. */

import { argument, object, optional, or, readOptions, refusal } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, type Ref } from '../../runtime/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import { type Attributes, attributes } from '../attributes/attributes.ts'
import type { Page } from '../looks/listing.ts'
import { ask, atOnce, everywhere, type Look } from '../looks/look.ts'
import type { BrokenSchedule } from '../run-entity/keeper.ts'
import type { Workflow } from '../runs/body.ts'
import { exactly, missed, overlap, pageOptions, shortText, workflowOf } from '../runs/options.ts'
import {
  answerOf,
  entitiesOf,
  isInTree,
  runKind,
  scheduleId,
  scheduleKind,
  schedulesKind,
} from '../runs/parts.ts'
import { encoded, type Input, inputOf } from '../runs/values.ts'
import { cronPattern, timeZone } from '../schedule/cron.ts'
import { brokenBy, type ScheduleMessages } from '../schedule/schedule-entity.ts'
import type {
  Declared,
  Missed,
  Overlap,
  Plan,
  Scheduled,
  ScheduleOptions,
} from '../schedule/schedule-plan.ts'
import { KnownZones } from '../schedule/zone-offsets.ts'
import { inputFor } from './run-handle.ts'

/** A schedule. Times in ms since 1970. */
export type ScheduleRow = {
  readonly name: string
  readonly cron: string
  readonly zone: string
  readonly missed: Missed
  readonly overlap: Overlap
  /** The name of the workflow whose runs it starts. */
  readonly workflow: string
  /** The input of its runs, in a list. `undefined`: each gets its time. */
  readonly input: readonly [input?: unknown] | undefined
  /** The attributes of its runs; `undefined`: they have none. */
  readonly attributes: Attributes | undefined
  /** It is declared in the tree: it can be paused and triggered, and is changed there. */
  readonly isOfTree: boolean
  readonly isPaused: boolean
  /** Why it starts nothing in this program; `undefined`: it does. */
  readonly broken: string | undefined
  /** Its next time; `undefined`: there is none, or it is paused or broken. */
  readonly next: number | undefined
  /** The id of the run that goes on. With `overlap: 'allow'` none is noted. */
  readonly running: string | undefined
  /** The id of the run that was started last, and its workflow, which a change may have replaced. */
  readonly last: { readonly type: string; readonly id: string } | undefined
  /** How many runs have to start. */
  readonly waiting: number
  /** How many times were left out: of the times in one rest 2,000 at most count. */
  readonly skipped: number
}

/** The changes of a schedule that was made at run time. An option that is left out stays as it is. */
export type ScheduleChanges = ScheduleOptions & {
  readonly cron?: string
  readonly input?: unknown
}

/** A run that was triggered. `waits`: it has not started, and does when it may. */
export type TriggeredRun = { readonly id: string; readonly waits: boolean }

type App = Pick<AppContext, 'entity'>

/** The most bytes of the input of a schedule: its row has it. */
const inputBytesMax = 64 * 1024

const name = (given: unknown): string => {
  const found = shortText(given, argument('name'))
  if (Buffer.byteLength(found) <= 128 && !/[{}/]/.test(found)) return found
  throw refusal(argument('name'), 'at most 128 bytes, without {, } and /', given)
}

const anyInput = (found: unknown): unknown => found

const createOptions = object({
  zone: or(timeZone, 'UTC'),
  missed: or(missed, 'one'),
  overlap: or(overlap, 'skip'),
  input: anyInput,
  attributes: optional(attributes),
})

const changeOptions = object({
  cron: optional(cronPattern),
  zone: optional(timeZone),
  missed: optional(missed),
  overlap: optional(overlap),
  input: anyInput,
  attributes: optional(attributes),
})

const createNames = ['zone', 'missed', 'overlap', 'input', 'attributes']
const changeNames = ['cron', ...createNames]

/** The schedules of an instance. */
export class Schedules {
  readonly #app: App

  /** @internal For `flow(app).schedules`. */
  constructor(app: App) {
    this.#app = app
  }

  /**
   * Makes a schedule that starts runs of a workflow of the tree, and answers when that is durable. It
   * stays over restarts and new programs, until `delete`. Its pattern and options are those of
   * `schedule`; with `input` its runs get that one, and not their times. `repeated`: the same
   * schedule was there. A program without the workflow starts no run of it, and says so in `list`
   * and in the health.
   * @throws KeelsonError `CONFLICT` if the tree has a schedule of this name, or another one was made;
   * `INVALID_ARGUMENT`; `TOO_LARGE` for an input of more than 64 KiB; `NO_SPACE`, `BUSY`,
   * `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  create<O, S>(
    name: string,
    cron: string,
    workflow: Workflow<Scheduled, O, S>,
    options?: ScheduleOptions,
  ): Promise<{ readonly repeated: boolean }>
  create<I, O, S>(
    name: string,
    cron: string,
    workflow: Workflow<I, O, S>,
    options: ScheduleOptions & { readonly input: I },
  ): Promise<{ readonly repeated: boolean }>
  async create(
    given: string,
    pattern: string,
    workflow: Pick<Workflow, 'name' | 'sort'>,
    options: ScheduleOptions & { readonly input?: unknown } = noOptions,
    ...surplus: []
  ): Promise<{ readonly repeated: boolean }> {
    exactly('create(name, cron, workflow, { zone, input, … })', surplus)
    const at = argument('', 'a schedule')
    const own = readOptions(options, createNames, at)
    const { input: _, attributes, ...checked } = createOptions(own, at)
    const cron = cronPattern(pattern, argument('cron'))
    const { name: type } = workflowOf(workflow)
    const ref = this.#made(name(given), 'made')
    entitiesOf(this.#app, 'workflow', type)
    const input = inputIn(own, (input) => inputFor(this.#app, workflow, input))
    const declared: Declared = {
      cron,
      ...checked,
      workflow: type,
      ...input,
      ...(attributes && { attributes }),
    }
    return answerOf(this.#app, { schedule: given }, call(ref, 'create', declared))
  }

  /**
   * Changes a schedule that was made at run time; `attributes: {}` removes them. A new pattern or zone
   * counts from now on, and so do `missed` and `overlap`: times that have passed are decided by the old
   * ones.
   * @throws KeelsonError `CONFLICT` if there is none, or if the tree declares it: it is changed there;
   * `INVALID_ARGUMENT`, also for no change; `TOO_LARGE` for an input of more than 64 KiB
   */
  async change(given: string, changes: ScheduleChanges, ...surplus: []): Promise<void> {
    exactly('change(name, { cron, zone, input, … })', surplus)
    const at = argument('', 'a change')
    const own = readOptions(changes, changeNames, at)
    const { input: _, attributes: asked, ...checked } = changeOptions(own, at)
    const attributes = own.attributes === undefined ? {} : { attributes: asked ?? {} }
    if (Object.keys({ ...checked, ...attributes }).length === 0 && !('input' in own))
      throw refusal(argument('changes'), 'a cron pattern or an option', 'none')
    const ref = this.#made(name(given), 'changed')
    const plan =
      'input' in own ? await this.#app.entity<unknown, Plan>(schedulesKind).load(given) : undefined
    const input = inputIn(own, (input) => this.#inputOf(plan, input))
    const changed = { ...checked, ...attributes, ...input } as Partial<Declared>
    await answerOf(this.#app, { schedule: given }, call(ref, 'change', changed))
  }

  /**
   * Lets a schedule start no run by its times, until `resume`, over restarts too. A run that goes on
   * is left alone. Answers when that is durable. @throws KeelsonError `CONFLICT` if there is none
   */
  async pause(given: string, ...surplus: []): Promise<void> {
    exactly('pause(name)', surplus)
    return this.#pause(given, true)
  }

  /**
   * Lets a paused schedule go on with its next time. Times that passed in the pause are not made
   * good. @throws KeelsonError `CONFLICT` if there is none
   */
  async resume(given: string, ...surplus: []): Promise<void> {
    exactly('resume(name)', surplus)
    return this.#pause(given, false)
  }

  /**
   * Starts a run of a schedule now, also of a paused one, and answers its id when it has started.
   * With `overlap: 'queue'` it waits for the end of the run that goes on: `waits`.
   * @throws KeelsonError `CONFLICT` if there is none, if a run goes on under `overlap: 'skip'`, or if
   * the schedule is broken; `BUSY` if 1,000 runs wait
   */
  async trigger(given: string, ...surplus: []): Promise<TriggeredRun> {
    exactly('trigger(name)', surplus)
    const ref = this.#ref(name(given))
    const id = await answerOf(this.#app, { schedule: given }, call(ref, 'trigger'))
    // The step that starts it comes before this message.
    const waits = await answerOf(this.#app, { schedule: given }, call(ref, 'waits', id))
    return { id, waits }
  }

  /**
   * Removes a schedule that was made at run time. A run that goes on is left alone; runs that wait
   * do not start. False: there was none. If the tree has a schedule of its name too, that one stays.
   * @throws KeelsonError `CONFLICT` if only the tree declares it: it is removed there
   */
  async delete(given: string, ...surplus: []): Promise<boolean> {
    exactly('delete(name)', surplus)
    const made = this.#app.entity(schedulesKind)
    if ((await made.load(name(given))) === undefined) this.#made(given, 'removed')
    return made.delete(given)
  }

  /** One schedule; `undefined`: there is none of this name. It wakes nobody. */
  get(given: string, ...surplus: []): ScheduleRow | undefined {
    exactly('get(name)', surplus)
    return atOnce(scheduleOf(this.#app, given))
  }

  /**
   * A page of schedules, 100 by default, in the order of their names. Those of the tree come before
   * the first page, whatever its limit. A name may be there twice: in the tree, and made at run time,
   * which is then `broken`. It wakes nobody.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`
   */
  list(
    options: { readonly limit?: number; readonly cursor?: string } = noOptions,
    ...surplus: []
  ): Page<ScheduleRow> {
    exactly('list({ limit, cursor })', surplus)
    return atOnce(schedulesOf(this.#app, options))
  }

  /**
   * `get` or `list` as a promise, which shows what all members on a folder have.
   * @throws KeelsonError as that; `SHARD_DOWN` while no member has a shard
   */
  async read<L extends 'get' | 'list'>(
    what: L,
    ...given: Parameters<Schedules[L]>
  ): Promise<ReturnType<Schedules[L]>> {
    const [first] = given as readonly unknown[]
    if (what === 'get')
      return (await everywhere(scheduleOf(this.#app, first))) as ReturnType<Schedules[L]>
    if (what === 'list')
      return (await everywhere(schedulesOf(this.#app, first ?? {}))) as ReturnType<Schedules[L]>
    throw invalidArgument('what', 'get or list', what)
  }

  /** An input, as the schema of the workflow makes it. A schedule that is not there takes none. */
  #inputOf(plan: Plan | undefined, input: unknown): Input {
    if (!plan || !isInTree(this.#app, runKind(plan.workflow))) return inputOf(input)
    return inputFor(this.#app, { sort: 'workflow', name: plan.workflow }, input)
  }

  async #pause(given: string, isPaused: boolean): Promise<void> {
    const ref = this.#ref(name(given))
    await answerOf(this.#app, { schedule: given }, call(ref, 'pause', isPaused))
  }

  #ref(given: string): Ref<ScheduleMessages> {
    const [kind, id] = placeOf(this.#app, given)
    return this.#app.entity<ScheduleMessages>(kind).ref(id)
  }

  /** A schedule that is not of the tree. @throws KeelsonError `CONFLICT` */
  #made(given: string, what: string): Ref<ScheduleMessages> {
    if (!isInTree(this.#app, scheduleKind(given))) return this.#ref(given)
    const text = `the schedule ${given} is declared in the schedules of the tree's flows: it is ${what} there`
    throw new KeelsonError('CONFLICT', text, { details: { schedule: given } })
  }
}

/** One schedule, and a page of them: `get` and `list`. */
function* scheduleOf(app: App, given: unknown): Look<ScheduleRow | undefined> {
  const checked = name(given)
  const [kind, id] = placeOf(app, checked)
  const plans = app.entity<unknown, Plan>(kind)
  const plan = yield* ask(
    () => plans.state(id),
    () => plans.load(id),
  )
  return plan && rowOf(app, checked, plan, isInTree(app, scheduleKind(checked)))
}

function* schedulesOf(app: App, options: unknown): Look<Page<ScheduleRow>> {
  const query = pageOptions(options, argument('', 'a page'))
  const plans = app.entity<unknown, Plan>(schedulesKind)
  const page = yield* ask(
    () => plans.list(query as object),
    () => plans.page(query as object),
  )
  const entries: ScheduleRow[] = []
  for (const each of query.cursor === undefined ? treeSchedules(app) : []) {
    const row = yield* scheduleOf(app, each)
    if (row) entries.push(row)
  }
  for (const { id, state } of page.entries) if (state) entries.push(rowOf(app, id, state, false))
  const { cursor, exhausted } = page
  return { entries, exhausted, ...(cursor !== undefined && { cursor }) }
}

/** The kind and the id of the entity of a schedule. */
const placeOf = (app: App, given: string): readonly [kind: string, id: string] =>
  isInTree(app, scheduleKind(given)) ? [scheduleKind(given), scheduleId] : [schedulesKind, given]

/** The names of the schedules of the tree, in order. */
const treeSchedules = (app: App): readonly string[] => {
  const { entities } = app as { readonly entities?: AppContext[typeof durableActors]['entities'] }
  const { known } = entities ?? (app as AppContext)[durableActors].entities
  const prefix = scheduleKind('')
  return [...known.keys()]
    .filter((kind) => kind.startsWith(prefix))
    .map((kind) => kind.slice(prefix.length))
    .sort()
}

const inputIn = (
  options: { readonly input?: unknown },
  made: (input: unknown) => Input,
): Pick<Declared, 'input'> => {
  if (!('input' in options)) return {}
  const { input } = made(options.input)
  if (input === undefined) return { input: [] }
  const { length } = encoded(input, 'the input').bytes
  if (length <= inputBytesMax) return { input: [input] }
  throw new KeelsonError(
    'TOO_LARGE',
    `the input of a schedule has at most ${inputBytesMax} bytes`,
    {
      details: { length, max: inputBytesMax },
    },
  )
}

const rowOf = (app: App, name: string, plan: Plan, isOfTree: boolean): ScheduleRow => {
  const { cron, zone, missed, overlap, workflow, input, attributes } = plan
  const { isPaused, running, skipped } = plan
  const broken = isOfTree ? undefined : brokenBy(app, name, plan)
  return {
    name,
    cron,
    zone,
    missed,
    overlap,
    workflow,
    input,
    attributes,
    isOfTree,
    isPaused,
    broken,
    skipped,
    next: broken === undefined ? plan.next : undefined,
    running: running === undefined ? undefined : runOf(running).id,
    last: plan.last === undefined ? undefined : runOf(plan.last),
    waiting: plan.waiting.length,
  }
}

/** The run `type/id`. */
const runOf = (run: string): { readonly type: string; readonly id: string } => {
  const at = run.indexOf('/')
  return { type: run.slice(0, at), id: run.slice(at + 1) }
}

/** So many schedules that were made at run time are looked at for the health. */
const lookedAt = 1_000

/** The schedules that start nothing in this program at `now`, for the health. */
export const brokenSchedules = (app: App, now: number): readonly BrokenSchedule[] => {
  const zones = new KnownZones()
  return app
    .entity<unknown, Plan>(schedulesKind)
    .list({ limit: lookedAt })
    .entries.flatMap(({ id: schedule, state }) => {
      const reason = state && brokenBy(app, schedule, state, zones)
      if (reason === undefined) return []
      const { next } = state as Plan
      return { schedule, reason, since: next !== undefined && next <= now ? next : undefined }
    })
}
