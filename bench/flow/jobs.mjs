/** The jobs of one player: each is added once, and an end without an add or a second end is an error. */
import { setTimeout as wait } from 'node:timers/promises'

export class Jobs {
  #next = 0
  #open = new Set()
  #begun = undefined
  #drained = undefined
  #error = undefined

  /** The number of a new job. */
  next() {
    this.#open.add(this.#next)
    return this.#next++
  }

  /** Its handler begins. */
  begin() {
    this.#begun?.(performance.now())
  }

  /** The job is done, durably. */
  end(number) {
    if (!this.#open.delete(number)) this.#error = new Error(`job ${number} was done twice`)
    if (this.#open.size === 0) this.#drained?.()
  }

  /** Resolves when every job is done; throws when one was done twice. */
  async drain() {
    if (this.#open.size > 0) await new Promise((resolve) => (this.#drained = resolve))
    if (this.#error !== undefined) throw this.#error
  }

  /**
   * Adds one job at a time to an idle queue, for some seconds. Answers the milliseconds to the beginning of its handler, from
   * each call of `add` and from its answer; 0 where the handler was first.
   */
  async idle(seconds, add) {
    const samples = []
    const until = performance.now() + seconds * 1_000
    while (performance.now() < until) {
      const begun = new Promise((resolve) => (this.#begun = resolve))
      const called = performance.now()
      await add(this.next())
      const answered = performance.now()
      const at = await begun
      samples.push({ fromCall: at - called, fromAnswer: Math.max(0, at - answered) })
      await this.drain()
      await wait(2)
    }
    return { samples }
  }
}
