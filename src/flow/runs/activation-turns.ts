/**
 * The turns of an activation, and when it makes the one after which it rests. Each takes along the
 * progress that its body has reported, that of the end too.
 */

import { isDeepStrictEqual } from 'node:util'
import { shardTime } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, type KeptError } from '../../errors.ts'
import { reply } from '../../runtime/index.ts'
import { type Active, awaitedOf, nextDue } from './active.ts'
import type { RunBackground, RunContext, State } from './messages.ts'
import { isLive, isOver, type RunState } from './record.ts'
import type { Replay } from './replay.ts'
import { pauseMs } from './tries.ts'
import { resting, type Turned } from './turns.ts'

/** The activation has ended. */
const lost = ['EXITED', 'NO_PROCESS', 'CLOSED', 'UNKNOWN_OUTCOME'] as const
/** Another try comes to the same. */
const final = ['INVALID_ARGUMENT', 'TOO_LARGE', 'CONFLICT', 'BLOCKED', 'CORRUPT'] as const

/**
 * Makes a turn of `change`, and tries again while the storage cannot take it. Never settles if the
 * activation has ended. An error that is no refusal of the storage is one of `change`, which decides
 * by the state alone: another try has it too.
 */
export const makeTurn = async <R>(
  background: RunBackground,
  change: (state: RunState, context: RunContext) => Turned<R>,
): Promise<R> => {
  const { clock } = background.system
  for (let tries = 1; ; tries++)
    try {
      return (await background.apply((state: State, context) => {
        const [result, next] = change(state as RunState, context)
        // A run that waits or has ended leaves memory with its activation.
        return reply(result, next, isLive(next.status) ? undefined : { hibernate: true })
      })) as R
    } catch (error) {
      if (lost.some((code) => isKeelsonError(error, code))) return new Promise(() => undefined)
      const isFinal = final.some((code) => isKeelsonError(error, code))
      if (isFinal || !isKeelsonError(error)) throw error
      const waitMs = pauseMs(tries, clock)
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    }
}

/** Makes the turns of one activation. */
export class ActivationTurns {
  #background: RunBackground | undefined
  /** Turns that wait for it. */
  readonly #early: ((background: RunBackground) => void)[] = []
  readonly #soon: () => void
  /** The last that was reported. */
  #progress: unknown
  #hasReport = false
  /** Settles with the last turn that goes first. */
  #first: Promise<unknown> | undefined

  /** `makes` makes a turn that nobody awaits, unless the activation has stopped. */
  constructor(clock: Clock, makes: (turn: () => Promise<void>) => void) {
    this.#soon = inNextTurn(clock, () => {
      if (this.#hasReport) makes(() => this.make((state) => [undefined, state]))
    })
  }

  /** Turns can be made from now on. */
  begin(background: RunBackground): void {
    this.#background = background
    for (const act of this.#early.splice(0)) act(background)
    if (this.#hasReport) this.#soon()
  }

  /** Whether there is a report that no turn has recorded. */
  get hasReport(): boolean {
    return this.#hasReport
  }

  /** The next turn records this progress. It comes at the latest in the next turn of the loop. */
  report(value: unknown): void {
    this.#progress = value
    this.#hasReport = true
    if (this.#background) this.#soon()
  }

  /**
   * As `makeTurn`. Turns that were refused are made again each for itself, so a later one may overtake them.
   * With `first` none does: all later ones wait for this turn.
   */
  make<R>(change: (state: RunState, context: RunContext) => Turned<R>, first = false): Promise<R> {
    const made = this.#make(change, this.#first)
    if (first) this.#first = made.catch(() => undefined)
    return made
  }

  async #make<R>(
    change: (state: RunState, context: RunContext) => Turned<R>,
    before: Promise<unknown> | undefined,
  ): Promise<R> {
    const background = this.#background ?? (await this.#begun())
    if (before !== undefined) await before
    if (!this.#hasReport) return makeTurn(background, change)
    this.#hasReport = false
    return makeTurn(background, (state, context) => {
      const [result, next] = change(state, context)
      // A later turn may have recorded a later report already. The end of a replay reports once more
      // what the run may show: then nothing is written.
      const progress = this.#progress
      const isKept = isOver(state.status) || isDeepStrictEqual(next.progress, progress)
      return [result, isKept ? next : { ...next, progress }]
    })
  }

  /** The turn of the birth is durable. */
  #begun(): Promise<RunBackground> {
    return new Promise((resolve) => void this.#early.push(resolve))
  }
}

/** A body that waits this long, and nothing else, leaves memory until it is woken. */
const restMs = 2_000

/** The parts of its activation that its rest uses. */
interface Resting {
  readonly background: RunBackground
  readonly replay: Replay<Active>
  readonly state: RunState
  readonly isBodyOver: boolean
  readonly isStopped: boolean
  readonly work: { readonly count: number }
  readonly signals: { readonly seen: number }
  does(work: Promise<unknown>): void
  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>): Promise<R>
  /** Looks for signals that it has not seen. */
  readSignals(): Promise<void>
  stop(after: 'rest'): void
  /** The run cannot go on. */
  block(error: KeptError): void
}

/** Lets one activation rest when its body has waited for long. */
export class ActivationRest {
  readonly #activation: Resting
  #disarm: (() => void) | undefined
  /** Settles when the rest is decided that is on its way: it may wait long for the storage. */
  #deciding: Promise<void> | undefined

  constructor(activation: Resting) {
    this.#activation = activation
  }

  disarm(): void {
    this.#disarm?.()
    this.#disarm = undefined
  }

  /** Something has happened: if the body only waits now, it rests in a while. */
  arm(): void {
    this.disarm()
    const activation = this.#activation
    const { replay } = activation
    const isBusy = activation.work.count > 0 || this.#deciding
    const isWaiting = replay.hasArrived && replay.inFlight.size > 0 && !isBusy
    // With an outcome on its way to the body it does not wait.
    if (
      !isWaiting ||
      replay.next() ||
      activation.isBodyOver ||
      activation.isStopped ||
      activation.state.cancel
    )
      return
    const { clock } = activation.background.system
    this.#disarm = clock.after(restMs, () => {
      const lacks = replay.open.find((active) => active.lacks)?.lacks
      if (lacks) return activation.block(lacks)
      const at = nextDue(replay.open)
      if (at < shardTime(activation.background).now() + restMs) return
      this.#deciding = this.#rests(at)
      activation.does(this.#deciding)
    })
  }

  /**
   * The result of `wait`, once no rest is undecided: what paused would go on here and, after the rest,
   * in the next activation too.
   */
  async after<T>(wait: Promise<T>): Promise<T> {
    const result = await wait
    await this.#deciding
    return result
  }

  /** Leaves memory until its next timer, unless something has happened. */
  async #rests(at: number): Promise<void> {
    const activation = this.#activation
    const { open, known } = activation.replay
    const waitsFor = awaitedOf(open)
    const seen = { outcomes: known, signals: activation.signals.seen, at, waitsFor, open }
    const hasRested = await activation.turn((state, context) => resting(state, context, seen))
    this.#deciding = undefined
    if (hasRested) return activation.stop('rest')
    // One that came during the replay was not looked for, and would refuse each later rest.
    await activation.readSignals()
    this.arm()
  }
}

/** Calls of the result let `act` be called in the next turn of the event loop, once for all. */
export const inNextTurn = (clock: Clock, act: () => void): (() => void) => {
  let isComing = false
  const comes = (): void => {
    isComing = false
    act()
  }
  return () => {
    if (isComing) return
    isComing = true
    clock.soon(comes)
  }
}
