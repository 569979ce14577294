/**
 * The operations of a run as its activation has them, the scopes that are cancelled together, and how
 * operations are carried out: steps with their tries, timers, waits for signals, children. Each one
 * records its outcome, and only then the body gets it.
 */
import { shardTime } from '../../actors/index.ts'
import { type FullRetry, passed } from '../../clock.ts'
import { isKeelsonError, isMissing, KeelsonError, type KeptError, keptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { noOptions } from '../../own-names.ts'
import {
  type AppContext,
  call,
  guardedAbort,
  type Logger,
  type Ref,
  type Traced,
  type TraceScope,
  whenRead,
} from '../../runtime/index.ts'
import type { Parse } from '../../schema.ts'
import type { Attributes } from '../attributes/attributes.ts'
import { tracedTry } from '../tracing/traced-work.ts'
import { makeTurn } from './activation-turns.ts'
import type { StepOptions, StepStream, StepStreamOptions, StepTry, Undo } from './body.ts'
import { earlyMs, pauseAfter, pauseMs, policyOf, unsureMs } from './decide.ts'
import { emitFlow } from './events.ts'
import type {
  ActivationTerms,
  Present,
  RunBackground,
  RunContext,
  RunMessages,
  StartRequest,
} from './messages.ts'
import { recordedEntitiesOf, runKind } from './parts.ts'
import {
  type Awaited,
  isOver,
  type Named,
  namesMax,
  type Operation,
  type OperationKind,
  type Outcome,
  parentEnded,
  parentOf,
  type Recorded,
  type RunState,
  typeOfRun,
  undoKey,
} from './record.ts'
import type { Asked, Replay } from './replay.ts'
import { StepStreams } from './step-streams.ts'
import type { Turned } from './turns.ts'
import { hashOfText, type Input, outcomeOf } from './values.ts'

/** The activation of a run, for its operations. */
export interface Carrier {
  readonly type: string
  readonly id: string
  readonly background: RunBackground
  /** The state at the beginning of this activation. */
  readonly state: RunState
  /** The activation carries out no further operation. */
  readonly isStopped: boolean
  /** The body has ended. */
  readonly isBodyOver: boolean
  /** The instance closes: no try begins. */
  readonly isClosing: boolean
  /** A cancel is acknowledged: no try of the body begins. */
  readonly isCancelling: boolean
  readonly present: Present
  readonly terms: Pick<ActivationTerms, 'entities'>
  /**
   * Records what is known of an operation, with its outcome if it has one. `done`: the streams of the try
   * that is its last.
   */
  record(active: Active, change: Partial<Operation>, done?: StepStreams): Promise<void>
  /** The run cannot go on. */
  block(error: KeptError): void
  /** The span of the activation. */
  readonly traced: Traced | undefined
  /** Makes a turn of the run, with what its body has said before. */
  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>): Promise<R>
  /** A wait that holds up neither the rest of the run nor a close. */
  passively<T>(wait: Promise<T>): Promise<T>
  /** Calls the function of a step: the operations that it asks for before it waits are refused. */
  inStep<T>(run: () => T): T
  /** Looks whether a signal is there for an operation that waits. */
  readSignals(): Promise<void>
}

/** Carries out an operation. */
export const perform = async (carrier: Carrier, active: Active): Promise<void> => {
  const { parts } = active
  if (parts.step) return performStep(carrier, active, parts.step)
  if (parts.kind === 'sleep') return performSleep(carrier, active, parts.at?.() ?? 0)
  if (parts.kind === 'wait' || parts.kind === 'update')
    return performWait(carrier, active, parts.at?.())
  if (parts.child) return performChild(carrier, active, parts.child)
  // The caller that waits for an answer gets it in the turn that records it.
  if (parts.answer) return carrier.record(active, parts.answer)
  // The turn that records it sets the attributes.
  if (parts.change) return carrier.record(active, parts.change)
}

/** The step that undoes one, in `scope`: it has the key of its tries. */
export const undoing = (carrier: Carrier, done: Active, scope: Scope): ActiveParts => {
  const { outcome } = done.recorded ?? {}
  const value = outcome?.kind === 'ok' ? outcome.value : undefined
  return {
    kind: 'step',
    key: undoKey(done.key),
    scope,
    step: {
      run: async ({ app, key, signal }) =>
        void (await done.parts.undo?.({ app, key, value: value as never, signal })),
      tryKey: triedKey(carrier, done),
      policy: policyOf({ max: undoTries }),
      timeoutMs: undefined,
      repeat: 'safe',
      onFailed: (error) => carrier.block(error),
    },
  }
}

/** The tries of an undo; then the run is blocked. */
const undoTries = 20

/** The key of the tries of a step. */
const tryKey = ({ type, id, state: { birth, round } }: Carrier, key: string): string =>
  `flow/${type}/${id}/${birth}/${round}/${key}`

/** The key of the tries that a step has had: of this run in an earlier round, or of another run. */
const triedKey = (carrier: Carrier, { key, recorded }: Active): string => {
  if (!recorded?.outcome) return tryKey(carrier, key)
  const { type, id, state } = carrier
  const { triedBy = `${type}/${id}/${state.birth}`, round = 0 } = recorded
  return `flow/${triedBy}/${round}/${key}`
}

/** A step as it is carried out. */
export type Step = {
  readonly run: (attempt: StepTry) => unknown
  /** Of an undo: the key of the tries of the step which it undoes. */
  readonly tryKey?: string
  readonly policy: FullRetry
  readonly timeoutMs: number | undefined
  readonly repeat: StepOptions['repeat']
  /** Gets its last failure, which is its outcome by default. */
  readonly onFailed?: (error: KeptError) => void
}

/** Runs a step until it has an outcome. */
const performStep = async (carrier: Carrier, active: Active, step: Step): Promise<void> => {
  try {
    await tryStep(carrier, active, step)
  } finally {
    // A run that rests, or was cut off, tries it again in its next activation.
    const { isStopped, present } = carrier
    if (!isStopped && active.recorded?.tries) present.failing.passes(active.recorded)
  }
}

const tryStep = async (carrier: Carrier, active: Active, step: Step): Promise<void> => {
  const { policy, repeat } = step
  const fails = (error: KeptError, change: Partial<Operation> = noOptions): void | Promise<void> =>
    step.onFailed
      ? step.onFailed(error)
      : carrier.record(active, { ...change, outcome: { kind: 'error', error } })
  const { clock } = carrier.background.system
  const isOnce = repeat === 'once'
  if (active.recorded?.hasBegun) return carrier.block(unknownStep(active.key))
  const [work, actor] = [workOf(carrier), actorOf(carrier)]
  if (work.endedUnder(actor, active.key)) {
    work.isParked(actor, active.key)
    return carrier.block(unknownStep(active.key))
  }
  const { failure, tries: made = 0 } = active.recorded ?? {}
  // The program in which it failed may have had more tries.
  if (failure && made >= (isOnce ? 1 : policy.max)) return fails(failure)
  for (;;) {
    const { tries = 0, dueAt: beginsAt = 0 } = active.recorded ?? {}
    if (!(await waitUntil(carrier, active, beginsAt)) || carrier.isClosing || carrier.isStopped)
      return
    // Another member may have the run by now, and begin the same try.
    if (carrier.terms.entities.isUnsure) {
      if (await waitUntil(carrier, active, shardTime(carrier.background).now() + unsureMs)) continue
      return
    }
    if (isOnce) {
      await carrier.record(active, { hasBegun: true })
      if (!active.recorded?.hasBegun) return
    }
    if (carrier.present.isCancelled && (await isCancelled(carrier))) return
    if (active.isOver || carrier.isCancelling) return
    const attempt = tries + 1
    active.mayHaveBegun = true
    const tried = await tracedTry(carrier, { key: active.key, attempt }, (scope) =>
      outcomeOfTry(carrier, active, step, attempt, scope),
    )
    if (tried === undefined) return
    const { outcome, error, isFinal } = tried
    // Nothing begins in a close: the next activation makes the same try.
    if (!isOnce && work.isTooLate(error)) return
    if (!isOnce && work.isTooEarly(error)) {
      if (await waitUntil(carrier, active, shardTime(carrier.background).now() + earlyMs)) continue
      return
    }
    if (outcome.kind === 'ok') return carrier.record(active, { outcome }, tried.streams)
    const inMs = isOnce || isFinal ? undefined : pauseAfter(policy, attempt, error, clock)
    const now = shardTime(carrier.background).now()
    const dueAt = inMs === undefined ? undefined : now + inMs
    const triesMax = isOnce ? 1 : policy.max
    const failingSince = active.recorded?.failingSince ?? now
    const times = { tries: attempt, failingSince, ...(Number.isFinite(triesMax) && { triesMax }) }
    if (dueAt !== undefined) {
      await carrier.record(active, { ...times, failure: outcome.error, dueAt })
      carrier.traced?.retries({ of: active.key, attempt, inMs: dueAt - now })
      if (!active.isOver && active.recorded) carrier.present.failing.failed(active.recorded)
    } else await fails(outcome.error, times)
    carrier.present.failing.logs(active.key, outcome.error, times, dueAt, now)
    const failed = { key: active.key, tries: attempt, retryAt: dueAt, error: outcome.error }
    emitFlow(carrier, 'flow.failed', failed)
    if (dueAt === undefined) return
  }
}

/** The run, as a member of others notes it. */
const actorOf = ({ type, id }: Carrier): string => `flow/${type}/${id}`

const workOf = ({ terms }: Carrier) => terms.entities.work

/**
 * Whether a cancel had its turn. It may be acknowledged before this activation hears of it; one that was
 * refused holds nothing up.
 */
const isCancelled = ({ background, present }: Carrier): Promise<boolean> =>
  makeTurn(background, (state) => {
    present.isCancelled = isOver(state.status) || state.cancel?.isPlaced === false
    return [present.isCancelled, state]
  })

/** `isFinal`: another try would come to the same. */
type Tried = {
  readonly outcome: Outcome
  readonly error?: unknown
  readonly isFinal?: boolean
  readonly streams?: StepStreams
}

const failed = (error: unknown): Tried => ({
  outcome: { kind: 'error', error: failureRecord(error) },
  error,
})

/** A step that has a value which cannot be stored has done its work: it is not repeated. */
const triedWith = (value: unknown, key: string): Tried => {
  try {
    return { outcome: outcomeOf(value, `the outcome of ${key}`) }
  } catch (error) {
    return { ...failed(error), isFinal: true }
  }
}

/** The failure of a try. One that says something else than the try before is the last one. */
const failedIn = (given: Attempt, error: unknown): Tried => {
  const streams = Attempt.streamsOf(given)
  if (!streams) return failed(error)
  streams.settled().catch(() => undefined)
  const { outcome } = failed(error)
  return { outcome, error, isFinal: streams.isInConflict }
}

/** The outcome of one try; `undefined`: the operation is over before it. */
const outcomeOfTry = (
  carrier: Carrier,
  active: Active,
  { run, tryKey: tried, timeoutMs }: Step,
  attempt: number,
  scope: TraceScope | undefined,
): Promise<Tried | undefined> => {
  const key = tried ?? tryKey(carrier, active.key)
  const abort = new LazyAbort(carrier.background.system.logger, key)
  const given = new Attempt(carrier, abort, key, attempt)
  const runs = () => run(given)
  const begin = () => carrier.inStep(() => (scope ? scope.run(runs) : runs()))
  const settled = (async () => workOf(carrier).alone(actorOf(carrier), active.key, begin))().then(
    (value) => {
      const streams = Attempt.streamsOf(given)
      if (!streams) return triedWith(value, active.key)
      return streams.settled().then(
        () => ({ ...triedWith(value, active.key), streams }),
        (error) => failedIn(given, error),
      )
    },
    (error) => failedIn(given, error),
  )
  active.settled = settled
  return new Promise((resolve) => {
    const expire = (): void => {
      const error = new KeelsonError('TIMEOUT', `${active.key} took longer than ${timeoutMs} ms`)
      resolve(failed(error))
      abort.abort(error)
    }
    const { clock } = carrier.background.system
    const disarm = timeoutMs === undefined ? undefined : clock.after(timeoutMs, expire)
    const forget = active.whenOver((reason) => {
      disarm?.()
      resolve(undefined)
      abort.abort(reason)
    })
    const forgetLapse = workOf(carrier).whenLapsed((reason) => abort.abort(reason))
    void settled.then((tried) => {
      disarm?.()
      forget()
      forgetLapse()
      resolve(tried)
    })
  })
}

/** The argument of a step. Each member is its own: a step may take them apart. Most never ask for their app. */
class Attempt implements StepTry {
  static readonly #app = whenRead((given: Attempt) => given.#carrier.background.app)
  static readonly #signal = whenRead((given: Attempt) => given.#abort.signal)
  declare readonly app: AppContext
  readonly key: string
  readonly attempt: number
  readonly stream: StepTry['stream']
  declare readonly signal: AbortSignal
  readonly #carrier: Carrier
  readonly #abort: LazyAbort
  #streams: StepStreams | undefined = undefined

  constructor(carrier: Carrier, abort: LazyAbort, key: string, attempt: number) {
    this.key = key
    this.attempt = attempt
    this.stream = (name, options) => this.#stream(name, options) as Promise<never>
    this.#carrier = carrier
    this.#abort = abort
    Object.defineProperty(this, 'app', Attempt.#app)
    Object.defineProperty(this, 'signal', Attempt.#signal)
  }

  /** Those of a try, if it has opened any. */
  static streamsOf(given: Attempt): StepStreams | undefined {
    return given.#streams
  }

  #stream(name: string, options?: StepStreamOptions): Promise<StepStream> {
    const carrier = this.#carrier
    this.#streams ??= new StepStreams({
      entity: `${runKind(carrier.type)}/${carrier.id}`,
      app: this.app,
      key: this.key,
      attempt: this.attempt,
      over: () => this.#abort.aborted,
      turn: (change) => carrier.turn(change),
    })
    return this.#streams.open(name, options)
  }
}

/** The signal of a try, which is made when the step asks for it: most steps never do. */
class LazyAbort {
  readonly #logger: Logger
  readonly #title: string
  #controller: AbortController | undefined = undefined
  #aborted: { readonly reason: unknown } | undefined = undefined

  constructor(logger: Logger, title: string) {
    this.#logger = logger
    this.#title = title
  }

  get signal(): AbortSignal {
    this.#controller ??= guardedAbort(this.#logger, this.#title)
    if (this.#aborted) this.#controller.abort(this.#aborted.reason)
    return this.#controller.signal
  }

  /** Why it has aborted; `undefined`: it has not. */
  get aborted(): { readonly reason: unknown } | undefined {
    return this.#aborted
  }

  abort(reason: unknown): void {
    this.#aborted = { reason }
    this.#controller?.abort(reason)
  }
}

/** Waits until a time, on the clock of the shard. False: the operation is over before. */
const waitUntil = async (carrier: Carrier, active: Active, at: number): Promise<boolean> => {
  const time = shardTime(carrier.background)
  if (!active.isOver && time.now() < at)
    await carrier.passively(
      new Promise<void>((resolve) => {
        const endWait = time.at(at, () => {
          forget()
          resolve()
        })
        const forget = active.whenOver(() => {
          endWait()
          resolve()
        })
      }),
    )
  return !active.isOver
}

/** A timer. It is recorded when it begins. */
const performSleep = async (carrier: Carrier, active: Active, at: number): Promise<void> => {
  if (active.recorded?.dueAt === undefined) await carrier.record(active, { dueAt: at })
  if (await waitUntil(carrier, active, active.recorded?.dueAt ?? at))
    await carrier.record(active, { outcome: { kind: 'ok' } })
}

/** A wait for a signal. One with a time is recorded when it begins. */
const performWait = async (
  carrier: Carrier,
  active: Active,
  at: number | undefined,
): Promise<void> => {
  if (at !== undefined && active.recorded?.dueAt === undefined)
    await carrier.record(active, { dueAt: at })
  await carrier.readSignals()
  // A time that has begun holds, though an earlier program gave it: its alarm has to end the wait.
  const dueAt = active.recorded?.dueAt ?? at
  if (dueAt === undefined) return carrier.passively(overOf(active))
  if (await waitUntil(carrier, active, dueAt)) {
    // A signal that came in time goes first.
    await carrier.readSignals()
    await carrier.record(active, { outcome: { kind: 'ok' } })
  }
}

const overOf = (active: Active): Promise<void> =>
  new Promise((resolve) => void active.whenOver(() => resolve()))

/** The outcome of the handler of an update. */
export const answerOf = async (
  name: string,
  handle: () => unknown,
  parse?: Parse,
): Promise<Outcome> => {
  try {
    const answer = await handle()
    const of = `the answer of the update ${name}`
    return outcomeOf(parse ? parse(answer, of) : answer, of)
  } catch (error) {
    return { kind: 'error', error: failureRecord(error) }
  }
}

/** A child. Its end is recorded by the entity of this run. */
const performChild = async (
  carrier: Carrier,
  active: Active,
  { id: own, input, attributes, isAbandoned }: Child,
): Promise<void> => {
  const { type, id, state, background } = carrier
  const child = childOf(carrier, active, own)
  // A child that is begun again has lost its name.
  if (active.recorded?.child === undefined)
    await carrier.record(active, { child, ...(isAbandoned && { isAbandoned }) })
  const number = active.recorded?.number
  // A parent that has ended by now, or is cancelled, begins no child.
  if (number === undefined || active.isOver || carrier.isCancelling) return
  const { root = `${type}/${id}` } = state
  const parent = parentOf(type, id, state, number)
  const request: StartRequest = { ...input(), ...(attributes && { attributes }), parent, root }
  try {
    const asked = askUntil(carrier, active, () => call(runOf(background, child), 'start', request))
    if (!(await asked)) return
  } catch (error) {
    if (!isMissing(error))
      return carrier.record(active, { outcome: { kind: 'error', error: keptError(error) } })
    active.lacks = keptError(error)
  }
  await carrier.passively(overOf(active))
}

/**
 * Cancels the child of an operation. Answers whether there is one whose end will come. Never settles if
 * the activation has ended: a parent does not end before such a child.
 */
export const cancelChild = async (carrier: Carrier, active: Active): Promise<boolean> => {
  const { recorded } = active
  if (!recorded) return false
  const child = childOf(carrier, active, active.parts.child?.id)
  const parent = parentOf(carrier.type, carrier.id, carrier.state, recorded.number)
  const request = { reason: parentEnded(parent), force: false, parent }
  try {
    const asked = askUntil(carrier, undefined, () =>
      call(runOf(carrier.background, child), 'cancel', request),
    )
    return (await asked) !== undefined || (await new Promise<never>(() => undefined))
  } catch (error) {
    // It has not begun, or is no child of this run.
    if (isKeelsonError(error, 'CONFLICT')) return false
    // The end of the run asks again.
    if (!carrier.isBodyOver) return false
    carrier.block(keptError(error))
    return new Promise<never>(() => undefined)
  }
}

/** The run of a child, as `type/id`. */
const childOf = (
  carrier: Carrier,
  { key, type, recorded }: Active,
  id: string | undefined,
): string => recorded?.child ?? `${type}/${id ?? hashOfText(tryKey(carrier, key)).toString('hex')}`

/** The run that is named `type/id`, by stored data. @throws KeelsonError a `missingDeclaration` */
export const runNamed = (app: unknown, run: string): Ref<RunMessages> => {
  const type = typeOfRun(run)
  return recordedEntitiesOf<RunMessages>(app, 'workflow', type).ref(run.slice(type.length + 1))
}

/** The same, for calls of a durable actor. */
export const runOf = (from: Pick<RunContext, 'app' | 'to'>, run: string): Ref<RunMessages> =>
  from.to(runNamed(from.app, run))

/** Codes after which the same question may be answered. */
const transient: readonly string[] = [
  'TIMEOUT',
  'EXITED',
  'SHARD_DOWN',
  'ELSEWHERE',
  'NO_SPACE',
  'BUSY',
  'NO_PROCESS',
  'BLOCKED',
  // A link to the owner may end before the question has left.
  'NOT_SUBMITTED',
  // A start and a cancel may be repeated.
  'UNKNOWN_OUTCOME',
  // The owner runs another version for now.
  'UNSUPPORTED_VERSION',
]

/** Whether the same question may be answered after such a failure. */
export const isTransient = (error: unknown): boolean =>
  isKeelsonError(error) && transient.includes(error.code) && !isMissing(error)

/** A pause looks so often whether it is still wanted, in ms: a close waits no longer for it. */
const lookMs = 1_000

/**
 * Asks until there is an answer. `undefined`: the activation, or the operation, is over, or its run is
 * cancelled.
 */
const askUntil = async <T>(
  carrier: Carrier,
  active: Active | undefined,
  ask: () => Promise<T>,
): Promise<T | undefined> => {
  const { clock } = carrier.background.system
  const hasEnded = (): boolean =>
    carrier.isStopped ||
    carrier.isClosing ||
    (active !== undefined && (active.isOver || carrier.isCancelling))
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      // The instance closes: the next activation asks.
      if (isKeelsonError(error, 'CLOSED')) return undefined
      if (!isTransient(error)) throw error
    }
    for (let leftMs = pauseMs(tries, clock); leftMs > 0 && !hasEnded(); leftMs -= lookMs)
      await passed(clock, Math.min(leftMs, lookMs))
    if (hasEnded()) return undefined
  }
}

/** Why a step of `once`, or one under which two processes have ended, does not run again. */
export const unknownStep = (key: string): KeptError => ({
  name: 'KeelsonError',
  code: 'UNKNOWN_STEP',
  message: `whether the step ${key} has run is not known: settle it, or retry the run`,
})

// An operation as its activation carries it out, and the scopes that are cancelled together.

/** The fixed parts of an operation. */
export type ActiveParts = {
  readonly kind: OperationKind
  readonly key: string
  readonly scope: Scope
  /** Of a child: its workflow. */
  readonly type?: string
  /** Of a wait: the name of its signal, or of its update. */
  readonly signal?: string
  /** Of a step: how many tries it has. */
  readonly triesMax?: number
  readonly step?: Step
  /** Of a step: undoes it if the run does not complete. */
  readonly undo?: ((did: Undo<never>) => unknown) | undefined
  /** Of a timer, and of a wait with a time: until when. It counts from the moment in which it begins. */
  readonly at?: (() => number) | undefined
  readonly child?: Child
  /** Of the answer of an update. */
  readonly answer?: Answer
  /** Of attributes: the outcome with their changes. */
  readonly change?: Pick<Operation, 'outcome'>
}

/** A child. Without an id it has a hash of its key. `isAbandoned`: it goes on when its parent ends. */
export type Child = {
  readonly id: string | undefined
  /** @throws KeelsonError `INVALID_ARGUMENT`, which blocks the run */
  readonly input: () => Input
  readonly attributes: Attributes | undefined
  readonly isAbandoned: boolean
}

/** The answer of the update of this name in its run. */
export type Answer = { readonly update: string; readonly outcome: Outcome }

/** Whether an operation is a child that is cancelled when its parent ends. */
export const endsWithParent = ({ child }: Pick<ActiveParts, 'child'>): boolean =>
  child !== undefined && !child.isAbandoned

/** An operation from its asking to its outcome. */
export class Active implements Asked {
  readonly parts: ActiveParts
  readonly kind: OperationKind
  readonly key: string
  recorded: Recorded | undefined = undefined
  /** The body has its outcome, or waits for it no more. */
  isOver = false
  /** Of a step: a try of it began, perhaps in an earlier activation. */
  mayHaveBegun = false
  /** Its row is being written: a signal for it waits until its number is known. */
  isRecording = false
  /** Why it cannot begin in this program: the run is blocked once nothing else of it goes on. */
  lacks: KeptError | undefined = undefined
  /** Resolves when the function of a step has settled. */
  settled: Promise<unknown> | undefined = undefined
  /** The error that the body got. */
  thrown: unknown = undefined
  /** Where the body has asked for it, while a run that has diverged is replayed once more. */
  askedAt: Error | undefined = undefined
  readonly promise: Promise<unknown>
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void
  #onOver: Set<(reason: unknown) => void> | undefined = undefined

  get type(): string | undefined {
    return this.parts.type
  }

  constructor(parts: ActiveParts) {
    this.parts = parts
    this.kind = parts.kind
    this.key = parts.key
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A body may leave an operation alone.
    this.promise.catch(() => undefined)
  }

  resolve(value: unknown): void {
    this.#ends(undefined)
    this.#resolve(value)
  }

  reject(error: unknown): void {
    this.thrown = error
    this.#ends(error)
    this.#reject(error)
  }

  /** Nothing of it goes on, and its promise stays as it is. */
  stop(reason: unknown): void {
    this.#ends(reason)
  }

  /** Calls `act` when it is over, at once if it is. Returns a function that ends this. */
  whenOver(act: (reason: unknown) => void): () => void {
    if (this.isOver) act(undefined)
    else {
      this.#onOver ??= new Set()
      this.#onOver.add(act)
    }
    return () => this.#onOver?.delete(act)
  }

  #ends(reason: unknown): void {
    this.isOver = true
    const acts = this.#onOver ?? []
    this.#onOver = undefined
    for (const act of acts) act(reason)
  }
}

/** The steps among these operations that run, as the report of a close names them. */
export const runningSteps = (operations: Iterable<Active>): readonly string[] =>
  [...operations]
    .filter(({ kind, mayHaveBegun }) => kind === 'step' && mayHaveBegun)
    .map(({ key }) => `step ${key}`)

/** Operations that are cancelled together: those of a body, or of a branch of `all`. */
export class Scope {
  /** The prefix of their keys. */
  readonly prefix: string
  readonly #outer: Scope | undefined
  #cancelled: unknown = undefined
  #onLeft: Set<() => void> | undefined = undefined

  constructor(prefix = '', outer?: Scope) {
    this.prefix = prefix
    this.#outer = outer
  }

  /** Why nothing begins in it. */
  get cancelled(): unknown {
    return this.#cancelled ?? this.#outer?.cancelled
  }

  /** A scope that is cancelled with this one. */
  branch(prefix: string): Scope {
    return new Scope(this.prefix + prefix, this)
  }

  isIn(scope: Scope): boolean {
    return this === scope || this.#outer?.isIn(scope) === true
  }

  /** Nothing begins in it, and what is in flight is rejected. */
  cancel(reason: unknown): void {
    if (this.cancelled === undefined) this.#cancelled = reason
  }

  /** Nothing begins in it, and what is in flight stays unsettled: nobody waits for it. */
  leave(reason: unknown): void {
    this.cancel(reason)
    for (const act of this.#onLeft ?? []) act()
  }

  /** Calls `act` when this scope, or one around it, is left. Returns a function that ends this. */
  whenLeft(act: () => void): () => void {
    this.#onLeft ??= new Set()
    this.#onLeft.add(act)
    const forget = this.#outer?.whenLeft(act)
    return () => {
      this.#onLeft?.delete(act)
      forget?.()
    }
  }
}

/** The operations of this scope, which the body waits for no more from here on. */
export function* takenIn(replay: Replay<Active>, scope: Scope): Iterable<Active> {
  for (const active of [...replay.inFlight]) {
    if (!active.parts.scope.isIn(scope)) continue
    // An earlier activation may have begun it, and the record need not show that. Whether this is
    // the first one must not count: an undo would come or not by chance, as crashes come.
    active.mayHaveBegun = true
    replay.drop(active)
    yield active
  }
}

/** When the first timer of these operations is due, in ms since 1970; without one `Infinity`. */
export const nextDue = (inFlight: Iterable<Active>): number =>
  Math.min(...[...inFlight].flatMap(({ recorded }) => recorded?.dueAt ?? []))

/** The next event of these operations: the earliest with a time, or the first. */
const nextOf = (inFlight: readonly Active[]): Awaited | undefined => {
  const found = inFlight.map(awaitedBy)
  const timed = found.filter(({ until }) => until !== undefined)
  const next = timed.sort((one, other) => (one.until ?? 0) - (other.until ?? 0))[0]
  // A body may always take updates.
  return next ?? found.find(({ kind }) => kind !== 'update') ?? found[0]
}

/** That event, with the other signals and updates that a body waits for. */
export const awaitedOf = (inFlight: readonly Active[]): Awaited | undefined => {
  const first = nextOf(inFlight)
  if (!first || inFlight.length === 1) return first
  const others = inFlight.filter(isWait).map(named)
  const distinct = others.filter(
    (each, at) => !isSame(each, first) && at === others.findIndex((other) => isSame(each, other)),
  )
  if (distinct.length === 0) return first
  return Object.assign({}, first, { others: distinct.slice(0, namesMax - 1) })
}

/** Whether it is a wait for a signal or an update. Its row, if it has one, does not name that. */
export const isWait = ({ kind }: Active): boolean => kind === 'wait' || kind === 'update'

/** The event that an operation waits for. */
export const named = (active: Active): Named => {
  const { kind, name } = awaitedBy(active)
  return { kind, name }
}

/** Whether two events are the same one. */
export const isSame = (one: Named, other: Named): boolean =>
  one.kind === other.kind && one.name === other.name

const awaitedBy = ({ kind, key, parts, recorded }: Active): Awaited & Required<Named> => {
  const until = recorded?.dueAt === undefined ? {} : { until: recorded.dueAt }
  if (kind === 'update') return { kind, name: parts.signal ?? key }
  if (kind === 'wait') return { kind: 'signal', name: parts.signal ?? key, ...until }
  if (kind === 'child') return { kind: 'child', name: recorded?.child ?? key }
  if (kind !== 'step') return { kind: 'timer', name: key, ...until }
  const error = recorded?.failure
  return { kind: 'retry', name: key, ...until, ...(error && { error }) }
}
