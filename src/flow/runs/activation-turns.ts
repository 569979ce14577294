/**
 * The turns of an activation. If its body has reported progress, the next turn stores the progress, too;
 * so does the turn that ends the run.
 */

import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../clock.ts'
import { reply } from '../../runtime/index.ts'
import { afterRefusedTurn, pauseMs } from './decide.ts'
import type { RunBackground, RunContext, State } from './messages.ts'
import { isLive, isOver, type RunState } from './record.ts'
import type { SaidMessages } from './said.ts'
import type { Turned } from './turns.ts'

/**
 * Makes a turn of `change`, and tries again while the storage cannot take it. Never settles if the
 * activation has ended. `isStale`: nor does it change a run that has gone on without its activation. A full
 * disk takes the next lap of a run perhaps before the turn of an operation that the last lap has left.
 */
export const makeTurn = async <R>(
  background: RunBackground,
  change: (state: RunState, context: RunContext) => Turned<R>,
  isStale: (state: RunState) => boolean = never,
): Promise<R> => {
  const { clock } = background.system
  let isLost = false
  for (let tries = 1; ; tries++)
    try {
      const made = (await background.apply((state: State, context) => {
        isLost = isStale(state as RunState)
        if (isLost) return reply(undefined, state)
        const [result, next] = change(state as RunState, context)
        // A run that waits or has ended leaves memory with its activation.
        return reply(result, next, isLive(next.status) ? undefined : { hibernate: true })
      })) as R
      return isLost ? new Promise(() => undefined) : made
    } catch (error) {
      const next = afterRefusedTurn(error)
      if (next === 'gone') return new Promise(() => undefined)
      if (next === 'throw') throw error
      const waitMs = pauseMs(tries, clock)
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    }
}

const never = (): boolean => false

/** Makes the turns of one activation. */
export class ActivationTurns {
  #background: RunBackground | undefined
  /** Turns that wait for it. */
  readonly #early: ((background: RunBackground) => void)[] = []
  readonly #soon: () => void
  readonly #isStale: (state: RunState) => boolean
  /** The last that was reported. */
  #progress: unknown
  #hasReport = false
  /** The messages of the body for streams. */
  #said: SaidMessages | undefined
  /** Settles with the last turn that goes first. */
  #first: Promise<unknown> | undefined

  /**
   * `makes` makes a turn that nobody awaits, unless the activation has stopped. `isStale`: the activation
   * is over, or the run is in another lap.
   */
  constructor(
    clock: Clock,
    makes: (turn: () => Promise<void>) => void,
    isStale: (state: RunState) => boolean = never,
  ) {
    this.#isStale = isStale
    this.#soon = inNextTurn(clock, () => {
      if (this.hasMore) makes(() => this.make((state) => [undefined, state]))
    })
  }

  /** Turns can be made from now on. */
  begin(background: RunBackground): void {
    this.#background = background
    for (const act of this.#early.splice(0)) act(background)
    if (this.hasMore) this.#soon()
  }

  /** Whether there is a report, or a message for a stream, that no turn has recorded. */
  get hasMore(): boolean {
    return this.#hasReport || this.#said?.isWaiting === true
  }

  /** The next turns append what the body says, until the next call. They come at the latest in the next turn of the loop. */
  says(said: SaidMessages | undefined): void {
    this.#said = said
    if (this.#background && said?.isWaiting) this.#soon()
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
    if (!this.hasMore) return makeTurn(background, change, this.#isStale)
    const said = this.#said
    let messages = 0
    const hasReport = this.#hasReport
    this.#hasReport = false
    const made = await makeTurn(
      background,
      (before, context) => {
        const state = said?.written(before, context) ?? before
        messages = state.said?.count ?? 0
        const [result, next] = change(state, context)
        if (!hasReport) return [result, next]
        // A later turn may have recorded a later report already. The end of a replay reports once more
        // what the run may show: then nothing is written.
        const progress = this.#progress
        const isKept = isOver(state.status) || isDeepStrictEqual(next.progress, progress)
        return [result, isKept ? next : { ...next, progress }]
      },
      this.#isStale,
    )
    said?.kept(messages)
    return made
  }

  /** The turn of the birth is durable. */
  #begun(): Promise<RunBackground> {
    return new Promise((resolve) => void this.#early.push(resolve))
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
