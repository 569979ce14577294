/**
 * The process of a durable actor: a GenServer around the user's server. It makes each message a
 * turn: the handler runs on the state in memory, the unit of the turn goes to the log, and the next
 * message is handled at once. Its messages wait in `turn-outputs.ts` for the unit, which
 * `turn-log.ts` brings into the log. `decide.ts` decides about each turn, and this file carries the
 * decision out: a durable turn shows its state; a refused one is taken back together with the turns
 * after it, which began on a state that does not exist. They are handled again, in their order, after
 * the consequence of the refusal.
 *
 * A handler that throws ends the process, as in OTP, and its turn never happened; `afterThrow` has
 * the exceptions. A failed step or alarm ends nothing: it is recorded for
 * another try.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  type AnyContext,
  badAnswer,
  cast,
  describeReason,
  HandlerLimit,
  isAnswer,
  isCall,
  isThenable,
  kinds,
  type Message,
  NextStep,
  noReply,
  ok,
  type PendingCall,
  type Process,
  processOf,
  refuse,
  stop,
  unchanged,
} from '../../runtime/index.ts'
import type { Turn, TurnMark } from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'
import { emit } from '../core/storage-events.ts'
import { CallIds } from '../turns/call-ids.ts'
import {
  afterRefusal,
  afterThrow,
  type BeforeTurn,
  beforeTurn,
  type Condition,
  isGone,
  isVoid,
  type Refused,
  type TurnEffect,
} from '../turns/decide.ts'
import type { Handler } from '../turns/durable-table.ts'
import type { EndOptions } from '../turns/lifetime.ts'
import type { Memory, Step } from '../turns/memory.ts'
import { isDamageOf } from '../turns/own-rows.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import { TurnLog, type TurnPort, type Written } from '../turns/turn-log.ts'
import { type HeldCall, TurnOutputs } from '../turns/turn-outputs.ts'
import {
  type Answer,
  asBefore,
  changing,
  failing,
  isPast,
  neverDurable,
  overtaken,
  ownRun,
  Run,
  stepOf,
  throwing,
  undecidable,
} from '../turns/turn-run.ts'
import { decidedMark, writeTurn } from '../turns/turn-storage.ts'
import { blocked, callIdsOf, recall } from '../turns/waking.ts'
import { Background } from './background.ts'
import { CurrentTurn } from './current-turn.ts'
import type { DurableTerms } from './durable-terms.ts'
import { FailedTries } from './failed-tries.ts'
import { Idleness } from './idleness.ts'
import { askAgainAt, readyAlarms, readyStep } from './recorded-work.ts'
import type { SharedContext } from './try-context.ts'

/** The life of an actor in its process. */
type Life =
  /** It has read nothing, or its rows are being rebuilt. */
  | 'asleep'
  /** Its waking has begun: a next message does not wake it again. */
  | 'awake'
  /** It takes no turn until `unblock`, which ends this process and lets a new one start. */
  | 'blocked'
  /** It has no row, and the message for which it wakes is to delete it. It is not born for that. */
  | 'nothing'

/** After most turns the loop takes the next message. */
const goesOn = stepOf(noReply(unchanged))

/**
 * A durable actor in its process: the state of the server loop. It imports the other files of a turn,
 * and none of these imports it. Only `ending.ts`, `own-turns.ts` and `turn-server.ts` do: they end the
 * actor, run its recorded steps and alarms, and hand it the messages.
 */
export class DurableProcess implements Condition, TurnPort<TurnDraft> {
  readonly terms: DurableTerms
  readonly context: SharedContext
  readonly idleness: Idleness
  readonly background: Background
  readonly #process: Process
  readonly #log: TurnLog<TurnDraft>
  readonly #outputs: TurnOutputs
  /** The failed tries of its steps and alarms. */
  readonly tries: FailedTries
  /** The turn at hand, and the known state. */
  readonly hand: CurrentTurn
  /** Of the user's handlers alone: the waits for the storage around them do not count. */
  readonly limit: HandlerLimit | undefined
  #life: Life = 'asleep'
  /** Why it is blocked. */
  #blocked: KeelsonError | undefined
  #ids: CallIds | undefined
  /** The last durable state. Other processes may see this state. */
  shown: unknown
  /** It ends by itself, to rest or to be removed: its messages go to its successor. */
  rests = false
  /** The last answer, which leaves after `terminate`, as in OTP. */
  lastReply: (() => void) | undefined
  #taken: readonly Message[] | undefined = undefined
  /** When the timeout is due that the last handler asked for, by the monotonic clock. */
  #timeoutAt: number | undefined
  #unlessCutOff: (() => void) | undefined

  constructor(terms: DurableTerms, context: SharedContext) {
    this.terms = terms
    this.context = context
    this.#process = processOf(context)
    this.limit = HandlerLimit.of(this.#process, terms.common.handlerTimeoutMs)
    this.idleness = new Idleness(this.#process, terms.common.idleMs)
    this.background = new Background(terms, context, this.idleness)
    this.#log = new TurnLog<TurnDraft>(this, terms.common.pipeline)
    this.tries = new FailedTries(terms, this.#process)
    this.#outputs = new TurnOutputs(this.#log, context.self, terms.shard)
    this.#process.outputs = this.#outputs
    this.hand = new CurrentTurn(terms, context, this.#log)
  }

  get #entity(): string {
    return this.terms.identity.entity
  }

  get isAwake(): boolean {
    return this.#life === 'awake' || this.#life === 'blocked'
  }

  /** It has no row, and is not born, because it is to be deleted. */
  get isNothing(): boolean {
    return this.#life === 'nothing'
  }

  /** Why the actor is blocked. `unblock` ends this process, and a new process begins. */
  get blocked(): KeelsonError | undefined {
    return this.#blocked
  }

  #blocks(reason: KeelsonError): void {
    this.#life = 'blocked'
    this.#blocked = reason
  }

  /** Whether there is a state that the user's functions may see. */
  get hasState(): boolean {
    return this.#life === 'awake'
  }

  get memory(): Memory {
    return this.hand.memory
  }

  get isSettled(): boolean {
    return this.#log.isSettled
  }

  settled(): Promise<boolean> {
    return this.#log.settled()
  }

  // Its life.

  /**
   * Reads the state, or makes the first one. Waits for the shard, unless it is down. `isToDelete`: the
   * message for which it wakes is to delete it.
   */
  async wake(isToDelete = () => false): Promise<void> {
    const { shard, table, identity } = this.terms
    const earlier = this.terms.mayWake()
    const mayBegin = earlier === undefined ? !shard.isStill : await shard.unlessStill(earlier)
    await shard.settled()
    if (!mayBegin || shard.phase.kind !== 'open') return
    this.#life = 'awake'
    try {
      const failure = this.terms.blockedBy
      if (failure) throw failure
      const known = recall(shard, identity, table)
      if (!known && isToDelete()) {
        this.#life = 'nothing'
        return
      }
      if (known) this.shown = this.hand.remember(known)
      else await this.hand.bear()
      if (table.wake) await table.wake(this.memory.state, this.context)
    } catch (error) {
      const mends = shard.mends(error)
      const reason = isDamageOf(this.#entity, error) ? blocked(this.#entity, error) : error
      if (!mends && !isKeelsonError(reason, 'BLOCKED')) throw error
      if (this.hand.open) this.hand.fail(this.hand.open, reason)
      if (mends) {
        // Its rows are being rebuilt: it wakes with them.
        this.#life = 'asleep'
        return this.wake(isToDelete)
      }
      this.#blocks(reason as KeelsonError)
    }
    this.terms.woke(this.#blocked)
  }

  /** The result of `init`: steps that a former life recorded run first. */
  first(): unknown {
    // Also if it is not awake: the processes of calls while the shard is down end too.
    this.idleness.watch()
    this.#wakesLater()
    return ok(this, this.next().next)
  }

  /**
   * A durable worker that begins while its shard is down wakes when that is open: it may have begun
   * something by itself, for which no message comes. An entity has its rest.
   */
  #wakesLater(): void {
    const { shard, common } = this.terms
    if (this.isAwake || common.idleMs !== undefined) return
    if (shard.isStill) void shard.changed().then(() => this.#wakesLater())
    else this.rouse()
  }

  /** Replaces the state from outside: a turn after the ones that wait to be handled again. */
  replace(request: PendingCall, change: (state: unknown) => unknown): void {
    const run = changing(change, this.#outputs.answering(request))
    if (!this.isAwake) this.#reject(run, this.terms.shard.unavailable())
    else if (this.#log.hasRedo) this.#log.redoLast(run)
    else void this.#handle(run)
  }

  /**
   * The process has ended. Links and monitors are notified when its last turn is durable, or at once
   * if the shard goes down or closes.
   */
  ended(notify: () => void): void {
    this.limit?.disarm()
    this.idleness.unwatch()
    this.background.end()
    this.terms.ended(this.#log, this.#process.reason)
    this.#passOn()
    if (this.#log.isEmpty) notify()
    else void this.terms.shard.unlessStill(this.#log.drained()).then(notify)
  }

  /** Takes the messages of users out of the mailbox. */
  takeMessages(): void {
    const taken: Message[] = []
    this.#process.mailbox.removeAll((message) => {
      const isUsers = message.kind <= kinds.info && !message.name.startsWith('$')
      if (!isCall(message) && !isUsers) return false
      taken.push(message)
      return true
    })
    this.#taken = taken
  }

  /** The process has ended, and its name is free: the messages go to its successor. */
  #passOn(): void {
    const taken = (this.#taken ?? []).filter((message) => !isCall(message) || !message.isSettled)
    this.#taken = undefined
    if (taken.length === 0) return
    const next = this.terms.successor()
    for (const message of taken)
      if (next?.admit(message)) {
        if (isCall(message)) next.owed.add(message)
      } else if (isCall(message)) message.fail(endedNormally(this.#entity))
  }

  // A turn.

  /** Handles a message. */
  turn(run: Run): Answer {
    this.idleness.ends()
    if (this.#before(run) === 'begin') return this.#handle(run)
    return this.clear(run).then((end) => end ?? this.#handle(run))
  }

  #before({ from }: Run): BeforeTurn {
    return beforeTurn(this, from !== undefined, from?.call.id !== undefined)
  }

  // Its condition, for `beforeTurn`.

  get isAlive(): boolean {
    return this.#process.alive
  }

  get hasRedo(): boolean {
    return this.#log.hasRedo
  }

  get isFull(): boolean {
    return this.#log.isFull
  }

  get knowsIds(): boolean {
    return this.#ids !== undefined
  }

  get isStill(): boolean {
    return this.terms.shard.isStill
  }

  get isClosed(): boolean {
    return this.terms.shard.phase.kind === 'closed'
  }

  get isCutOff(): boolean {
    return this.#cutOff !== undefined
  }

  /** The reason why a process that must end waits no longer: its turns wait for space. */
  get #cutOff(): KeelsonError | undefined {
    const { refusal, shutdownAt } = this.#process
    return shutdownAt === undefined ? undefined : refusal?.()
  }

  /** Resolves when `work` is done, nothing can become durable for now, or the process is cut off. */
  unlessCutOff(work: Promise<unknown>): Promise<unknown> {
    const done = this.terms.shard.unlessStill(work)
    return new Promise<void>((resolve) => {
      this.#unlessCutOff = () => {
        if (this.isCutOff) resolve()
      }
      this.#process.onceShutdown(this.#unlessCutOff)
      void done.then(() => resolve())
    })
  }

  /** Waits until the turn may begin. Returns a step if it never will. */
  async clear(run: Run): Promise<NextStep | undefined> {
    const { shard } = this.terms
    for (;;) {
      const before = this.#before(run)
      if (before === 'begin') return undefined
      if (before === 'end') return this.next()
      if (before === 'refuse: cut off') return this.#reject(run, this.#cutOff as KeelsonError)
      if (before === 'refuse: shard down') return this.#reject(run, shard.unavailable())
      if (before === 'redo') {
        const end = await this.redoAll()
        if (end) return end
      } else if (before === 'await shard') await shard.changed()
      else if (before === 'wake') await this.wake()
      else if (before === 'await room') await this.unlessCutOff(this.#log.room())
      else await this.#readIds()
    }
  }

  async #readIds(): Promise<void> {
    const { shard, common } = this.terms
    await shard.unlessStill(this.#log.settled())
    await shard.settled()
    if (shard.phase.kind !== 'open') return
    try {
      this.#ids = new CallIds(this.#entity, common.keepIds, callIdsOf(shard, this.#entity))
    } catch (error) {
      // `clear` reads them again.
      if (!shard.mends(error)) throw error
    }
  }

  #handle(run: Run): Answer {
    if (run.from?.call.isSettled || !this.#process.alive || isPast(run, this.memory))
      return this.next()
    const refusal = this.#blocked ?? (run.from && this.#unavailable)
    if (refusal) return this.#reject(run, refusal)
    if (run.parse !== undefined && !this.#enters(run)) return this.next()
    const draft = this.hand.begin(run)
    // A repeated call is answered by a turn without a unit. If the turn whose outcome it gets is taken
    // back because of an earlier refusal, both are handled again.
    if (run.from && this.#ids?.answers(run.from, this.now())) {
      this.hand.leave(draft)
      return this.next()
    }
    const oneTry = run.step || run.alarm ? this.hand.try(draft, this.context) : undefined
    let answer: unknown
    try {
      const { watch, before } = draft
      // Without a closure: its scope would cost each turn, watched or not.
      if (oneTry) answer = this.#try(draft, oneTry.context)
      else if (watch) answer = watch.run(run, before.memory.state, this.context)
      else answer = run.handler(before.memory.state, run.payload, this.context)
      if (NextStep.is(answer) || !isThenable(answer)) return this.#ended(draft, answer)
    } catch (error) {
      return this.#threw(draft, error)
    }
    draft.recording?.awaits()
    const limited = oneTry ? this.limit?.within(answer) : this.limit?.during(answer)
    const ended = (limited ?? Promise.resolve(answer)).then(
      (value) => this.#ended(draft, value),
      (error: unknown) => this.#threw(draft, error),
    )
    return this.background.during(run, ended)
  }

  /** Whether a message fits its schema. A repeat has fitted it before, and is known by what was given. */
  #enters(run: Run): boolean {
    const { name, payload, what, from } = run
    if (this.#ids?.knows(from?.call.id)) return true
    const fault = run.parsed()
    return (
      fault === undefined ||
      !refuse(this.#process, { what, name, payload, call: from?.call }, fault)
    )
  }

  /** Calls the handler of a step or an alarm. */
  #try({ run, watch, before }: TurnDraft, context: AnyContext): unknown {
    const { work, identity } = this.terms
    const { state } = before.memory
    return work.alone(identity.entity, run.what, () =>
      watch ? watch.run(run, state, context) : run.handler(state, run.payload, context),
    )
  }

  /** Why a call cannot be answered now. */
  get #unavailable(): KeelsonError | undefined {
    return this.terms.shard.isStill ? this.terms.shard.unavailable() : this.#process.refusal?.()
  }

  #ended(draft: TurnDraft, step: unknown): Answer {
    const effect = draft.on('ended')
    if (effect !== 'judge') return this.#again(draft, effect)
    const { run, before } = draft
    if (!NextStep.is(step) || !isAnswer(step, run.from !== undefined)) {
      // A try that ended its process, and was not recorded, would come again without a pause.
      if (run.isRecorded) return this.#threw(draft, run.badAnswer(step))
      const reason = badAnswer(step, run.from !== undefined)
      this.hand.fail(draft, undefined)
      this.#crashes(run, reason)
      return stepOf(stop(reason, this))
    }
    const { memory } = before
    if (memory.crash !== undefined) this.tries.succeeded(draft, memory.crash)
    const state = step.state === unchanged ? memory.state : step.state
    try {
      this.hand.addContinue(draft, step)
      if (step.kind === 'reply') run.from?.reply(step.value)
      const rows = this.#ids && draft.remember(this.#ids, step, this.now())
      if (state !== memory.state || draft.hasRecords || rows) this.hand.commit(draft, state, rows)
      else this.hand.leave(draft)
    } catch (error) {
      return this.#refuse(draft, error)
    }
    if (step.kind === 'stop' || step.kind === 'stopReply') return this.#stops(draft, step)
    return this.next(step)
  }

  /**
   * A stop takes effect unless its turn was refused, or has to be handled again. Runs that are to be
   * handled again after it are lost with the process, as its mailbox is (OTP).
   */
  #stops(draft: TurnDraft, step: NextStep): Answer {
    return this.#onceDecided(() => {
      if (isVoid(draft.phase)) return this.proceed()
      if (step.kind === 'stopReply') this.lastReply = () => draft.run.from?.reply(step.value)
      return stepOf(stop(step.reason, this))
    })
  }

  /** Does what ends or blocks the process, when all turns before that are decided. */
  #onceDecided(end: () => Answer): Answer {
    if (this.#log.isEmpty) return end()
    return this.unlessCutOff(this.#log.settled()).then(end)
  }

  #threw(draft: TurnDraft, error: unknown): Answer {
    // The row that it needs is being rebuilt: it is handled again after that.
    if (this.terms.shard.mends(error)) draft.on('blind')
    const effect = draft.on('ended')
    if (effect !== 'judge') return this.#again(draft, effect)
    const { run } = draft
    const next = afterThrow(run.kind, isDamageOf(this.#entity, error))
    if (next === 'answer') return this.#answers(draft, error)
    if (next === 'end' || next === 'block') return this.#fails(draft, error, next === 'end')
    this.hand.fail(draft, error)
    this.#tryFailed(run, error)
    return this.next()
  }

  /** A throw ends the process or blocks it, unless it came of a state that never becomes durable. */
  #fails(draft: TurnDraft, error: unknown, ends: boolean): Answer {
    draft.watch?.ran()
    return this.#onceDecided(() => {
      const effect = draft.on('ended')
      if (effect !== 'judge') return this.#again(draft, effect)
      const { run } = draft
      this.hand.fail(draft, error)
      if (ends) {
        this.#crashes(run, error)
        throw error
      }
      run.from?.call.fail(error)
      this.#tryFailed(run, error)
      return this.next()
    })
  }

  /** The caller gets the throw once the turns before it are durable. */
  #answers(draft: TurnDraft, error: unknown): Answer {
    draft.failed(error)
    draft.drop()
    draft.run.from?.fail(error)
    this.hand.leave(draft)
    return this.next()
  }

  /** Refuses a message at once: the refusal does not depend on the state. */
  #reject(run: Run, error: KeelsonError): NextStep {
    this.#reported(run, error, run.from?.call.fail(error))
    return this.next()
  }

  /** The unit of a turn cannot be made. The caller gets the error after the turns before it. */
  #refuse(draft: TurnDraft, error: unknown): Answer {
    const { run } = draft
    const refused = { error, isOvertaken: false }
    const consequence = () => this.#consequence(run, refused, () => run.from?.fail(error))
    const leaves = (): Answer => {
      this.hand.leave(draft)
      return this.next()
    }
    draft.on('spoilt')
    draft.refused(error)
    draft.undo()
    if (isGone(run.kind, refused)) {
      draft.drop(error)
      consequence()
      return leaves()
    }
    draft.drop()
    // It may not fit a state that is refused itself: then it is handled again, on the one before.
    return this.#onceDecided(() => {
      if (draft.phase !== 'spoilt') return this.#again(draft, 'proceed')
      const next = consequence()
      if (next === undefined) return leaves()
      this.hand.close()
      this.#log.redoFirst(next)
      return this.proceed()
    })
  }

  // The consequences of a turn that did not happen.

  /**
   * Does the next step after a refusal; `fail` answers the caller. Returns the turn that is to be
   * handled next, if there is one.
   */
  #consequence(run: Run, refused: Refused, fail: () => boolean | undefined): Run | undefined {
    const { error } = refused
    const next = afterRefusal(run.kind, refused)
    if ((next === 'retry' || next === 'park') && this.#process.alive) return run.by(throwing(error))
    const onError = this.terms.table.refused[run.name]
    if (next === 'onError' && onError) return failing(onError, run, error)
    if (next === 'end') this.#process.fail(refused.isOvertaken ? overtaken(this.#entity) : error)
    else if (next === 'block') this.#block(run, error)
    else this.#reported(run, error, fail())
    return undefined
  }

  /** A turn was refused. `isAnswered`: its caller has the error; otherwise it is logged. */
  #reported(run: Run, error: unknown, isAnswered: boolean | undefined): void {
    const { context, terms } = this
    const code = isKeelsonError(error) ? error.code : 'INVALID_ARGUMENT'
    terms.trouble.refuses(code)
    const { what } = run
    emit(context.system, terms.shard, 'entity.refused', { entity: this.#entity, what, error })
    // A recorded turn runs again when its actor wakes.
    if (isAnswered || run.isRecorded) return
    const message = `${this.#entity}: ${what} was refused: ${describeReason(error)}`
    this.#process.kernel.logger.error(message, { ...this.#process.logged, reason: error })
  }

  /** The handler of a turn threw whose throw does not end the process. */
  #tryFailed(run: Run, error: unknown): void {
    if (afterThrow(run.kind, isDamageOf(this.#entity, error)) === 'block') this.#block(run, error)
    else
      this.tries.failed(run, error, this.memory.state, (what, change) =>
        this.#record(ownRun('record', what), change),
      )
  }

  /** Its process ends because of this: its row, if it has one, gets the record. */
  #crashes(run: Run, reason: unknown): void {
    if (this.memory.mark === undefined || this.isStill) return
    const crash = this.tries.crashed(run, reason, this.memory)
    this.#record(ownRun('crash', `crash in ${crash.what}`), (draft) => draft.keepCrash(crash))
  }

  /** Blocks the actor: it takes no turn until `unblock`, or until its row is deleted. */
  #block(run: Run, cause: unknown): void {
    const { terms } = this
    const reason = blocked(this.#entity, this.tries.shown(run, cause, this.memory.state))
    this.#blocks(reason)
    terms.trouble.failing.delete(this.#entity)
    terms.blocks(reason)
    // Calls that a handler has kept would never be answered.
    let call = this.#process.owed.first
    while (call !== undefined) {
      const next = call.after
      if (isCall(call) && !call.name.startsWith('$')) call.fail(reason)
      call = next
    }
  }

  // The next action of the loop.

  /**
   * Returns the next action of the loop after `step`: a recorded step that may run goes before the
   * mailbox. Without a `step` no handler has answered. The loop has cancelled the timeout for the
   * message all the same, so the rest of it starts again.
   */
  next(step?: NextStep): NextStep {
    const next = step && step.next !== asBefore ? step.next : this.timeoutLeft
    const timeoutMs = ownOf(next, 'timeoutMs')
    const isHeard = timeoutMs !== undefined && this.terms.table.timeout !== undefined
    this.#timeoutAt = isHeard ? this.#monotonic() + timeoutMs : undefined
    if (this.ready) return stepOf(noReply(this, { continue: ['$step'] }))
    if (next === undefined) return goesOn
    if (timeoutMs !== undefined) return stepOf(noReply(this, { timeoutMs }))
    const hibernates = ownOf(next, 'hibernate') === true
    if (hibernates) this.#hibernates()
    return stepOf(noReply(this, hibernates ? { hibernate: true } : undefined))
  }

  /** The timeout that the last handler asked for, while it runs. */
  get timeoutLeft(): NextStep['next'] {
    if (this.#timeoutAt === undefined) return undefined
    return { timeoutMs: Math.max(0, this.#timeoutAt - this.#monotonic()) }
  }

  #monotonic(): number {
    return this.#process.kernel.clock.monotonic()
  }

  /** The time without a message is over. It is not over again if this turn is refused. */
  timesOut(handler: Handler): Answer {
    this.#timeoutAt = undefined
    return this.turn(new Run('message', handler, undefined, 'timeout', 'timeout'))
  }

  /** The process rests once its turns are out. */
  #hibernates(): void {
    if (!this.isSettled) this.idleness.piped(this.settled())
    this.idleness.hibernates()
  }

  // Its recorded work.

  /** Work of an actor whose shard leaves, or may have another owner now, begins at that one. */
  get mayBegin(): boolean {
    const { work, shard } = this.terms
    return work.mayBegin && !shard.isLeaving && shard.unsure === undefined
  }

  /** The first step that may run. */
  get ready(): Step | undefined {
    const { memory } = this
    if (this.#blocked || memory.steps.length === 0 || !this.mayBegin) return undefined
    return readyStep(memory, this.now(), this.tries)
  }

  /** The alarms that may run, the earliest first. */
  get readyAlarms(): ReturnType<typeof readyAlarms> {
    return readyAlarms(this.memory, this.now(), this.tries)
  }

  /** When to ask again, if everything due waits for declarations; `undefined`: nothing does. */
  get askAgainAt(): number | undefined {
    const at = askAgainAt(this.memory, this.now(), this.tries)
    return at !== undefined && !this.ready ? at : undefined
  }

  // The port of the log. It is called when a turn is decided, perhaps while a later handler runs.

  write(unit: Turn, decided: (fate: Written) => void): void {
    writeTurn(this.context.system, this.terms.shard, unit, decided)
  }

  durable({ after }: TurnDraft): void {
    if (after === undefined) return
    this.shown = after.state
    this.tries.durable(after)
    // An idle actor keeps no message in memory.
    if (!this.#process.busy) this.#process.current = undefined
  }

  look(
    tries: number,
    found: (mark: TurnMark | undefined) => void,
    failed: (error: unknown) => void,
  ): void {
    const { context, terms } = this
    decidedMark(context.system, terms.shard, this.#entity, tries).then(found, failed)
  }

  short(first: TurnDraft | undefined, error: KeelsonError): void {
    const { open } = this.#log
    // The current turn is refused too, though its handler still runs.
    if (first && open?.run.from?.call.fail(error)) open.on('short')
    this.#shortens(first?.run, error)
  }

  /** `run` waits for space because of `error`; `undefined`: no turn does. */
  #shortens(run: Run | undefined, error: KeelsonError | undefined): void {
    const { terms, context } = this
    const process = this.#process
    const isNew = process.refusal === undefined
    // The shard may go down while the turn waits.
    const { shard } = terms
    process.refusal = error && (() => (shard.isStill ? shard.unavailable() : error))
    this.#unlessCutOff?.()
    const { waiting } = terms.trouble
    const entity = this.#entity
    if (run === undefined) waiting.delete(entity)
    if (run === undefined || !isNew) return
    const { what } = run
    waiting.set(entity, { entity, what, since: this.now() })
    emit(context.system, terms.shard, 'entity.waits', { entity, what, error })
    const { current, mailbox } = process
    // The current call waits until its turn may begin, or for the turns before it.
    if (process.busy && current && isCall(current)) current.fail(error)
    mailbox.removeAll((message) => isCall(message) && message.fail(error))
  }

  refused(turn: TurnDraft, later: readonly TurnDraft[], refused: Refused): Run | undefined {
    for (const undone of [turn, ...later].reverse()) undone.undo()
    this.hand.takeBack(turn)
    const { run } = turn
    const next = this.#consequence(run, refused, () => run.from?.call.fail(refused.error))
    // The process has ended before the later turns could be handled again.
    if (!this.#process.alive)
      for (const dropped of later)
        if (dropped.run.from === undefined) this.#reported(dropped.run, refused.error, false)
    turn.refused(refused.error)
    return next
  }

  redo(): void {
    this.rouse()
  }

  cut(undecided: readonly TurnDraft[], error: unknown): void {
    for (const { run } of undecided) run.from?.call.fail(undecidable(this.#entity, error))
    for (const turn of undecided) {
      turn.failed(undecidable(this.#entity, error))
      turn.drop()
    }
    if (!isKeelsonError(error, 'CLOSED')) this.#process.fail(error as KeelsonError)
  }

  // Turns that are handled again.

  /** Lets an idle process go on. */
  rouse(): void {
    if (this.#process.alive) cast(this.context.self, '$proceed')
  }

  /** Handles turns again that followed a refused one, then what is ready. */
  async proceed(): Promise<NextStep> {
    if (!this.isAwake) {
      await this.wake()
      this.#wakesLater()
    }
    return (await this.redoAll()) ?? this.next()
  }

  /** Handles the turns again that followed a refused one. Returns a step that ends the process. */
  async redoAll(): Promise<NextStep | undefined> {
    for (let run = this.#log.takeRedo(); run; run = this.#log.takeRedo()) {
      const step = await this.#handle(run)
      if (step.kind === 'stop') return step
    }
    return undefined
  }

  /** Nothing of a turn counts whose handler has ended. Its process may have ended too. */
  #again(draft: TurnDraft, effect: TurnEffect): Answer {
    if (effect === 'nothing') return this.next()
    this.hand.drop(draft)
    return effect === 'awaitRows' ? this.#onceReadable(draft.run) : this.proceed()
  }

  /** Handles a turn again when the shard shows rows. A call is refused if the shard is down. */
  async #onceReadable(run: Run): Promise<NextStep> {
    const { shard } = this.terms
    // If an earlier turn is refused during the wait, that one goes first.
    this.#log.redoFirst(run)
    while (shard.phase.kind !== 'open') {
      if (!this.#process.alive || shard.phase.kind === 'closed') {
        this.#log.dropRedo(run)
        return this.next()
      }
      const refusal = this.#cutOff ?? (run.from && shard.isStill && shard.unavailable())
      if (refusal) {
        this.#log.dropRedo(run)
        return this.#reject(run, refusal)
      }
      await (shard.isStill ? shard.changed() : shard.settled())
    }
    return (await this.redoAll()) ?? this.next()
  }

  /** Waits until no turn is on its way. Returns a step if the call was refused instead. */
  async settle(what: string, from: HeldCall): Promise<NextStep | undefined> {
    while (!this.isAwake || !this.isSettled) {
      const end = await this.clear(ownRun('call', what, from))
      if (end) return end
      if (this.isStill || this.isCutOff) {
        from.call.fail(this.#cutOff ?? this.terms.shard.unavailable())
        return this.next()
      }
      await this.unlessCutOff(this.settled())
    }
    return undefined
  }

  // The parts that its handlers use.

  /** The turn whose handler runs. @throws KeelsonError `INVALID_ARGUMENT` outside of handlers */
  get draft(): TurnDraft {
    return this.hand.draft
  }

  get open(): TurnDraft | undefined {
    return this.hand.open
  }

  /**
   * The rows that the shard shows. While it shows none, the current turn is taken back, and handled
   * again once it does.
   * @throws KeelsonError `SHARD_DOWN`, `CLOSED`
   */
  view(): ReadView {
    const { shard } = this.terms
    if (shard.phase.kind !== 'open') this.hand.open?.on('blind')
    return shard.view()
  }

  now(): number {
    return this.terms.shard.now()
  }

  /**
   * Resolves when every turn that has ended is durable.
   * @throws KeelsonError `NOT_SUBMITTED` if one of them was refused
   */
  async given(): Promise<void> {
    const { open } = this.hand
    if (!(await this.#log.settled()) || (open && isVoid(open.phase)))
      throw neverDurable(this.#entity)
  }

  /** Records a step. @throws KeelsonError `INVALID_ARGUMENT` without a handler of that name */
  addStep(name: string, payload: unknown): Step {
    return this.hand.addStep(this.draft, name, payload)
  }

  /** The actor ends with the current turn. @throws KeelsonError `INVALID_ARGUMENT` */
  end(options: EndOptions): void {
    this.hand.endActor(this.draft, options)
  }

  /** A turn that changes no state, for what the actor itself records. False: no unit can be made. */
  #record(run: Run, change: (draft: TurnDraft) => void): boolean {
    const draft = this.hand.begin(run)
    try {
      change(draft)
      this.hand.commit(draft, draft.before.memory.state)
      return true
    } catch (error) {
      this.hand.fail(draft, error)
      this.#consequence(draft.run, { error, isOvertaken: false }, () => undefined)
      return false
    }
  }
}

const endedNormally = (entity: string): KeelsonError =>
  new KeelsonError('EXITED', `${entity} ended: normal`, { details: { reason: 'normal' } })
