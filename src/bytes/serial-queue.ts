/** Runs actions one after another. */

/** A queue of actions: each begins when all before it have settled. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `action` in its turn. Settles as it does, and a failure ends nothing after it. */
  run<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(action)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when every action so far has settled. */
  get settled(): Promise<unknown> {
    return this.#last
  }
}
