/**
 * A machine in the process of a durable actor. The durable state is the saved machine; the machine
 * itself is volatile, and is restored when the process is given another state than it last made. So
 * it is apart from the server, which has no state.
 *
 * A turn computes. Its effects run when it is durable: in a recorded step, if one of them is
 * recorded in the saved machine; else at once, as outputs of the turn. After a crash the recorded
 * ones run again, and the actors inside start again, each under the name of its step.
 */

import type { AnyMachineSnapshot } from 'xstate'
import { KeelsonError, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import type { Arrival } from '../machine/machine-door.ts'
import type { Effect } from '../machine/machine-effects.ts'
import type { MachinePlan } from '../machine/machine-plan.ts'
import type { Waiting } from '../machine/machine-queue.ts'
import { runs } from '../machine/machine-saved.ts'
import { MachineSteps, type Turn } from '../machine/machine-steps.ts'
import type { Delayed } from '../machine/machine-timers.ts'
import type { SavedMachine } from '../machine/machine-words.ts'
import type { Span } from '../machine/machine-work.ts'
import { type Process, processOf } from '../process/process.ts'
import type { From } from '../server/gen-server.ts'
import { noReply, ok, reply, stop } from '../server/next-step.ts'
import {
  deliver,
  noAnswer,
  notStopped,
  type Options,
  type Own,
  processHost,
  replyOutput,
} from './state-machine-host.ts'
import { Watchers } from './state-machine-watchers.ts'

/** The durable state; `undefined`: the machine has not begun. */
export type State = SavedMachine | undefined

/** The part of a durable actor's context that a machine uses. */
export type DurableOwn = Own & {
  readonly id: string
  /** In a turn that handles a message: the name of the turn. */
  readonly step: string
  /** The time by which alarms go, in ms since 1970. */
  alarmNow(): number
  setAlarm(name: string, time: { readonly inMs: number }, payload: unknown): void
  cancelAlarm(name: string): boolean
  addContinue(name: string, payload: unknown): string
  /** Notes work that a close waits for. Returns the function for its end; `undefined`: none begins. */
  works(what: string): (() => void) | undefined
}

/** One restored machine. The actors inside it send nothing after its end. */
interface Incarnation {
  readonly steps: MachineSteps
  /** The timers that are set. The earliest is the durable alarm. */
  readonly timers: Set<Delayed>
}

/** An event that an actor inside sent, and the incarnation of the machine in which it did. */
export type News = { readonly incarnation: Incarnation; readonly arrival: Arrival }
/** The end of the tries of a step. */
export type FailedStep = { readonly payload: Span; readonly error: Error }
type Failure = { readonly incarnation: Incarnation; readonly error: unknown }

/** An entity that crashed while actors ran inside it is woken: in 1 s, doubling to 60 s. */
const guardMs = { first: 1_000, most: 60_000 }

/** The machine of one durable actor while it lives. */
export class DurableMachineProcess {
  readonly #plan: MachinePlan
  readonly #options: Options
  readonly #input: ((id: string) => unknown) | undefined
  readonly #context: DurableOwn
  readonly #process: Process
  /** The calls that wait for postponed events, by the state that holds the events. */
  readonly #callers = new WeakMap<SavedMachine, readonly Waiting['from'][]>()
  readonly #watchers: Watchers
  #incarnation: Incarnation | undefined
  /** The state that `#incarnation` is in. */
  #state: State

  constructor(
    plan: MachinePlan,
    options: Options,
    input: ((id: string) => unknown) | undefined,
    context: DurableOwn,
  ) {
    this.#plan = plan
    this.#options = options
    this.#input = input
    this.#context = context
    this.#process = processOf(context)
    this.#watchers = new Watchers(this.#process)
    if (options.trapExit) context.trapExit(true)
    context.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** The state of the machine that lives; `undefined` without one. */
  get snapshot(): AnyMachineSnapshot | undefined {
    return this.#incarnation?.steps.snapshot
  }

  /** A worker's machine begins with its process; an entity's waits for its first event. */
  init(): unknown {
    const { id, name } = this.#context
    if (name !== id) return ok(undefined)
    const { state } = this.#turn(undefined, () => []) as { readonly state: SavedMachine }
    return ok(state, { continue: ['effects', [1, state.step]] })
  }

  /** Restores the machine of an actor that wakes, and starts the actors inside. */
  wake(state: State): void {
    if (state === undefined || state === this.#state) return
    try {
      this.#at(state)
    } catch (cause) {
      const { message: reason } = keptError(cause)
      const message = `${this.#process} is blocked: ${reason}`
      throw new KeelsonError('BLOCKED', message, { details: { reason }, cause })
    }
  }

  /** Takes a user's event: postponed, unknown, or handled. */
  take(state: State, waiting: Waiting): unknown {
    const { event, from } = waiting
    if (from === undefined || ownOf(this.#options.answers, event.type) !== undefined)
      return this.#turn(state, (steps) => {
        // A call is answered in its own turn.
        const before = from ? undefined : steps.works.before(state === undefined)
        return [before ? steps.takeAfter(before, event) : steps.take(waiting)]
      })
    from.fail(noAnswer(this.#plan.machine, event))
    return noReply(state)
  }

  /** Takes an event that an actor inside sent outside of a turn. */
  arrived(state: State, { incarnation, arrival }: News): unknown {
    if (state === undefined) return noReply(state)
    if (incarnation === this.#incarnation && state === this.#state)
      return this.#turn(state, (steps) => [steps.arrived(arrival)])
    // A refused turn has changed the machine of that incarnation, but not the actors that ran in it.
    return this.#turn(state, (steps) => [steps.arrivedIn(incarnation.steps, arrival)])
  }

  /** News of an actor inside were refused with `error`: that actor has failed with it. */
  refused(
    state: State,
    { news, error }: { readonly news: News; readonly error: unknown },
  ): unknown {
    const { incarnation, arrival } = news
    return this.#turn(state, (steps) => [steps.failedIn(incarnation.steps, arrival, error)])
  }

  /** Asynchronous work of the machine failed. */
  failed(state: State, { incarnation, error }: Failure): unknown {
    if (incarnation === this.#incarnation) throw error
    return noReply(state)
  }

  /** Takes the timers until `dueAt`, in their order. The next ones wait while the step of one goes on. */
  due(state: State, dueAt: number): unknown {
    return this.#turn(
      state,
      (steps, { timers }) => {
        const turns: Turn[] = []
        const inOrder = [...timers].sort((one, other) => one.dueAt - other.dueAt)
        for (const delayed of inOrder) {
          if (delayed.dueAt > dueAt || (turns.length > 0 && steps.works.isGoing())) break
          timers.delete(delayed)
          turns.push(steps.due(delayed), ...replays(steps))
        }
        return turns
      },
      true,
    )
  }

  /**
   * Wakes an entity whose actors inside were cut off, or starts them again after a refused turn.
   * While they run, the next alarm is set.
   */
  guard(state: State, ms: number): unknown {
    if (state === undefined || !runs(state)) return noReply(state)
    this.#at(state)
    this.#setGuard(Math.min(2 * ms, guardMs.most))
    return noReply(state)
  }

  /** The saved machine, as it would begin if it has not begun. */
  look(state: State): unknown {
    return reply(state ?? this.#unborn().saved(), state)
  }

  /** Takes the call of `waitFor` or `subscribe`. It gets durable states only. */
  watch(state: State, from: From): unknown {
    const { snapshot } = state === undefined ? this.#unborn() : this.#at(state).steps
    this.#watchers.add(from, snapshot)
    return noReply(state)
  }

  /** The output of a machine that is done. The others owe it. */
  output(state: State): unknown {
    const { status, output } = state ?? this.#unborn().saved()
    return status === 'active' ? noReply(state) : reply(output, state)
  }

  /**
   * Runs the effects of one turn, which is durable, then handles the events that waited for them. An
   * effect that throws is tried again like any recorded step; those before it are done. An event that
   * begins a turn has a separate step, `nextEvent`, with one try.
   */
  effects(state: SavedMachine, span: Span, ofStep: 'effects' | 'nextEvent'): unknown {
    const { works } = this.#at(state).steps
    const done: Effect[] = []
    let isCut = false
    try {
      for (let effect = works.next(span); effect; effect = works.next(span)) {
        isCut = !this.#process.alive
        if (isCut) break
        effect.run()
        done.push(effect)
      }
    } catch (error) {
      if (done.length === 0) throw error
    }
    const isRecorded = done.some((effect) => effect.isRecorded)
    const isEvent = works.next(span) === undefined
    const name = isEvent && works.isAlone(span) ? 'nextEvent' : 'effects'
    if (isEvent && works.isGoing(span) && !isRecorded && !isCut && name === ofStep)
      return this.#turn(state, (steps) => [steps.goOn(span)])
    const after = isRecorded ? this.#keep(this.#at(state).steps) : state
    this.#setAlarms(state, after)
    const hasMore = !isEvent || works.isGoing(span)
    return hasMore ? noReply(after, { continue: [name, span] }) : noReply(after)
  }

  /** The turn of an event that waited has failed. As if it had not waited, it ends the process. */
  dropped(state: SavedMachine, { payload: span, error }: FailedStep): unknown {
    const { steps } = this.#newIncarnation(() => {})
    steps.restore(state)
    if (!steps.works.dropAlone(span)) return noReply(state)
    const kept = steps.saved()
    this.#setAlarms(state, kept)
    if (steps.works.within(span).length > 0) this.#context.addContinue('effects', span)
    return stop(error, kept)
  }

  /** The machine in `state`. Restores it, unless it is the one that lives. */
  #at(state: SavedMachine): Incarnation {
    if (this.#incarnation !== undefined && state === this.#state) return this.#incarnation
    this.#end()
    const incarnation = this.#newIncarnation()
    const { effects } = incarnation.steps.restore(state, this.#callers.get(state))
    this.#incarnation = incarnation
    this.#state = state
    for (const effect of effects) this.#hold(incarnation, effect)
    return incarnation
  }

  #begin(): { readonly incarnation: Incarnation; readonly first?: Turn } {
    this.#end()
    const incarnation = this.#newIncarnation()
    const first = incarnation.steps.begin(this.#input?.(this.#context.id))
    this.#incarnation = incarnation
    return { incarnation, first }
  }

  #turn(
    state: State,
    work: (steps: MachineSteps, incarnation: Incarnation) => readonly Turn[],
    isAlarm = false,
  ): unknown {
    try {
      const { incarnation, first } =
        state === undefined ? this.#begin() : { incarnation: this.#at(state) }
      const { steps } = incarnation
      const earlier = first === undefined ? replays(steps) : [first]
      const turns = [...earlier, ...work(steps, incarnation), ...replays(steps)]
      const next = turns.some(({ changed }) => changed) ? this.#keep(steps) : state
      this.#setAlarms(state, next, isAlarm)
      for (const turn of turns) this.#answer(turn)
      return this.#perform(incarnation, turns, [(state?.step ?? 0) + 1, next?.step ?? 0], next)
    } catch (error) {
      this.#end()
      throw error
    }
  }

  #keep(steps: MachineSteps): SavedMachine {
    const saved = steps.saved()
    if (saved.postponed.length > 0) this.#callers.set(saved, steps.callers)
    this.#state = saved
    return saved
  }

  #answer({ handled, snapshot }: Turn): void {
    if (handled === undefined) return
    const { event, from } = handled
    from?.reply(ownOf(this.#options.answers, event.type)?.(snapshot, event))
  }

  #perform(incarnation: Incarnation, turns: readonly Turn[], span: Span, next: State): unknown {
    const effects = turns.flatMap((turn) => turn.effects)
    const hasEvents = turns.some((turn) => turn.hasEvents)
    const name = hasEvents && incarnation.steps.works.startsAlone(span) ? 'nextEvent' : 'effects'
    const isRecorded = hasEvents || effects.some((effect) => effect.isRecorded)
    if (!isRecorded) for (const effect of effects) this.#hold(incarnation, effect)
    const isChanged = turns.some(({ changed }) => changed)
    if (isChanged) this.#watchers.changed(incarnation.steps.snapshot)
    if (next?.status === 'done' && isChanged)
      this.#process.outputs.hold(() => replyOutput(this.#process, next.output))
    return isRecorded ? noReply(next, { continue: [name, span] }) : noReply(next)
  }

  /** Runs `effect` when the present turn is durable. */
  #hold(incarnation: Incarnation, effect: Effect): void {
    const run = (): void => {
      if (!this.#process.alive || incarnation !== this.#incarnation) return
      try {
        effect.run()
      } catch (error) {
        this.#send('failed', { incarnation, error })
      }
    }
    const dropped = (): void => {
      if (incarnation === this.#incarnation) this.#state = undefined
    }
    this.#process.outputs.hold(run, dropped)
  }

  /** The earliest timer that need not wait is an alarm, and so is the wake-up while actors run inside. */
  #setAlarms(before: State, after: State, isAlarm = false): void {
    const set = isAlarm ? undefined : timerOf(before)
    const dueAt = timerOf(after)
    if (dueAt === undefined) {
      if (set !== undefined) this.#context.cancelAlarm('timer')
    } else if (dueAt !== set) {
      const inMs = Math.max(0, dueAt - this.#context.alarmNow())
      this.#context.setAlarm('timer', { inMs }, dueAt)
    }
    const ran = before !== undefined && runs(before)
    const isRunning = after !== undefined && runs(after)
    if (isRunning && !ran) this.#setGuard(guardMs.first)
    if (ran && !isRunning) this.#context.cancelAlarm('children')
  }

  #setGuard(ms: number): void {
    this.#context.setAlarm('children', { inMs: ms }, ms)
  }

  /** A machine as it begins, for a look. It starts nothing. */
  #unborn(): MachineSteps {
    const { steps } = this.#newIncarnation(() => {})
    steps.begin(this.#input?.(this.#context.id))
    return steps
  }

  /** `inTurn` does the actions that are part of a turn. */
  #newIncarnation(inTurn = (run: () => void): void => run()): Incarnation {
    const timers = new Set<Delayed>()
    const context = this.#context
    const host = processHost(this.#plan.machine, this.#options, context, {
      now: () => context.alarmNow(),
      arm: (delayed) => void timers.add(delayed),
      disarm: (delayed) => void timers.delete(delayed),
      run: () => context.step,
      works: (what) => context.works(what),
      inTurn,
      recordsSteps: true,
      saves: true,
      arrived: (arrival) => this.#send('arrived', { incarnation, arrival }),
      failed: (error) => this.#send('failed', { incarnation, error }),
    })
    const incarnation: Incarnation = { steps: new MachineSteps(this.#plan, host), timers }
    return incarnation
  }

  #send(name: string, news: News | Failure): void {
    deliver(this.#process, name, news)
  }

  /** Ends the actors inside the machine that lives. */
  #end(): void {
    const incarnation = this.#incarnation
    this.#incarnation = undefined
    this.#state = undefined
    incarnation?.steps.end(notStopped(this.#process))
  }
}

/** When the next timer is due. While events wait, none is: it comes after them. */
const timerOf = (state: State): number | undefined => {
  const isGoing = state?.actions.some(({ kind }) => kind === 'event' || kind === 'timer')
  return isGoing ? undefined : state?.timers[0]?.dueAt
}

/** Events that return after a change are part of the turn that changed the state. */
const replays = (steps: MachineSteps): Turn[] => {
  const turns: Turn[] = []
  while (steps.isReturning && !steps.works.isGoing()) turns.push(steps.replay())
  return turns
}
