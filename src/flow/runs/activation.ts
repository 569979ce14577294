/**
 * One activation of a run: its body runs, its operations are carried out, and every outcome becomes a
 * turn of its entity. The body goes on when that turn is durable. `decide.ts` has the next phase after
 * each event, and `replay.ts` the outcome that comes next. After a crash, a rest or a divergence another
 * activation gives the body the same outcomes in the same order.
 */
import { ownWork, shardTime } from '../../actors/index.ts'
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  keptError,
} from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import type { Traced } from '../../runtime/index.ts'
import { tracedRun } from '../tracing/traced-work.ts'
import { ActivationTurns, inNextTurn } from './activation-turns.ts'
import type { Workflow } from './body.ts'
import { Unhandled } from './context.ts'
import {
  afterWait,
  type CancelPhase,
  decide,
  decideCancel,
  decideRest,
  isBodyOver,
  isGone,
  isStopped,
  mayRest,
  mayStart,
  ofRefusal,
  type RestPhase,
  type RunEvent,
  type RunPhase,
} from './decide.ts'
import { emitFlow, emitStep } from './events.ts'
import { noteBlocked } from './failing-work.ts'
import type {
  ActivationTerms,
  Notified,
  Present,
  RunBackground,
  RunContext,
  RunEnd,
} from './messages.ts'
import {
  Active,
  type ActiveParts,
  awaitedOf,
  cancelChild,
  endsWithParent,
  nextDue,
  perform,
  runningSteps,
  Scope,
  takenIn,
} from './operations.ts'
import { rejectionOf } from './parts.ts'
import { cancelKey, type Operation, type Recorded, type RunState } from './record.ts'
import { Refusals, Replay } from './replay.ts'
import {
  arrive,
  clearLaps,
  type LoadedRun,
  loadRun,
  missingBody,
  Patches,
  watchReplay,
} from './replaying.ts'
import {
  type AfterActivation,
  type BodyEnd,
  bodyOf,
  closingAtOnce,
  type EndingActivation,
  endOfBody,
  endRun,
  type Placed,
  placingOf,
} from './run-end.ts'
import { SaidMessages } from './said.ts'
import type { StepStreams } from './step-streams.ts'
import {
  blockedBy,
  blocking,
  childIsBlocked,
  delivering,
  recording,
  resting,
  type Turned,
} from './turns.ts'
import { restsUnread } from './unread-runs.ts'

/** The error of a run whose body gets nothing but refusals for too long. */
const stuck: KeptError = blockedBy(
  'STUCK',
  'its body asks again and again for what it is refused, and waits for nothing else',
)

/** A body that waits this long, and nothing else, leaves memory until it is woken. */
const restMs = 2_000

/** One activation of a run. */
export class RunActivation implements EndingActivation, Notified {
  readonly workflow: Workflow
  readonly type: string
  readonly id: string
  /** `undefined`: the turn of its birth is not durable, and nothing leaves this activation. */
  background!: RunBackground
  readonly present: Present
  readonly undoScope = new Scope()
  readonly handling = new Set<Promise<unknown>>()
  readonly terms: ActivationTerms
  readonly #turns: ActivationTurns
  readonly scope = new Scope()
  readonly counters = new Map<string, number>()
  #patches: Patches | undefined
  said: SaidMessages | undefined = undefined
  replay!: Replay<Active>
  /** The state at the beginning of this activation, with the cancel as it is since. */
  state!: RunState
  #input: unknown
  time = 0
  #phase: RunPhase = 'reads'
  #cancel: CancelPhase = 'none'
  #rest: RestPhase = 'awake'
  /** How many operations do something, and do not wait. */
  working = 0
  /** How many signals the run had when they were last looked for, or at the beginning. */
  #signalsSeen = 0
  /** Settles with the last look for signals: one comes after another. */
  #looked: Promise<void> = Promise.resolve()
  /** Ends the time after which the body rests. */
  #disarm: (() => void) | undefined
  /** Settles when the rest is decided that is on its way: it may wait long for the storage. */
  #deciding: Promise<void> | undefined
  /** The function of a step runs, up to its first `await`. */
  #isInStep = false
  /** Calls from before there was a replay. */
  readonly #early: (() => void)[] = []
  #demonitor: (() => void) | undefined
  #onRecorded: (() => void)[] = []
  readonly #refusals = new Refusals()
  readonly unhandled = new Unhandled(this)
  #finish!: (after: AfterActivation | Promise<never>) => void
  readonly #finished = new Promise<AfterActivation>((resolve) => {
    this.#finish = resolve
  })
  /** How its body has ended. */
  #end: BodyEnd | undefined
  /** Its span: it ends with it, so a run that rests has none. */
  traced: Traced | undefined = undefined
  /** Why the run is blocked. */
  #blockedBy: KeptError | undefined
  /** Gives the body its next outcome, in the next turn of the event loop. */
  readonly #soon: () => void

  constructor(terms: ActivationTerms) {
    this.terms = terms
    this.workflow = terms.workflow
    this.type = terms.workflow.name
    this.id = terms.id
    this.present = terms.present
    const { clock } = terms.system
    this.#turns = new ActivationTurns(
      clock,
      (turn) => {
        if (!this.isStopped) this.does(turn())
      },
      ({ lap }) => isGone(this.#phase) || (this.state !== undefined && this.state.lap !== lap),
    )
    this.#soon = inNextTurn(clock, () => this.#gives())
  }

  get isBodyOver(): boolean {
    return isBodyOver(this.#phase)
  }

  get isStopped(): boolean {
    return isStopped(this.#phase)
  }

  /** The instance closes: operations that do something may end, and none begins. */
  get isClosing(): boolean {
    return this.background[ownWork].isClosing
  }

  /** Carries out the effect of an event. `error`: why the run or its process cannot go on. */
  #happens(event: RunEvent, error?: unknown): void {
    const { phase, effect } = decide(this.#phase, event)
    this.#phase = phase
    if (effect === 'nothing') return
    if (effect === 'body') this.#body()
    else if (effect === 'start') {
      this.#starts()
      this.#pump()
    } else if (effect === 'startEnd') {
      this.#starts()
      this.#endsRun()
    } else if (effect === 'end') this.#endsRun()
    else if (effect === 'block') this.#blocks(error as KeptError)
    else if (effect === 'fail') this.#ends(Promise.reject(error))
    else this.#ends(effect)
  }

  get cancelled(): Error {
    return new KeelsonError('CANCELLED', this.state.cancel?.reason ?? 'the rest was cancelled')
  }

  /**
   * The end of a run whose body has asked for nothing, in the turn of its birth.
   * `undefined`: it goes on in `run`.
   */
  ending(born: RunState, context: RunContext): Turned<RunEnd | undefined> | undefined {
    if (
      !this.#end ||
      this.replay.asked.size > 0 ||
      this.#turns.hasMore ||
      this.unhandled.hasClaimed
    )
      return undefined
    const closing = closingAtOnce(this, born, context, this.#end)
    if (closing) this.#endsTrace()
    return closing
  }

  /** Whether the body goes on by itself: it has not ended, and has asked for nothing. */
  get isAlone(): boolean {
    return !this.#end && this.replay.asked.size === 0
  }

  /** Resolves when this activation has nothing more to do. */
  async run(background: RunBackground): Promise<AfterActivation> {
    this.background = background
    this.#turns.begin(background)
    if (this.replay) {
      this.present.activation = this
      emitFlow(this, 'flow.started', {})
    } else {
      const loaded = await loadRun(this)
      if (!loaded) return this.#finished
      this.begin(loaded)
    }
    this.#happens('began')
    return this.#finished
  }

  #endsRun(): void {
    this.does(endRun(this, this.#end as BodyEnd))
  }

  /** Starts work that nobody awaits. If the work fails, the run is blocked. */
  does(work: Promise<unknown>): void {
    work.catch((error) => this.block(failureRecord(error)))
  }

  /**
   * From the first operation of the body on, the activation stops with its process, and with a close once
   * nothing is at work.
   */
  #attach(): void {
    const { background } = this
    if (this.#demonitor || !background) return
    this.#demonitor = background.system.monitor(background.self, () => this.#happens('gone'))
    background.consistsOf(() => runningSteps(this.replay.inFlight))
    background[ownWork].onClose = this.#closes
    if (this.isClosing) this.#closes()
  }

  /** The body begins; in the turn of the birth of its run what it asks for waits until `run`. */
  begin({ state, record, input }: LoadedRun): void {
    this.state = state
    this.time = (state.fork ?? state).startedAt
    if (state.cancel?.isPlaced === false) this.#cancel = decideCancel(this.#cancel, 'asked')
    this.#signalsSeen = state.signals
    this.traced = tracedRun(this.terms.system, this, state.trace)
    this.replay = new Replay(record, this.terms.reached ?? state.outcomes)
    if (record.some(({ key }) => key === cancelKey)) this.#askCancel()
    this.#input = input
    this.#happens('read')
  }

  #body(): void {
    const { version } = this.state
    const own = bodyOf(this.workflow, version)
    const input = this.#input
    this.#input = undefined
    const begin = () => endOfBody(this, own as NonNullable<typeof own>, input)
    if (own) void this.#traces(begin).then((end) => this.#bodyEnds(end))
    else this.block(failureRecord(missingBody(this.workflow, version)))
  }

  /** The operations of the body are carried out. */
  #starts(): void {
    const { state, replay } = this
    if (state.lap > 0) this.does(clearLaps(this))
    if (!replay.isComplete) void watchReplay(this)
    if (replay.asked.size > 0) this.#attach()
    for (const act of this.#early) act()
    this.#start()
  }

  /** Does something for the entity, once this activation has its replay. */
  #whenLoaded(act: () => void): void {
    if (this.replay) act()
    else this.#early.push(act)
  }

  /** An acknowledged cancel counts at once: the next try does not begin. */
  changed(wantsCancel: boolean): void {
    if (wantsCancel) this.#cancel = decideCancel(this.#cancel, 'asked')
    this.#whenLoaded(() => {
      this.#start()
      this.does(this.readSignals())
    })
  }

  /** The entity has recorded an outcome. */
  recorded(recorded: Recorded): void {
    this.#whenLoaded(() => this.#recorded(recorded))
  }

  get isCancelling(): boolean {
    return (this.#cancel !== 'none' || this.state.cancel !== undefined) && !this.isBodyOver
  }

  /** An outcome is durable: the body gets it when its place is next. */
  #recorded(recorded: Recorded): void {
    this.replay.record(recorded)
    emitStep(this, recorded)
    for (const act of this.#onRecorded.splice(0)) act()
    this.#pump()
  }

  /** Resolves when the entity has recorded something more. */
  nextRecord(): Promise<void> {
    return new Promise((resolve) => void this.#onRecorded.push(resolve))
  }

  ask(parts: ActiveParts): Active {
    this.#attach()
    this.said?.acts()
    const { scope } = parts
    const isUndo = scope === this.undoScope
    const active = new Active(parts)
    // A stack costs some 10 µs, which a replay that has never diverged does not pay.
    if (this.terms.isSecond) active.askedAt = new Error(parts.key)
    if (parts.kind === 'update') active.whenOver(this.#takesNoUpdate)
    try {
      // After the end of the body too, a cancelled branch gets the reason of its cancel, not `CLOSED`.
      if (this.isBodyOver && !isUndo && scope.cancelled) throw scope.cancelled
      if (!isUndo) {
        this.expectBody()
        this.replay.expectRoom(parts.key, this.workflow.options.stepsMax)
      }
      this.replay.ask(active)
    } catch (error) {
      if (isKeelsonError(error, 'DIVERGED')) this.diverges(error)
      this.refuse(() => active.reject(error))
      return active
    }
    active.mayHaveBegun = active.recorded !== undefined
    if (scope.cancelled) {
      this.replay.drop(active)
      this.refuse(() => active.reject(scope.cancelled))
      return active
    }
    this.#start()
    this.#pump()
    return active
  }

  /** Its body, or its branch, takes no further update of a name. Signals may have waited for it. */
  readonly #takesNoUpdate = (reason: unknown): void => {
    if (reason !== undefined) this.does(this.readSignals())
  }

  /** After its cancel a body is refused something in one turn. If it asks again then, it has ended. */
  refuse(reject: () => void): void {
    const next = ofRefusal(this.#phase, this.#refusals.wasLast)
    if (next === 'end') return void this.#bodyEnds({ status: 'failed', error: this.cancelled })
    this.#refusals.add(reject)
    if (next === 'give') this.terms.system.clock.soon(() => this.#refusals.give(false))
    else this.#pump()
  }

  expectOpen(): void {
    if (this.isBodyOver) throw new KeelsonError('CLOSED', 'the body has ended')
  }

  expectBody(): void {
    this.expectOpen()
    if (this.#isInStep) throw invalidArgument('ctx', 'no operation in a step', 'one')
  }

  inStep<T>(run: () => T): T {
    this.#isInStep = true
    try {
      return run()
    } finally {
      this.#isInStep = false
    }
  }

  again(input: unknown): void {
    this.#bodyEnds({ status: 'failed', again: [input] })
  }

  get hasBegunAgain(): boolean {
    return this.#end?.status === 'failed' && this.#end.again !== undefined
  }

  /** The body gets its next outcome soon, if there is one. */
  #pump(): void {
    if (this.isStopped || !this.replay || !this.background) return
    this.#acts()
    this.#soon()
  }

  /** Gives the body its refusals, or one outcome: refusals come before it, live as in a replay. */
  #gives(): void {
    if (this.isStopped) return
    if (!this.isBodyOver) this.#attach()
    if (this.#refusals.areWaiting) this.#givesRefusals()
    else this.#givesOutcome()
  }

  #givesRefusals(): void {
    this.replay.acts()
    this.#refusals.give(this.scope.cancelled !== undefined)
    if (!this.#refusals.isStuck) this.#pump()
    else if (!this.isBodyOver) this.block(stuck)
  }

  #givesOutcome(): void {
    this.replay.turns()
    const next = this.replay.next()
    if (next) {
      const { asked, decided } = next
      this.replay.delivered(asked)
      this.#refusals.ends()
      this.said?.acts()
      this.time = Math.max(this.time, decided.at)
      const { outcome } = decided
      // In this very turn: nothing of the body starts after its cancel.
      if (asked.kind === 'cancel') this.cancel(this.scope, this.cancelled)
      if (outcome.kind === 'ok') asked.resolve(outcome.value)
      else asked.reject(rejectionOf(decided, outcome))
      this.#pump()
    }
    this.#start()
    this.#idles()
  }

  /** Carries out what may start. */
  #start(): void {
    const next = mayStart(this.#phase, this.#cancel, this)
    if (next === 'nothing') return
    const { replay } = this
    if (replay.hasArrived) arrive(this.present)
    if (next === 'cancel') this.does(this.#place(replay.isComplete ? undefined : replay.reopened))
    else for (const active of replay.starting()) void this.#perform(active)
  }

  /** Carries out an operation. */
  async #perform(active: Active): Promise<void> {
    this.working++
    try {
      await this.#traces(() => perform(this, active))
    } catch (error) {
      this.block(keptError(error))
    } finally {
      this.#worksNoMore()
    }
  }

  /**
   * A wait that holds up neither the rest of the run nor a close. It ends when no turn of a rest is on its
   * way. Scenario: the wait ends while the run is put to rest; the body would go on in this activation,
   * and in the next one too.
   */
  async passively<T>(wait: Promise<T>): Promise<T> {
    this.#worksNoMore()
    try {
      const result = await wait
      await this.#deciding
      return result
    } finally {
      this.working++
      this.#acts()
    }
  }

  #worksNoMore(): void {
    this.working--
    if (this.isClosing && this.working === 0) this.#happens('gone')
    this.#idles()
  }

  /** Something happens: the body does not only wait. */
  #acts(): void {
    this.#rest = decideRest(this.#rest, 'acts')
    this.#disarm?.()
    this.#disarm = undefined
  }

  /** If the body only waits now, it rests in a while. */
  #idles(): void {
    this.#acts()
    if (!mayRest(this.#phase, this.#rest, this)) return
    this.#rest = decideRest(this.#rest, 'idle')
    this.#disarm = this.background.system.clock.after(restMs, this.#hasWaited)
  }

  readonly #hasWaited = (): void => {
    this.#rest = decideRest(this.#rest, 'waited')
    const { open } = this.replay
    const lacks = open.find((active) => active.lacks)?.lacks
    const at = nextDue(open)
    const next = afterWait(lacks !== undefined, at - shardTime(this.background).now(), restMs)
    if (next === 'block') this.block(lacks as KeptError)
    if (next !== 'rest') return
    this.#rest = decideRest(this.#rest, 'due')
    this.#deciding = this.#rests(at)
    this.does(this.#deciding)
  }

  /** Leaves memory until its next timer, unless something has happened. */
  async #rests(at: number): Promise<void> {
    const { open, known: outcomes } = this.replay
    const seen = { outcomes, signals: this.#signalsSeen, at, waitsFor: awaitedOf(open), open }
    let rested: RunState | undefined
    const hasRested = await this.turn((state, context) => {
      const turned = resting(state, context, seen)
      rested = turned[1]
      return turned
    })
    this.#deciding = undefined
    if (hasRested) {
      if (rested && rested.unread > 0) restsUnread(this.terms.entities, this, rested)
      return this.#happens('rested')
    }
    this.#rest = decideRest(this.#rest, 'refused')
    // A signal may have come during the replay, which looks for none. Unread, it would refuse every rest.
    await this.readSignals()
    this.#idles()
  }

  async record(active: Active, change: Partial<Operation>, done?: StepStreams): Promise<void> {
    if (active.isOver || this.isStopped) return
    active.isRecording = true
    const recorded = await this.turn((state, context) => {
      done?.forget(context)
      return recording(state, context, active, change, this.present.updates)
    })
    active.isRecording = false
    if (recorded?.outcome) this.#recorded(recorded)
    else if (recorded) this.replay.record(recorded)
  }

  /** Looks for unread signals and updates. Each look knows what the one before has handed out. */
  readSignals(): Promise<void> {
    this.#looked = this.#looked.then(this.#looks)
    return this.#looked
  }

  readonly #looks = async (): Promise<void> => {
    const { replay, present } = this
    if (this.isStopped || !replay.hasArrived) return
    let seen = this.#signalsSeen
    const delivered = await this.turn((state, context) => {
      seen = state.signals
      const ready = replay.open.filter(({ isRecording }) => !isRecording)
      return delivering(state, context, ready, present.updates)
    })
    // Not before the turn is durable: one that waits for space would rest, and wake for no signal.
    this.#signalsSeen = seen
    for (const recorded of delivered) this.recorded(recorded)
  }

  patched(change: string): boolean {
    this.#patches ??= new Patches(this)
    return this.#patches.has(change)
  }

  say(stream: string, text: string): void {
    this.said ??= new SaidMessages(this.state.said)
    try {
      this.said.say(stream, text)
    } catch (error) {
      if (isKeelsonError(error, 'DIVERGED')) this.diverges(error)
      throw error
    }
    this.#turns.says(this.said)
  }

  report(value: unknown): void {
    if (this.replay.isAtEnd) this.#turns.report(value)
  }

  /** Asks for the operation of a cancel with a place. Its outcome interrupts the body there. */
  #askCancel(): void {
    this.replay.ask(new Active({ kind: 'cancel', key: cancelKey, scope: this.undoScope }))
  }

  /** Gives a cancel its place: that of the reopened operation, or the one after all outcomes. */
  async #place(reopened: number | undefined): Promise<void> {
    this.#cancel = decideCancel(this.#cancel, 'begun')
    const { asked } = this.replay
    const placed = await this.turn((state, context) =>
      placingOf(state, context, { asked, reopened }),
    )
    if (placed.marker && reopened !== undefined) this.replay.endAt(reopened)
    this.placed(placed)
    this.#start()
  }

  placed({ marker, cancel }: Placed): void {
    const event = cancel?.isPlaced === false ? 'deferred' : 'placed'
    this.#cancel = decideCancel(this.#cancel, event)
    if (cancel) this.state = Object.assign({}, this.state, { cancel })
    if (!marker) return
    this.#askCancel()
    this.#recorded(marker)
  }

  cancel(scope: Scope, reason: unknown): void {
    scope.cancel(reason)
    for (const active of takenIn(this.replay, scope)) {
      active.reject(reason)
      this.#letsGo(active)
    }
  }

  leave(scope: Scope, reason: unknown): void {
    scope.leave(reason)
    for (const active of takenIn(this.replay, scope)) {
      active.stop(reason)
      this.#letsGo(active)
    }
  }

  /** The body waits for this operation no more. */
  #letsGo(active: Active): void {
    const isChild = endsWithParent(active.parts)
    if (isChild && active.recorded && this.replay.isComplete) void this.cancels(active)
  }

  cancels(child: Active): Promise<boolean> {
    return cancelChild(this, child)
  }

  childBlocked(number: number, error: KeptError): void {
    if (!this.isBodyOver) return
    this.block(childIsBlocked(this.replay.recordedAs(number)?.child, error))
  }

  /** After `again` the body has ended, whatever it does. */
  #bodyEnds(end: BodyEnd): void {
    if (this.isStopped || this.isBodyOver) return
    this.#end = end
    this.#refusals.drop()
    this.#happens('bodyEnded')
  }

  /**
   * The body does not do what is recorded. The run is replayed once more, and blocked if it diverges
   * again: a body that was slow may be in time then.
   */
  diverges(error: KeelsonError): void {
    if (this.terms.isSecond) this.#happens('divergedAgain', failureRecord(error))
    else this.#happens('diverged')
  }

  /** The run cannot go on. */
  block(error: KeptError): void {
    this.#happens('failed', error)
  }

  #blocks(error: KeptError): void {
    this.#blockedBy = error
    // The log may take none of them: a replay says them again.
    this.#turns.says(undefined)
    this.turn((state, context) => blocking(state, context, this.present, error)).then(
      (isBlocked) => {
        if (isBlocked) noteBlocked(this.terms.entities, this, error)
        if (isBlocked) emitFlow(this, 'flow.blocked', { error })
        this.#happens('blocked')
      },
      // A blocked entity takes no turn: its kind lists it. Any other refusal ends the process.
      (refusal) =>
        this.#happens(
          isKeelsonError(refusal, 'BLOCKED') ? 'entityBlocked' : 'blockRefused',
          refusal,
        ),
    )
  }

  /** Its process has ended, the run was ended by force, or is not live. */
  stop(): void {
    this.#happens('gone')
  }

  /** The turn of the end is durable, or that of the next lap. */
  ended(next: 'ended' | 'again'): void {
    this.#happens(next)
  }

  /** Does work as a part of its span. */
  #traces<T>(work: () => T): T {
    return this.traced ? this.traced.run(work) : work()
  }

  #endsTrace(): void {
    const end = this.#end
    const error = end?.status === 'failed' && !end.again ? end.error : this.#blockedBy
    const hasFailed = this.#blockedBy !== undefined || (end?.status === 'failed' && !end.again)
    this.traced?.end(hasFailed ? { error } : undefined, undefined)
    this.traced = undefined
  }

  /** Nothing of it goes on. */
  #ends(after: AfterActivation | Promise<never>): void {
    this.#endsTrace()
    this.#demonitor?.()
    this.#acts()
    const left = [...(this.replay?.asked.values() ?? [])].filter(({ isOver }) => !isOver)
    // Errors are costly, and most runs end with nothing in flight.
    const reason = left[0] && new KeelsonError('EXITED', 'this activation of the run has ended')
    for (const active of left) active.stop(reason)
    if (this.present.activation === this) this.present.activation = undefined
    arrive(this.present)
    this.#finish(after)
  }

  readonly #closes = (): void => {
    if (this.working === 0) this.#happens('gone')
  }

  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>, first = false): Promise<R> {
    return this.#turns.make(change, first)
  }
}
