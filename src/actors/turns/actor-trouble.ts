/**
 * The trouble of the durable actors of an instance: turns that wait for space, steps and alarms that
 * fail, refusals. It is of this life of the instance, and for `health()`; the rows are the truth.
 */

/** A turn that waits for space on the disk. */
export type WaitingTurn = {
  readonly entity: string
  /** The message in two words. */
  readonly what: string
  /** In ms since 1970. */
  readonly since: number
}

/** A step or an alarm that fails. */
export type FailingTurn = {
  readonly entity: string
  readonly what: string
  readonly tries: number
  /** When it is tried again, in ms since 1970. */
  readonly retryAt: number
  readonly error: string
}

/** A list of which only the first ones are shown. */
export type Some<T> = { readonly count: number; readonly first: readonly T[] }

/** How many are shown of each list. */
const shownMax = 10

/** The most failing turns that are kept. Beyond it a further one is not counted. */
const failingMax = 10_000

/** The first items of a list, and how many there are. */
export const some = <T>(items: Iterable<T>, count: number): Some<T> => {
  const first: T[] = []
  for (const item of items) if (first.push(item) === shownMax) break
  return { count, first: first.slice(0, count) }
}

/** What troubles the durable actors of one instance. */
export class ActorTrouble {
  readonly #waiting = new Map<string, WaitingTurn>()
  readonly #failing = new Map<string, FailingTurn>()
  readonly #refused = new Map<string, number>()

  get waiting(): Some<WaitingTurn> {
    return some(this.#waiting.values(), this.#waiting.size)
  }

  get failing(): Some<FailingTurn> {
    return some(this.#failing.values(), this.#failing.size)
  }

  /** The turns that were refused, by their codes. */
  get refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused)
  }

  /** A turn waits for space. */
  waits(turn: WaitingTurn): void {
    if (!this.#waiting.has(turn.entity)) this.#waiting.set(turn.entity, turn)
  }

  /** No turn of this actor waits any more. */
  waitsNot(entity: string): void {
    this.#waiting.delete(entity)
  }

  /** A step or an alarm has failed; `key` tells it from all others. */
  fails(key: string, turn: FailingTurn): void {
    if (this.#failing.size < failingMax || this.#failing.has(key)) this.#failing.set(key, turn)
  }

  /** It was tried again and has not failed, or is gone. */
  failsNot(key: string): void {
    this.#failing.delete(key)
  }

  /** A turn was refused. */
  refuses(code: string): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1)
  }
}
