/**
 * One run on a disk that answers when a test says so: the messages of its entity and its activations are
 * those of the program, its process, its mailbox and its disk are a model. Of a turn nothing leaves before
 * its unit is stored.
 */
import { EventEmitter } from 'node:events'
import { ownWork } from '../../../src/actors/index.ts'
import { ownTime, whenDurable } from '../../../src/actors/turns/durable-server.ts'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { type Ctx, type Workflow, workflow } from '../../../src/flow/index.ts'
import { RunActivations } from '../../../src/flow/run-entity/activations.ts'
import { resultCalls, signalCalls, updateCalls } from '../../../src/flow/run-entity/run-callers.ts'
import { cancelCalls } from '../../../src/flow/run-entity/run-control.ts'
import { startCalls, startTimer } from '../../../src/flow/run-entity/run-start.ts'
import type { RunActivation } from '../../../src/flow/runs/activation.ts'
import type { State } from '../../../src/flow/runs/messages.ts'
import { isLive, isOver, type Operation, type RunState } from '../../../src/flow/runs/record.ts'
import { durableActors } from '../../../src/supervisors/index.ts'
import { contextWith } from '../worlds/run-rows.ts'

/** A message that a walk sends once. */
export type RunInput = 'start' | 'go' | 'put' | 'cancel' | 'force' | 'result'

/** The limits of a walk: what may happen in one life, so that each life ends. */
export type RunLimits = {
  readonly body: (ctx: Ctx<{ go: number }>, input: number, life: BodyLife) => unknown
  readonly inputs: readonly RunInput[]
  /** How many units may be refused. */
  readonly refusals: number
  readonly crashes: number
  /** They may be refused for their size too, which no other try changes. */
  readonly mayBeLarge?: boolean
  /** The body does something else in each replay. */
  readonly mayDiverge?: boolean
  /** A step may fail. */
  readonly mayFail?: boolean
}

/** What a body does outside of its run. */
export type BodyLife = {
  /** Which body of this run it is, from 0. */
  readonly number: number
  /** A step under this key: it ends when the walk says so. */
  step(key: string): Promise<number>
  /** The body has got the outcome of the operation of this key. */
  got(key: string): void
  /** A step was undone. */
  undoes(key: string): void
}

type Answer = 'waits' | 'answered' | 'refused' | 'lost'

type Caller = {
  readonly name: RunInput
  answer: Answer
  value: unknown
  settle(answer: Answer, value?: unknown): void
}

/** A message on its way, or a turn of background work. */
type Job = {
  readonly name: string
  readonly handle: (state: State, context: object) => unknown
  /** Its turn is durable, with this result. */
  readonly done: (value: unknown) => void
  readonly refused: (error: unknown) => void
  readonly from?: object
}

type Unit = {
  readonly job: Job
  readonly state: State
  readonly rows: Readonly<Record<string, unknown>>
  readonly alarms: ReadonlyMap<string, number>
  readonly effects: readonly (() => void)[]
}

type Step = { readonly key: string; readonly body: number; readonly end: (ok: boolean) => void }

const refusals = ['NO_SPACE', 'TOO_LARGE']

/** A run, its process and its disk, after some events. */
export class RunWorld {
  /** What happened and never may. */
  readonly wrong: string[] = []
  readonly #clock = virtualClock()
  readonly #events = new EventEmitter()
  readonly #activations: RunActivations
  readonly #calls: Readonly<Record<string, (state: never, arg: never, context: never) => unknown>>
  readonly #timer: (state: never, arg: never, context: never) => unknown
  readonly #limits: RunLimits
  readonly #callers: Caller[] = []
  #inputs: readonly RunInput[]
  #refusals: number
  #crashes: number
  #incarnation = 0
  #mailbox: Job[] = []
  #unit: Unit | undefined
  #isHandling = false
  #state: State
  #rows: Readonly<Record<string, unknown>> = {}
  #alarms: ReadonlyMap<string, number> = new Map()
  #monitors = new Set<() => void>()
  #steps: Step[] = []
  #bodies = 0
  /** What the present body has got. */
  #got: string[] = []
  readonly #undone = new Set<string>()
  /** The steps with an undo that have run. */
  readonly #undoable = new Set<string>()
  /** The outcomes that were ever stored, and the statuses. */
  readonly #outcomes = new Set<string>()
  readonly #statuses = new Set<string>()

  constructor(limits: RunLimits) {
    this.#limits = limits
    this.#inputs = limits.inputs
    this.#refusals = limits.refusals
    this.#crashes = limits.crashes
    const body = (ctx: Ctx<{ go: number }>, input: number) => this.#begins(ctx, input)
    this.#activations = new RunActivations(workflow('walked', body as never) as Workflow)
    this.#calls = {
      ...startCalls(this.#activations),
      ...signalCalls(this.#activations),
      ...updateCalls(this.#activations),
      ...resultCalls(this.#activations),
      ...cancelCalls(this.#activations),
    } as never
    this.#timer = startTimer(this.#activations).timer as never
    this.#tells()
    this.#sends('start')
  }

  // The events.

  /** What may happen next. The first is what happens when nobody disturbs. */
  get events(): readonly string[] {
    const events: string[] = []
    if (this.#unit) events.push('stores')
    for (const { key } of this.#steps) events.push(`${key} ends`)
    if (events.length === 0 && this.#clock.untilNext() !== undefined) events.push('time')
    const isQuiet = events.length === 0 && this.#alarms.has('timer')
    if (isQuiet && this.#state?.status === 'waiting') events.push('alarm')
    if (this.#limits.mayFail) for (const { key } of this.#steps) events.push(`${key} fails`)
    for (const input of this.#inputs) events.push(input)
    if (this.#unit && this.#refusals > 0) events.push('full')
    if (this.#unit && this.#refusals > 0 && this.#limits.mayBeLarge) events.push('large')
    if (this.#crashes > 0) events.push('crash')
    if (this.#crashes > 0 && this.#unit) events.push('crash after it is stored')
    return events
  }

  /** Whether only a message, a crash or a refusal may happen. */
  get isQuiet(): boolean {
    const others = new Set<string>([...this.#inputs, 'crash'])
    return this.events.every((event) => others.has(event))
  }

  get isOver(): boolean {
    return this.isQuiet && this.#inputs.length === 0
  }

  /** Lets one of the events happen. */
  async on(event: string): Promise<void> {
    const [key = '', how] = event.split(' ')
    if (event === 'stores') this.#stores()
    else if (event === 'full') this.#refuses('NO_SPACE')
    else if (event === 'large') this.#refuses('TOO_LARGE')
    else if (event === 'time') await this.#passes()
    else if (event === 'alarm') this.#alarm()
    else if (event.startsWith('crash')) this.#crash(event !== 'crash')
    else if (how === 'ends' || how === 'fails') this.#endsStep(key, how === 'ends')
    else this.#sends(event as RunInput)
    await this.#settles()
  }

  /** Time passes until something happens: a replay is watched by many looks. */
  async #passes(): Promise<void> {
    const before = this.key
    for (let looks = 0; looks < 100 && this.key === before; looks++) {
      const next = this.#clock.untilNext()
      if (next === undefined) return
      await this.#clock.advance(next)
      await this.#settles()
    }
  }

  /** The first turn is on its way. */
  async begin(): Promise<this> {
    await this.#settles()
    return this
  }

  /** The state, as a text: two worlds with the same text go on alike. */
  get key(): string {
    const bare = (row: unknown): unknown => {
      if (typeof row !== 'object' || row === null) return row
      const { at, dueAt, since, startedAt, birth, error, waitsFor, ...others } = row as Operation &
        RunState
      return [others, dueAt !== undefined, error?.message, waitsFor?.kind]
    }
    const rows = (of: object) => Object.entries(of).map(([key, row]) => [key, bare(row)])
    const present = this.#present?.activation as RunActivation | undefined
    const { replay } = present ?? {}
    return JSON.stringify([
      [bare(this.#state), rows(this.#rows), [...this.#alarms.keys()]],
      this.#unit && [this.#unit.job.name, bare(this.#unit.state), rows(this.#unit.rows)],
      this.#mailbox.map(({ name }) => name),
      this.#steps.map(({ key, body }) => [key, body === this.#bodies]),
      present && [present.isStopped, present.isBodyOver, present.working, present.isCancelling],
      replay && [
        [...replay.asked.keys()],
        [...replay.inFlight].map(({ key, isRecording }) => [key, isRecording]),
        [replay.known, replay.reached, replay.isComplete, replay.hasArrived],
      ],
      [this.#got, [...this.#undone], [...this.#undoable], Math.min(this.#bodies, 3)],
      this.#callers
        .filter(({ answer }) => answer !== 'lost')
        .map(({ name, answer }) => [name, answer]),
      [this.#inputs, this.#refusals, this.#crashes],
      [this.#present?.isCancelled, this.#clock.untilNext() !== undefined],
      this.wrong,
    ])
  }

  /** What is wrong with a world in which nothing more can happen. */
  get leftOver(): readonly string[] {
    const left: string[] = []
    const status = this.#state?.status ?? 'none'
    const hasEnded = status === 'none' || status === 'blocked' || isOver(status)
    // A run that never got its signal waits for it.
    const { code } = this.#state?.error ?? {}
    if (code !== undefined && !['CANCELLED', 'DIVERGED', 'TOO_LARGE'].includes(code))
      left.push(`the run is ${status}: ${code}`)
    if (status === 'blocked' && code === 'DIVERGED' && !this.#limits.mayDiverge)
      left.push('its body has diverged')
    const isTold = this.#callers.some(({ name, answer }) => name === 'go' && answer === 'answered')
    if (!hasEnded && isTold) left.push(`the run is ${status}`)
    for (const { name, answer } of this.#callers)
      if (answer === 'waits' && (hasEnded || isTold)) left.push(`${name} has no answer`)
    const wasAccepted = this.#callers.some(
      ({ name, value }) => name === 'cancel' && (value as { accepted?: boolean })?.accepted,
    )
    if (wasAccepted && status !== 'cancelled' && status !== 'blocked')
      left.push(`a cancelled run is ${status}`)
    const wasForced = this.#callers.some(({ name }) => name === 'force')
    if (status === 'cancelled' && !wasForced)
      for (const key of this.#undoable)
        if (!this.#undone.has(key)) left.push(`${key} is not undone`)
    if (status !== 'blocked' && this.#present?.activation) left.push('its activation is there yet')
    const keys = this.#operations(this.#rows).map(([key, { key: name }]) => [
      key.slice(0, 17),
      name,
    ])
    if (new Set(keys.map(String)).size < keys.length) left.push('two rows have one key')
    return left
  }

  get status(): string {
    return this.#state?.status ?? 'none'
  }

  get reason(): string | undefined {
    return this.#state?.error?.code
  }

  // The body.

  #begins(ctx: Ctx<{ go: number }>, input: number): unknown {
    const number = this.#bodies++
    this.#got = []
    if (this.#state && isOver(this.#state.status))
      this.wrong.push('the body of an ended run begins')
    const own = this.#incarnation
    const isMine = (): boolean => number === this.#bodies - 1 && own === this.#incarnation
    return this.#limits.body(ctx, input, {
      number,
      step: (key) => this.#step(key, number),
      got: (key) => {
        this.#got.push(key)
        if (!isMine()) this.wrong.push(`a body that was left goes on with ${key}`)
        if (isOver(this.#state?.status ?? 'running'))
          this.wrong.push(`the body goes on with ${key} after the end of its run`)
        const name = `${this.#state?.lap}/${key}`
        if (!this.#outcomes.has(name)) this.wrong.push(`the body has ${key} before it is durable`)
      },
      undoes: (key) => {
        if (this.#outcomes.has(`${this.#state?.lap}/undo:${key}`))
          this.wrong.push(`${key} is undone twice`)
        this.#undone.add(key)
      },
    })
  }

  #step(key: string, body: number): Promise<number> {
    if (isOver((this.#state as RunState).status)) this.wrong.push(`${key} begins after the end`)
    if (this.#outcomes.has(`${this.#state?.lap}/${key}`)) this.wrong.push(`${key} runs twice`)
    return new Promise((resolve, reject) => {
      const end = (ok: boolean): void => {
        if (ok && key.startsWith('u')) this.#undoable.add(key)
        if (ok) resolve(1)
        else reject(new Error('broken'))
      }
      this.#steps.push({ key, body, end })
    })
  }

  #endsStep(key: string, ok: boolean): void {
    const at = this.#steps.findIndex((step) => step.key === key)
    const [step] = this.#steps.splice(at, 1)
    step?.end(ok)
  }

  // Its listeners.

  #tells(): void {
    this.#events.on('flow.step', ({ key }: { key: string }) => {
      if (![...this.#outcomes].some((name) => name.endsWith(`/${key}`)))
        this.wrong.push(`${key} is told before it is durable`)
    })
    this.#events.on('flow.ended', ({ end }: { end: { status: string } }) =>
      this.#mustHaveBeen(end.status),
    )
    this.#events.on('flow.blocked', () => this.#mustHaveBeen('blocked'))
  }

  #mustHaveBeen(status: string): void {
    if (!this.#statuses.has(status)) this.wrong.push(`it is told as ${status} before it is durable`)
  }

  // Its callers.

  #sends(input: RunInput): void {
    this.#inputs = this.#inputs.filter((each) => each !== input)
    const request = {
      start: { input: 0, inputHash: 'h' },
      go: { name: 'go', value: 1 },
      put: { name: 'put', value: 1 },
      cancel: { reason: 'enough', force: false },
      force: { reason: 'enough', force: true },
      result: undefined,
    }[input]
    const name = { go: 'signal', put: 'update', force: 'cancel' }[input as string] ?? input
    this.#calling(input, (state, context) =>
      this.#calls[name]?.(state as never, request as never, context as never),
    )
  }

  #calling(name: RunInput, handle: Job['handle']): void {
    const listeners: (() => void)[] = []
    const settle = (answer: Answer, value?: unknown): void => {
      if (caller.answer !== 'waits') return
      caller.answer = answer
      caller.value = value
      // It asks again if nobody knows what became of its message, or the disk took nothing.
      if (answer === 'lost' || refusals.includes((value as KeelsonError)?.code))
        this.#inputs = [...this.#inputs, name]
      for (const listener of listeners) listener()
    }
    const caller: Caller = { name, answer: 'waits', value: undefined, settle }
    this.#callers.push(caller)
    const from = {
      call: { onceSettled: (listener: () => void) => void listeners.push(listener) },
      settle,
    }
    this.#mailbox.push({
      name,
      handle,
      from,
      done: (value) => settle('answered', value),
      refused: (error) => settle('refused', error),
    })
  }

  // Its process.

  get #present() {
    const { app } = this.#instance
    return this.#state && this.#activations.presentOf({ app, id: '1' } as never)
  }

  async #settles(): Promise<void> {
    for (let turns = 0; ; turns++) {
      await this.#clock.settle()
      if (turns > 50) return void this.wrong.push('turns follow each other without end')
      const job = this.#mailbox[0]
      if (this.#unit || this.#isHandling || !job) return
      this.#mailbox.shift()
      await this.#handles(job)
    }
  }

  async #handles(job: Job): Promise<void> {
    const effects: (() => void)[] = []
    const alarms = new Map(this.#alarms)
    const { context, rows } = contextWith(this.#rows, this.#clock.now())
    const holds =
      (answer: Answer) =>
      (from: unknown) =>
      (value: unknown): void =>
        void effects.push(() =>
          (from as { settle: (...all: unknown[]) => void }).settle(answer, value),
        )
    const fromOf = (from: object | undefined) =>
      Object.assign(from ?? {}, {
        reply: holds('answered')(from),
        fail: holds('refused')(from),
      })
    // Callers that were kept by an earlier turn are answered in this one.
    const kept = this.#present
    for (const from of kept?.waiting ?? []) fromOf(from)
    for (const { all } of kept?.updates.values() ?? []) for (const from of all) fromOf(from)
    const given = {
      ...context,
      ...this.#instance,
      from: fromOf(job.from),
      setAlarm: (name: string, { inMs }: { inMs: number }) => alarms.set(name, inMs),
      cancelAlarm: (name: string) => alarms.delete(name),
      background: (work: (background: object) => unknown) => effects.push(() => this.#works(work)),
      [whenDurable]: (act: () => void) => effects.push(act),
    }
    this.#isHandling = true
    let found: { readonly kind: string; readonly value: unknown; readonly state: State }
    try {
      found = (await job.handle(this.#state, given)) as typeof found
    } catch (error) {
      job.refused(error)
      return
    } finally {
      this.#isHandling = false
    }
    if (found.kind === 'reply') effects.unshift(() => job.done(found.value))
    const unit = { job, state: found.state, rows: rows(), alarms, effects }
    const isChanged =
      found.state !== this.#state || JSON.stringify(unit.rows) !== JSON.stringify(this.#rows)
    this.#unit = unit
    if (!isChanged) this.#stores()
  }

  #stores(): void {
    const { state, rows, alarms, effects } = this.#unit as Unit
    this.#unit = undefined
    this.#keep(state, rows, alarms)
    for (const act of effects) act()
  }

  #keep(state: State, rows: Unit['rows'], alarms: Unit['alarms']): void {
    const before = this.#state
    if (before && isOver(before.status) && state?.status !== before.status)
      this.wrong.push(`a run that is ${before.status} becomes ${state?.status}`)
    this.#state = state
    this.#rows = rows
    this.#alarms = alarms
    if (state) this.#statuses.add(state.status)
    for (const [, { key, outcome }] of this.#operations(rows))
      if (outcome) this.#outcomes.add(`${state?.lap}/${key}`)
  }

  #operations(rows: Unit['rows']): readonly [string, Operation][] {
    return Object.entries(rows).filter(([key]) => /^op\/\d+\//.test(key)) as [string, Operation][]
  }

  #refuses(code: 'NO_SPACE' | 'TOO_LARGE'): void {
    const { job } = this.#unit as Unit
    this.#unit = undefined
    this.#refusals--
    job.refused(new KeelsonError(code, code))
  }

  #alarm(): void {
    this.#alarms = new Map([...this.#alarms].filter(([name]) => name !== 'timer'))
    this.#mailbox.push({
      name: 'timer',
      handle: (state, context) => this.#timer(state as never, undefined as never, context as never),
      done: () => undefined,
      refused: () => (this.#alarms = new Map([...this.#alarms, ['timer', 0]])),
    })
  }

  #works(work: (background: object) => unknown): void {
    const own = this.#incarnation
    const apply = (change: (state: State, context: object) => unknown): Promise<unknown> =>
      new Promise((resolve, reject) => {
        if (own !== this.#incarnation) reject(new KeelsonError('EXITED', 'it has ended'))
        else this.#mailbox.push({ name: 'apply', handle: change, done: resolve, refused: reject })
      })
    const background = {
      ...this.#instance,
      apply,
      consistsOf: () => undefined,
      [ownTime]: this.#time,
      [ownWork]: { isClosing: false, onClose: undefined },
    }
    void (async () => work(background))().catch((error) => {
      // The process of a run ends with background work that fails.
      if (own === this.#incarnation) this.#crash(false, error)
    })
  }

  /** Its process ends, and the next one begins. */
  #crash(isStored: boolean, error?: unknown): void {
    if (error === undefined) this.#crashes--
    const unit = this.#unit
    this.#unit = undefined
    if (unit && isStored) this.#keep(unit.state, unit.rows, unit.alarms)
    this.#incarnation++
    const ended = new KeelsonError('EXITED', 'it has ended')
    const lost = this.#mailbox
    this.#mailbox = []
    for (const { refused } of [...(unit ? [unit.job] : []), ...lost]) refused(ended)
    for (const { settle } of this.#callers) settle('lost')
    this.#steps = []
    const monitors = this.#monitors
    this.#monitors = new Set()
    for (const act of monitors) act()
    this.#activations.forget('1')
    const state = this.#state
    if (state && isLive(state.status))
      this.#activations.begin({
        ...this.#instance,
        background: (work: (background: object) => unknown) => this.#works(work),
      } as never)
  }

  readonly #time = {
    now: () => this.#clock.now(),
    wall: () => this.#clock.now(),
    ofWall: (at: number) => at,
    at: (at: number, act: () => void) => this.#clock.after(at - this.#clock.now(), act),
  }

  readonly #instance = {
    id: '1',
    self: {},
    system: {
      clock: this.#clock,
      events: this.#events,
      logger: { warn: () => undefined },
      monitor: (_: object, act: () => void) => {
        this.#monitors.add(act)
        return () => this.#monitors.delete(act)
      },
    },
    app: {
      [durableActors]: {
        entities: {
          isUnsure: false,
          isElsewhere: () => false,
          trouble: {
            keeps: () => undefined,
            fails: () => undefined,
            passes: () => undefined,
            log: { failed: () => undefined, recovered: () => undefined, ended: () => undefined },
          },
          work: {
            mayBegin: true,
            alone: (_: string, __: string, run: () => unknown) => run(),
            endedUnder: () => undefined,
            isTooLate: () => false,
            isTooEarly: () => false,
            whenLapsed: () => () => undefined,
          },
        },
      },
    },
  }
}
