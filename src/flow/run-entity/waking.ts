/**
 * How a keeper goes through many runs at its start: which come next, and how many at a time. It is apart from the keeper, its only importer, because it knows neither runs nor a clock.
 */

/** One item of each line, then the next one of each, until all lines end: a short one waits for no long one. */
export function* inTurn<T>(lines: readonly Iterable<T>[]): Iterable<T> {
  let left = lines.map((line) => line[Symbol.iterator]())
  while (left.length > 0) {
    const longer: typeof left = []
    for (const line of left) {
      const { done, value } = line.next()
      if (done) continue
      longer.push(line)
      yield value
    }
    left = longer
  }
}

/** The places for work. */
export class Places {
  readonly #max: number
  #taken = 0
  #freed: (() => void) | undefined

  constructor(max: number) {
    this.#max = max
  }

  /** Begins a work at once, which never rejects. Resolves when there is a place for another one. */
  async take(work: Promise<void>): Promise<void> {
    this.#taken++
    void work.then(() => {
      this.#taken--
      this.#freed?.()
    })
    await this.#until(this.#max - 1)
  }

  /** Resolves when all work has ended. */
  empty(): Promise<void> {
    return this.#until(0)
  }

  /** One caller at a time. */
  async #until(taken: number): Promise<void> {
    while (this.#taken > taken)
      await new Promise<void>((resolve) => {
        this.#freed = resolve
      })
  }
}
