/**
 * Waits for a condition. On the virtual clock a wait takes no real time: it settles, moves the time
 * from timer to timer, and knows at the end whether the condition can still come. On another clock
 * it has an end.
 */

import type { Clock, VirtualClock } from '../../clock.ts'
import { noOptions } from '../../own-names.ts'

/** How long a test waits. */
export interface WaitOptions {
  /** Milliseconds of the system's clock. 0 by default on the virtual clock, else 1,000. */
  readonly withinMs?: number | undefined
}

/** A condition, looked at again after each change. */
export class Awaited {
  readonly #clock: Clock
  readonly #isSo: () => boolean
  #look: (() => void) | undefined = undefined

  constructor(clock: Clock, isSo: () => boolean) {
    this.#clock = clock
    this.#isSo = isSo
  }

  /** Looks at the condition again. */
  changed(): void {
    this.#look?.()
  }

  /** Resolves with true when the condition holds, or with false when the time is over. */
  within(options: WaitOptions = noOptions): Promise<boolean> {
    const clock = this.#clock
    if (isVirtual(clock)) return this.#virtually(clock, options.withinMs ?? 0)
    return this.#really(clock, options.withinMs ?? 1_000)
  }

  async #virtually(clock: VirtualClock, ms: number): Promise<boolean> {
    await clock.settle()
    let left = ms
    for (let next = clock.untilNext(); !this.#isSo(); next = clock.untilNext()) {
      if (next === undefined || next > left) break
      await clock.advance(next)
      left -= next
    }
    if (!this.#isSo() && left > 0 && Number.isFinite(left)) await clock.advance(left)
    return this.#isSo()
  }

  #really(clock: Clock, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        this.#look = undefined
        resolve(this.#isSo())
      }
      const cancel = clock.after(ms, end)
      this.#look = () => {
        if (this.#isSo()) end()
      }
      this.#look()
    })
  }
}

const isVirtual = (clock: Clock): clock is VirtualClock => 'advance' in clock
