/**
 * Waiting for something to be so. On the virtual clock it costs no time: everything happens that can happen, time is moved
 * on from deadline to deadline, and what has not come by then never will. On another clock it is a wait with an end.
 */
import type { Clock, VirtualClock } from '../../clock.ts'

/** How long a test waits. */
export interface WaitOptions {
  /** Milliseconds of the system's clock. 0 by default on the virtual clock, else 1,000. */
  readonly withinMs?: number | undefined
}

/** Something that may become so; it says when to look again. */
export class Awaited {
  readonly #clock: Clock
  readonly #isSo: () => boolean
  #look: (() => void) | undefined = undefined

  constructor(clock: Clock, isSo: () => boolean) {
    this.#clock = clock
    this.#isSo = isSo
  }

  /** Something has changed. */
  changed(): void {
    this.#look?.()
  }

  /** Resolves when it is so (true), or when the time is over (false). */
  within(options: WaitOptions = {}): Promise<boolean> {
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
    if (!this.#isSo() && left > 0) await clock.advance(left)
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
