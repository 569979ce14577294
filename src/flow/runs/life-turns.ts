/** The turns of a life. Each takes along the progress that its body has reported, that of the end too. */
import { isKeelsonError } from '../../errors.ts'
import { reply } from '../../runtime/index.ts'
import type { OwnLife, RunContext, State } from './messages.ts'
import { isLive, isOver, type RunState } from './record.ts'
import { pauseMs } from './tries.ts'
import type { Turned } from './turns.ts'

/** The life has ended. */
const lost = ['EXITED', 'NO_PROCESS', 'CLOSED', 'UNKNOWN_OUTCOME'] as const
/** Another try comes to the same. */
const final = ['INVALID_ARGUMENT', 'TOO_LARGE', 'CONFLICT', 'BLOCKED', 'CORRUPT'] as const

/**
 * Makes a turn of `change`, and tries again while the storage cannot take it. Never settles if the
 * life has ended.
 */
export const makeTurn = async <R>(
  life: OwnLife,
  change: (state: RunState, context: RunContext) => Turned<R>,
): Promise<R> => {
  const { clock } = life.system
  for (let tries = 1; ; tries++)
    try {
      return (await life.apply((state: State, context) => {
        const [result, next] = change(state as RunState, context)
        // A run that waits or has ended leaves memory with its life.
        return reply(result, next, isLive(next.status) ? undefined : { hibernate: true })
      })) as R
    } catch (error) {
      if (lost.some((code) => isKeelsonError(error, code))) return new Promise(() => undefined)
      if (final.some((code) => isKeelsonError(error, code))) throw error
      const waitMs = pauseMs(tries, clock)
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    }
}

/** Makes the turns of one life. */
export class LifeTurns {
  readonly #life: OwnLife
  readonly #soon: () => void
  /** Reported, and not yet in a turn. */
  #progress: { readonly value: unknown } | undefined

  /** `makes` makes a turn that nobody awaits, unless the life has stopped. */
  constructor(life: OwnLife, makes: (turn: () => Promise<void>) => void) {
    this.#life = life
    this.#soon = inNextTurn(life.system.clock, () => {
      if (this.#progress) makes(() => this.make((state) => [undefined, state]))
    })
  }

  /** The next turn records this progress. It comes at the latest in the next turn of the loop. */
  report(value: unknown): void {
    this.#progress = { value }
    this.#soon()
  }

  /** As `makeTurn`. */
  async make<R>(change: (state: RunState, context: RunContext) => Turned<R>): Promise<R> {
    const progress = this.#progress
    if (!progress) return makeTurn(this.#life, change)
    this.#progress = undefined
    return makeTurn(this.#life, (state, context) => {
      const [result, next] = change(state, context)
      return [result, isOver(state.status) ? next : { ...next, progress: progress.value }]
    })
  }
}

/** Calls of the result let `act` be called in the next turn of the event loop, once for all. */
export const inNextTurn = (clock: OwnLife['system']['clock'], act: () => void): (() => void) => {
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
