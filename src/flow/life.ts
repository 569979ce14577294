/**
 * One life of a run: its body runs, its operations are carried out, and every outcome becomes a turn
 * of its entity. The body goes on when that turn is durable. `replay.ts` decides which outcome comes
 * next and what may start. After a crash another life begins, and gets the same outcomes in the same
 * order.
 */
import { backoffMs, type Retry } from '../clock.ts'
import { reply } from '../runtime/index.ts'
import type { Ctx, StepOptions, Try, Workflow } from './body.ts'
import type { OwnLife, Present, RunContext, RunEnd, State } from './messages.ts'
import {
  errorOf,
  keptError,
  type Operation,
  type OperationKind,
  type Outcome,
  operationKey,
  operationsPrefix,
  type Recorded,
  type RunState,
} from './record.ts'
import { type Asked, diverged, Replay } from './replay.ts'
import { copied, msOf } from './values.ts'

/** The parts of a life. `first`: it is the one in which the run began. */
export type LifeTerms = {
  readonly workflow: Workflow
  readonly id: string
  readonly life: OwnLife
  readonly present: Present
  readonly first: { readonly input: unknown } | undefined
}

/** An operation as a life carries it out. */
type Active = Asked & {
  readonly perform: (active: Active) => Promise<void>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly abort: AbortController
}

/** A policy with every field. */
type Policy = { readonly [K in keyof Retry]-?: NonNullable<Retry[K]> }

const retryDefault: Policy = {
  ...{ max: 3, baseMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0.2 },
  unless: () => false,
}

/** One life of a run. */
export class RunLife {
  readonly #terms: LifeTerms
  #replay!: Replay<Active>
  #state!: RunState
  #isPumping = false
  #hasEnded = false
  #finish!: () => void
  readonly #finished = new Promise<void>((resolve) => {
    this.#finish = resolve
  })

  constructor(terms: LifeTerms) {
    this.#terms = terms
  }

  /** Resolves when this life has nothing more to do. */
  async run(): Promise<void> {
    const { present, life, first, workflow } = this.#terms
    present.life = life.self as never
    const record = await this.#load()
    this.#replay = new Replay(record, this.#state.outcomes)
    const input = first ? first.input : this.#input
    const body = Promise.resolve().then(() => workflow.body(this.#ctx(), input as never))
    body.then(
      (output) => this.#bodyEnded({ status: 'completed', output }),
      (error) => this.#bodyEnded({ status: 'failed', error }),
    )
    await this.#finished
    present.life = undefined
  }

  #input: unknown

  /** Reads the run, after every turn that is on its way. */
  #load(): Promise<readonly Recorded[]> {
    const { first } = this.#terms
    return this.#turn((state, { rows }) => {
      this.#state = state
      if (first) return [[], state]
      this.#input = rows.get('input')
      return [recordIn(state, rows), state]
    })
  }

  #ctx(): Ctx {
    const { id } = this.#terms
    return {
      id,
      step: (key, step, options = {}) =>
        this.#ask('step', key, (active) => this.#step(active, step, options)) as Promise<never>,
      sleep: (key, time) =>
        this.#ask('sleep', key, (active) => this.#sleep(active, time)) as Promise<never>,
    }
  }

  #ask(
    kind: OperationKind,
    key: string,
    perform: (active: Active) => Promise<void>,
  ): Promise<unknown> {
    const promise = new Promise((resolve, reject) => {
      const abort = new AbortController()
      const more = { recorded: undefined, isDelivered: false, perform, resolve, reject, abort }
      this.#replay.ask({ kind, key, ...more })
    })
    // A body may leave an operation alone.
    promise.catch(() => undefined)
    this.#start()
    this.#pump()
    return promise
  }

  /** Gives the body one outcome in a turn of the event loop. */
  #pump(): void {
    if (this.#isPumping || this.#hasEnded) return
    this.#isPumping = true
    this.#terms.life.system.clock.soon(() => {
      this.#isPumping = false
      if (this.#hasEnded) return
      const next = this.#replay.next()
      if (next) {
        this.#replay.delivered(next)
        const { outcome } = next.recorded
        if (outcome.kind === 'ok') next.resolve(outcome.value)
        else next.reject(errorOf(outcome.error))
        this.#pump()
      }
      this.#start()
    })
  }

  /** Carries out what may start. */
  #start(): void {
    for (const active of this.#replay.starting()) void active.perform(active)
  }

  async #step(
    active: Active,
    step: (attempt: Try) => unknown,
    { retry }: StepOptions,
  ): Promise<void> {
    const policy = { ...retryDefault, ...retry } as Policy
    const { id, workflow } = this.#terms
    const { birth, round } = this.#state
    const key = `flow/${workflow.name}/${id}/${birth}/${round}/${active.key}`
    for (;;) {
      const { tries = 0, dueAt = 0 } = active.recorded ?? {}
      await this.#until(dueAt)
      if (this.#hasEnded) return
      const attempt = tries + 1
      try {
        const value = await step({ key, attempt, signal: active.abort.signal })
        return await this.#outcome(active, { kind: 'ok', value: copied(value) })
      } catch (error) {
        const isLast = attempt >= policy.max || policy.unless(error)
        if (isLast) return this.#outcome(active, { kind: 'error', error: keptError(error) })
        const { clock } = this.#terms.life.system
        const dueAt = clock.now() + Math.ceil(backoffMs(policy, attempt, clock.random()))
        await this.#record(active, { tries: attempt, failure: keptError(error), dueAt })
      }
    }
  }

  async #sleep(active: Active, time: Parameters<Ctx['sleep']>[1]): Promise<void> {
    if (active.recorded === undefined) {
      const dueAt =
        typeof time === 'object' ? time.at : this.#terms.life.now() + Math.ceil(msOf(time, 'time'))
      await this.#record(active, { dueAt })
    }
    await this.#until(active.recorded?.dueAt ?? 0)
    await this.#outcome(active, { kind: 'ok' })
  }

  async #until(at: number): Promise<void> {
    const { clock } = this.#terms.life.system
    for (let left = at - clock.now(); left > 0; left = at - clock.now())
      await new Promise<void>((resolve) => clock.after(left, resolve))
  }

  /** Records the present row of an operation. */
  async #record(active: Active, change: Partial<Operation>): Promise<void> {
    const recorded = await this.#turn((state, context) => recording(state, context, active, change))
    this.#replay.record(recorded)
  }

  async #outcome(active: Active, outcome: Outcome): Promise<void> {
    await this.#record(active, { outcome })
    this.#pump()
  }

  #bodyEnded(end: BodyEnd): void {
    this.#hasEnded = true
    for (const { abort } of this.#replay.inFlight) abort.abort()
    void this.#end(end).then(this.#finish)
  }

  async #end(end: BodyEnd): Promise<void> {
    const missing = this.#replay.missing()
    const last: BodyEnd =
      missing.length === 0
        ? end
        : {
            status: 'blocked',
            error: diverged('the body has ended without its recorded operations', { missing }),
          }
    const run: RunEnd =
      last.status === 'completed'
        ? { status: 'completed', output: copied(last.output) }
        : { status: last.status, error: keptError(last.error) }
    const { present } = this.#terms
    await this.#turn((state, context) => {
      if (run.status !== 'completed') context.rows.put('error', run.error)
      else if (run.output !== undefined) context.rows.put('output', run.output)
      for (const from of present.waiting) from.reply(run)
      return [undefined, { ...state, status: run.status, since: context.now() }]
    })
    present.waiting.clear()
  }

  /** Makes a turn of `change`, which returns its result and the next state. */
  #turn<R>(change: (state: RunState, context: RunContext) => readonly [R, RunState]): Promise<R> {
    return this.#terms.life.apply((state: State, context) =>
      reply(...change(state as RunState, context)),
    )
  }
}

/** The end of a body. */
type BodyEnd =
  | { readonly status: 'completed'; readonly output: unknown }
  | { readonly status: 'failed' | 'blocked'; readonly error: unknown }

/** The recorded operations of the present lap. */
const recordIn = ({ lap }: RunState, rows: RunContext['rows']): readonly Recorded[] => {
  const found: Recorded[] = []
  const prefix = operationsPrefix(lap)
  let cursor: string | undefined
  do {
    const page = rows.range({ prefix, limit: 1_000, ...(cursor && { cursor }) })
    for (const [key, row] of page.entries)
      found.push({ ...(row as Operation), number: Number(key.slice(prefix.length)) })
    cursor = page.cursor
  } while (cursor)
  return found
}

/** The turn that records an operation: its row, and the counts of the run. */
const recording = (
  state: RunState,
  context: RunContext,
  { kind, key, recorded }: Asked,
  change: Partial<Operation>,
): readonly [Recorded, RunState] => {
  const { number = state.operations + 1, ...before } = recorded ?? {}
  const place = change.outcome && (recorded?.place ?? state.outcomes + 1)
  const row: Operation = {
    kind,
    key,
    ...before,
    ...change,
    at: context.now(),
    ...(place && { place }),
  }
  context.rows.put(operationKey(state.lap, number), row)
  const next = {
    ...state,
    operations: Math.max(state.operations, number),
    outcomes: Math.max(state.outcomes, place ?? 0),
  }
  return [{ ...row, number }, next]
}
