/**
 * `flow` at the prompt: looks at the workflows and queues of an instance, and acts on them by their
 * names. `keelson flow` runs these words in the instance, apart from the other words of the prompt.
 * Only a call of one loads `keelson/flow`.
 */

import { argument, optional, wholeFrom } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import type { Flow, JobsOptions, LimitsChange, ListOptions, Settlement } from '../../flow/index.ts'
import { noOptions } from '../../own-names.ts'
import type { App } from '../../supervisors/index.ts'
import {
  countedFlows,
  deadPage,
  type FlowPart,
  flowNamesOf,
  flowOf,
  flowPart,
  jobInFull,
  jobsPage,
  runInFull,
  runPage,
  schedulePage,
} from '../answers/flow-parts.ts'
import { unlessSilent } from '../answers/member-looks.ts'
import type { FlowSort } from '../recorder/flow-names.ts'
import type { Paint } from '../text/paint.ts'
import type { View } from '../text/view.ts'
import {
  deadTable,
  jobFacts,
  jobsTable,
  limitsFacts,
  overviewTable,
  queueFacts,
  runFacts,
  runTable,
  scheduleTable,
} from '../views/flow-view.ts'
import { view } from './answer-view.ts'

/** `json`: the answer is one line of JSON. */
type Shown = { readonly json?: boolean }
type Paged = Shown & { readonly limit?: number; readonly cursor?: string }

/** The most rows of one answer: the prompt is in the process that serves, and builds it in one turn. */
const rowsMax = 1_000

const boundedLimit = optional(wholeFrom(1, rowsMax))

/** The options of a page. @throws KeelsonError `INVALID_ARGUMENT` for a limit above the bound */
const bounded = <O extends { readonly limit?: number }>(page: O): O => {
  boundedLimit(page.limit, argument('limit'))
  return page
}

type Listed = Paged & Pick<JobsOptions, 'state' | 'where'>

/** `schedule`: there is a queue of this name too. */
type Pausing = Shown & { readonly schedule?: boolean }

/** The words after `flow.`; each resolves to a text for reading. */
export class FlowWords {
  readonly #app: App
  readonly #paint: Paint

  constructor(app: App, paint: Paint) {
    this.#app = app
    this.#paint = paint
  }

  /** A page of the runs of a workflow; without its name all workflows and queues, with counts. */
  async list(
    type?: string | null,
    options: Omit<ListOptions, 'type'> & Shown = noOptions,
  ): Promise<View> {
    const { json, ...filter } = options
    if (typeof type === 'string') {
      const asked = runPage(this.#app, type, bounded(filter))
      const page = await unlessSilent(this.#app, 'flow.list()', asked)
      return view(json, page, (shown) => runTable(shown, this.#paint))
    }
    const overview = await countedFlows(this.#app)
    return view(json, overview, () => overviewTable(overview))
  }

  /** One run with its operations, or one queue. */
  async show(name: string, id?: string | null, options: Paged = noOptions): Promise<View> {
    const { json, ...page } = options
    if (typeof id !== 'string') {
      if (this.#isOnlyWorkflow(name)) throw invalidArgument('id', `the id of a run of ${name}`, id)
      const look = await (await this.#flow()).counts(this.#part('queue', name))
      return view(json, look, () => queueFacts(name, look))
    }
    const found = await runInFull(this.#app, name, id, bounded(page))
    return view(json, found, (shown) => runFacts(`${name}/${id}`, shown, this.#paint))
  }

  /** Starts a run of a workflow, with an input that can be stored. */
  async start(
    type: string,
    input: unknown,
    options: Shown & Parameters<Flow['start']>[2],
  ): Promise<View> {
    const { json, ...how } = options
    const flow = await this.#flow()
    const run = await flow.start(this.#part('workflow', type), input, how)
    const { id, repeated } = run
    return view(json, { id, repeated }, () =>
      repeated ? `${type}/${id} had begun` : `${type}/${id} has begun`,
    )
  }

  /** Adds a job to a queue. */
  async add(
    queue: string,
    job: unknown,
    options: Shown & Parameters<Flow['add']>[2] = noOptions,
  ): Promise<View> {
    const { json, ...how } = options
    const flow = await this.#flow()
    const added = await flow.add(this.#part('queue', queue), job, how)
    return view(json, added, () =>
      added.repeated ? `${queue} has it as job ${added.id}` : `${queue} has job ${added.id}`,
    )
  }

  /** Cancels a run; with `force` without undos. */
  async cancel(
    type: string,
    id: string,
    options: Shown & { readonly reason?: string; readonly force?: boolean } = noOptions,
  ): Promise<View> {
    const { json, ...how } = options
    const flow = await this.#flow()
    const cancelled = await flow.handle(this.#part('workflow', type), id).cancel(how)
    const { accepted, status } = cancelled
    return view(json, cancelled, () =>
      accepted ? `${type}/${id} is being cancelled` : `${type}/${id} stays as it is: ${status}`,
    )
  }

  /** Lets a run go on that failed, was cancelled or is blocked, or a dead job of a queue. */
  async retry(
    name: string,
    id: string,
    options: Shown & { readonly queue?: boolean; readonly from?: string } = noOptions,
  ): Promise<View> {
    const { json, queue = !flowNamesOf(this.#app, 'workflow').includes(name), ...how } = options
    const flow = await this.#flow()
    await flow.retry(this.#part(queue ? 'queue' : 'workflow', name), id, how)
    return view(
      json,
      { retried: true },
      () => `${queue ? `job ${id} of ${name}` : `${name}/${id}`} continues`,
    )
  }

  /** Starts a run with the outcomes of another one from before the operation `from`. */
  async fork(
    type: string,
    id: string,
    options: Shown & { readonly from: string; readonly id: string },
  ): Promise<View> {
    const { json, ...how } = options
    const flow = await this.#flow()
    const forked = await flow.fork(this.#part('workflow', type), id, how)
    const answer = { id: forked.id, repeated: forked.repeated }
    return view(json, answer, () =>
      forked.repeated ? `${type}/${how.id} had begun` : `${type}/${how.id} has begun`,
    )
  }

  /** Undoes a run that was cancelled by force. */
  async undo(type: string, id: string, { json }: Shown = noOptions): Promise<View> {
    await (await this.#flow()).undo(this.#part('workflow', type), id)
    return view(json, { undoes: true }, () => `${type}/${id} is being undone`)
  }

  /** Sends a signal to a run. */
  async signal(
    type: string,
    id: string,
    name: string,
    value?: unknown,
    options: Shown & { readonly id?: string } = noOptions,
  ): Promise<View> {
    const { json, ...how } = options
    const flow = await this.#flow()
    const run = flow.handle(this.#part('workflow', type), id)
    const sent = await run.signal(name, value, how)
    return view(json, sent, () =>
      sent.repeated ? `${type}/${id} had this signal` : `${type}/${id} has the signal`,
    )
  }

  /** Decides the outcome of a step that blocks its run: `{ value }` or `{ error }`. */
  async settle(
    type: string,
    id: string,
    key: string,
    decision: Settlement,
    { json }: Shown = noOptions,
  ): Promise<View> {
    const flow = await this.#flow()
    await flow.settle(this.#part('workflow', type), id, key, decision)
    return view(json, { settled: true }, () => `${key} of ${type}/${id} is settled`)
  }

  /** A page of the jobs of a queue in one state, by default of the waiting ones, or with attributes. */
  async jobs(queue: string, options: Listed = noOptions): Promise<View> {
    const { json, where, state = where ? undefined : 'waiting', ...page } = options
    const which = { ...(where && { where }), ...(state && { state }) }
    const found = await jobsPage(this.#app, queue, { ...which, ...bounded(page) })
    return view(json, found, (shown) => jobsTable(shown, state === undefined))
  }

  /** A page of the dead jobs of a queue. */
  async dead(queue: string, options: Paged = noOptions): Promise<View> {
    const { json, ...page } = options
    return view(json, await deadPage(this.#app, queue, bounded(page)), deadTable)
  }

  /** One job of a queue, wherever it is. */
  async job(queue: string, id: string, { json }: Shown = noOptions): Promise<View> {
    const found = await jobInFull(this.#app, queue, id)
    return view(json, found, (shown) => jobFacts(`${queue}/${id}`, shown, this.#paint))
  }

  /** Removes a job of a queue; one that runs is cancelled. */
  async remove(queue: string, id: string, { json }: Shown = noOptions): Promise<View> {
    const removed = await (await this.#flow()).job(this.#part('queue', queue), id).remove()
    return view(json, removed, () =>
      removed.removed
        ? `job ${id} of ${queue} is removed: it was ${removed.state}`
        : `${queue} has no job ${id}`,
    )
  }

  /** Lets no job of a queue start, or a schedule no run by its times. */
  pause(name: string, options: Pausing = noOptions): Promise<View> {
    return this.#pause(name, options, true)
  }

  /** Lets the jobs of a paused queue start, or a paused schedule go on. */
  resume(name: string, options: Pausing = noOptions): Promise<View> {
    return this.#pause(name, options, false)
  }

  /** The limits of a queue; given ones change, or all are reset. */
  async limits(
    queue: string,
    options: LimitsChange & Shown & { readonly reset?: boolean } = noOptions,
  ): Promise<View> {
    const { json, reset = false, ...change } = options
    const flow = await this.#flow()
    const part = this.#part('queue', queue)
    const isChange = Object.keys(change).length > 0
    if (reset && isChange) throw invalidArgument('reset', 'given without a limit', change)
    const limits = isChange
      ? await flow.setLimits(part, change)
      : await (reset ? flow.resetLimits(part) : flow.limits(part))
    return view(json, limits, () => limitsFacts(queue, limits))
  }

  /** A page of the schedules, those of the tree and those made at run time. */
  async schedules(options: Paged = noOptions): Promise<View> {
    const { json, ...page } = options
    return view(json, await schedulePage(this.#app, bounded(page)), (shown) =>
      scheduleTable(shown, this.#paint),
    )
  }

  /** Starts a run of a schedule now. */
  async trigger(schedule: string, { json }: Shown = noOptions): Promise<View> {
    const run = await (await this.#flow()).schedules.trigger(schedule)
    return view(json, run, () =>
      run.waits
        ? `the run ${run.id} waits for one that has not ended`
        : `the run ${run.id} has begun`,
    )
  }

  /** Removes a schedule that was made at run time. */
  async unschedule(schedule: string, { json }: Shown = noOptions): Promise<View> {
    const removed = await (await this.#flow()).schedules.delete(schedule)
    return view(json, { removed }, () =>
      removed ? `the schedule ${schedule} is removed` : `there is no schedule ${schedule}`,
    )
  }

  async #pause(
    name: string,
    { json, schedule = !flowNamesOf(this.#app, 'queue').includes(name) }: Pausing,
    isPaused: boolean,
  ): Promise<View> {
    const flow = await this.#flow()
    const word = isPaused ? 'pause' : 'resume'
    await (schedule ? flow.schedules[word](name) : flow[word](this.#part('queue', name)))
    return view(json, { isPaused }, () => `${name} ${isPaused ? 'is paused' : 'continues'}`)
  }

  #isOnlyWorkflow(name: string): boolean {
    const isOf = (sort: FlowSort): boolean => flowNamesOf(this.#app, sort).includes(name)
    return isOf('workflow') && !isOf('queue')
  }

  #flow(): Promise<Flow> {
    return flowOf(this.#app)
  }

  #part<S extends FlowSort>(sort: S, name: string): FlowPart<S> {
    return flowPart(this.#app, sort, name)
  }
}
