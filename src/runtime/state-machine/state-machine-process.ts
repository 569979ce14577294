/**
 * A machine in its process. Each message is one turn of the machine. With `save`, the new state is
 * saved before the effects of the turn, and again when recorded effects were done. It is apart from
 * `state-machine-server.ts`, the table of handlers, because the machine stays here from message to
 * message.
 */

import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import type { Arrival } from '../machine/machine-door.ts'
import type { StepsHost } from '../machine/machine-host.ts'
import type { MachinePlan } from '../machine/machine-plan.ts'
import type { Waiting } from '../machine/machine-queue.ts'
import { MachineSteps, type Turn } from '../machine/machine-steps.ts'
import type { Delayed } from '../machine/machine-timers.ts'
import type { SavedMachine } from '../machine/machine-words.ts'
import { type Process, processOf } from '../process/process.ts'
import type { From } from '../server/gen-server.ts'
import { type NoReply, noReply, type Ok, ok, type Stop, stop } from '../server/next-step.ts'
import type { Timer } from '../words/message-timer.ts'
import { isThenable } from '../words/outside-code.ts'
import {
  deliver,
  noAnswer,
  notStopped,
  type Options,
  type Own,
  processHost,
  type Restored,
  replyOutput,
} from './state-machine-host.ts'
import type { PendingSaves } from './state-machine-saves.ts'
import { Watchers } from './state-machine-watchers.ts'

type Replay = readonly ['replay']
type Going = NoReply<AnyMachineSnapshot, Replay> | Stop<AnyMachineSnapshot>
type Begun = Ok<AnyMachineSnapshot, Replay>
type Answer = () => void

/** The answer of a handler. */
export type Step = Going | Promise<Going>

/** One machine in one process. */
export class MachineProcess {
  readonly #machine: AnyStateMachine
  readonly #options: Options
  readonly #context: Own
  readonly #process: Process
  readonly #steps: MachineSteps
  readonly #saves: PendingSaves
  readonly #watchers: Watchers
  readonly #timers = new WeakMap<Delayed, Timer>()
  /** The event whose answer waits until everything that the event caused is handled. */
  #asked: Waiting | undefined
  #input: unknown
  #saved: Restored
  #listensForEnd = false

  constructor(plan: MachinePlan, options: Options, saves: PendingSaves, context: Own) {
    this.#machine = plan.machine
    this.#options = options
    this.#saves = saves
    this.#context = context
    this.#process = processOf(context)
    this.#steps = new MachineSteps(plan, this.#host())
    this.#watchers = new Watchers(this.#process)
  }

  begin(input: unknown): Begun | Promise<Begun> {
    if (this.#options.trapExit) this.#context.trapExit(true)
    this.#input = input
    if (this.#options.save !== undefined) return this.#beginSaved(input)
    const saved = this.#restored(input)
    if (isThenable(saved)) return Promise.resolve(saved).then((found) => this.#begin(input, found))
    return this.#begin(input, saved)
  }

  #begin(input: unknown, saved: Restored): Begun {
    this.#perform(this.#first(input, saved))
    return this.#begun()
  }

  async #beginSaved(input: unknown): Promise<Begun> {
    await this.#saves.settled(this.#context, input)
    this.#saved = await this.#restored(input)
    const turn = this.#first(input, this.#saved)
    await this.#performSaved(turn)
    return this.#begun()
  }

  #restored(input: unknown): Restored | Promise<Restored> {
    const { restore } = this.#options
    return typeof restore === 'function' ? restore(input, this.#context) : restore
  }

  #first(input: unknown, saved: Restored): Turn {
    return saved === undefined ? this.#steps.begin(input) : this.#steps.restore(saved)
  }

  #begun(): Begun {
    const { snapshot } = this.#steps
    // A machine that is final at once, or was saved so, still starts; then it ends.
    const isDone = snapshot.status !== 'active'
    return isDone || this.#isReturning ? ok(snapshot, { continue: ['replay'] }) : ok(snapshot)
  }

  /** Takes a user's event: postponed, unknown, or handled. */
  take(snapshot: AnyMachineSnapshot, waiting: Waiting): Step {
    const { event, from } = waiting
    if (from === undefined || ownOf(this.#options.answers, event.type) !== undefined)
      return this.#turn(snapshot, () => this.#steps.take(waiting))
    from.fail(noAnswer(this.#machine, event))
    return noReply(snapshot)
  }

  /** Takes an event that an actor inside sent outside of a turn. */
  arrived(snapshot: AnyMachineSnapshot, arrival: Arrival): Step {
    return this.#turn(snapshot, () => this.#steps.arrived(arrival))
  }

  timer(snapshot: AnyMachineSnapshot, delayed: Delayed): Step {
    return this.#turn(snapshot, () => this.#steps.due(delayed))
  }

  /**
   * Takes the events that the last step sent, then the next returned event. Without one, a restored
   * or finished machine continues.
   */
  replay(snapshot: AnyMachineSnapshot): Step {
    const steps = this.#steps
    return this.#turn(snapshot, () => (steps.works.isGoing() ? steps.goOn() : steps.replay()))
  }

  get #isReturning(): boolean {
    return this.#steps.works.isGoing() || this.#steps.isReturning
  }

  /** Takes the call of `waitFor` or `subscribe`. */
  watch(snapshot: AnyMachineSnapshot, from: From): Going {
    this.#watchers.add(from, snapshot)
    return noReply(snapshot)
  }

  saved(): SavedMachine {
    return this.#steps.saved()
  }

  #turn(snapshot: AnyMachineSnapshot, take: () => Turn): Step {
    if (snapshot !== this.#steps.snapshot) this.#steps.replace(snapshot)
    const turn = take()
    const answer = this.#answerOf(turn)
    if (this.#options.save !== undefined && turn.changed)
      return this.#performSaved(turn, answer).then(() => this.#goOn(turn))
    this.#perform(turn, answer)
    return this.#goOn(turn)
  }

  /** The answer, made before anything happens: if that throws, nothing has. */
  #answerOf({ handled, snapshot, hasEvents }: Turn): Answer {
    this.#asked ??= handled
    if (hasEvents || this.#asked?.from === undefined) return () => {}
    const { event, from } = this.#asked
    this.#asked = undefined
    const value = ownOf(this.#options.answers, event.type)?.(snapshot, event)
    return () => void from.reply(value)
  }

  /** Does the effects of a turn, then answers its caller. Returns whether one was recorded. */
  #perform({ snapshot, changed }: Turn, answer?: Answer): boolean {
    this.#listenForEnd(snapshot)
    let isRecorded = false
    const { works } = this.#steps
    for (let effect = works.next(); effect; effect = works.next()) {
      if (!this.#process.alive) return false
      effect.run()
      isRecorded ||= effect.isRecorded
    }
    answer?.()
    if (changed) this.#watchers.changed(snapshot)
    return isRecorded
  }

  /**
   * A crash before the first save leaves the state before the turn; a crash after it the state
   * after the turn, with the actions that are still to be done.
   */
  async #performSaved(turn: Turn, answer?: Answer): Promise<void> {
    const before = this.#saved
    if (turn.changed) await this.#save(this.#steps.saved())
    if (!this.#process.alive) return
    try {
      if (!this.#perform(turn, answer)) return
    } catch (error) {
      await this.#takeBack(before)
      throw error
    }
    await this.#save(this.#steps.saved())
  }

  /**
   * An action threw: the step is taken back, as a crash before it would. Only its number stays
   * used. The first step of a machine, and actions from before a restart, stay recorded.
   */
  async #takeBack(before: Restored): Promise<void> {
    const step = this.#saved?.step
    if (before === undefined || step === undefined || !this.#process.alive) return
    try {
      await this.#save({ ...before, step })
    } catch (reason) {
      this.#context.system.logger.error(`${this.#process}: a step was not taken back`, { reason })
    }
  }

  async #save(saved: SavedMachine): Promise<void> {
    this.#saved = saved
    const saving = this.#options.save?.(saved, this.#context)
    if (isThenable(saving)) await this.#saves.add(this.#process, this.#context, this.#input, saving)
  }

  #goOn({ snapshot }: Turn): Going {
    if (snapshot.status === 'done' && !this.#steps.works.isGoing()) {
      replyOutput(this.#process, snapshot.output)
      return stop('normal', snapshot)
    }
    return this.#isReturning ? noReply(snapshot, { continue: ['replay'] }) : noReply(snapshot)
  }

  /** The actors inside end with the process. */
  #listenForEnd({ children }: AnyMachineSnapshot): void {
    if (this.#listensForEnd || Object.keys(children).length === 0) return
    this.#listensForEnd = true
    const end = (): void => this.#steps.end(notStopped(this.#process))
    this.#context.signal.addEventListener('abort', end, { once: true })
  }

  #host(): StepsHost {
    const { system } = this.#context
    return processHost(this.#machine, this.#options, this.#context, {
      now: () => this.#context.now(),
      arm: (delayed, ms) =>
        void this.#timers.set(delayed, this.#context.sendAfter(ms, 'timer', delayed as never)),
      disarm: (delayed) => {
        const timer = this.#timers.get(delayed)
        if (timer !== undefined) this.#context.cancelTimer(timer)
      },
      run: () => `${this.#machine.id}/${Buffer.from(system.clock.randomBytes(8)).toString('hex')}`,
      works: () => () => {},
      recordsSteps: false,
      saves: this.#options.save !== undefined,
      inTurn: () => {
        throw new KeelsonError('INVALID_ARGUMENT', 'inTurn: this machine is not durable')
      },
      arrived: (arrival) => deliver(this.#process, 'arrived', arrival),
      failed: (error) => deliver(this.#process, 'failed', { error }),
    })
  }
}
