/** The clock of one process of several on one virtual clock: with a rate of its own, and nothing happens while it stops or after its end. */
import type { Clock } from '../../../src/clock.ts'

/** The clock of one process. */
export class ProcessClock implements Clock {
  isAlive = true
  #stoppedUntil = 0
  readonly #base: Clock
  readonly #rate: number
  readonly #aheadMs: number

  /** `aheadMs`: how far its wall clock is ahead. */
  constructor(base: Clock, rate: number, aheadMs = 0) {
    this.#base = base
    this.#rate = rate
    this.#aheadMs = aheadMs
  }

  stop(ms: number): void {
    this.#stoppedUntil = this.#base.monotonic() + ms
  }

  /** For how long nothing happens from now on. */
  get #heldMs(): number {
    return this.#stoppedUntil - this.#base.monotonic()
  }

  now = () => this.#base.now() + this.#aheadMs
  monotonic = () => this.#base.monotonic() * this.#rate
  random = () => this.#base.random()
  randomBytes = (count: number) => this.#base.randomBytes(count)

  whenSet(listener: () => void): () => void {
    return this.#base.whenSet(() => {
      if (this.#heldMs > 0) this.after(0, listener)
      else if (this.isAlive) listener()
    })
  }

  soon(action: () => void): void {
    this.#base.soon(() => {
      if (this.#heldMs > 0) this.after(0, action)
      else if (this.isAlive) action()
    })
  }

  after(ms: number, action: () => void): () => void {
    let cancel = (): void => undefined
    const arm = (delayMs: number): void => {
      cancel = this.#base.after(delayMs, () => {
        if (this.#heldMs > 0) arm(this.#heldMs)
        else if (this.isAlive) action()
      })
    }
    arm(ms / this.#rate + 1e-6)
    return () => cancel()
  }
}
