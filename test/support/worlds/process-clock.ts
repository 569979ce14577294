/** The clock of one process of several on one virtual clock: with a rate of its own, and nothing happens while it stops or after its end. */
import type { Clock } from '../../../src/clock.ts'

/** The clock of one process. */
export class ProcessClock implements Clock {
  isAlive = true
  #stoppedUntil = 0
  readonly #base: Clock
  readonly #rate: number

  constructor(base: Clock, rate: number) {
    this.#base = base
    this.#rate = rate
  }

  stop(ms: number): void {
    this.#stoppedUntil = this.#base.monotonic() + ms
  }

  now = () => this.#base.now()
  monotonic = () => this.#base.monotonic() * this.#rate
  random = () => this.#base.random()
  randomBytes = (count: number) => this.#base.randomBytes(count)
  soon = (action: () => void) => this.#base.soon(action)

  after(ms: number, action: () => void): () => void {
    let cancel = (): void => undefined
    const arm = (delayMs: number): void => {
      cancel = this.#base.after(delayMs, () => {
        const heldMs = this.#stoppedUntil - this.#base.monotonic()
        if (heldMs > 0) arm(heldMs)
        else if (this.isAlive) action()
      })
    }
    arm(ms / this.#rate + 1e-6)
    return () => cancel()
  }
}
