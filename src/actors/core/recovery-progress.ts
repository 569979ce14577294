/**
 * How far the rebuilding of a projection has come, while its shard cannot be read. It lives in the
 * `Shard` value: `health()` shows it, and `start` reports it to its caller.
 */
import type { Clock } from '../../clock.ts'

/**
 * A projection on its way: from a snapshot, or from the log. `count`: rows of the snapshot or
 * frames of the log that it has. `bytes` of `bytesOfAll` are done, at `bytesPerSecond` so far.
 */
export type RecoveryProgress = {
  readonly source: 'snapshot' | 'log'
  readonly count: number
  readonly bytes: number
  readonly bytesOfAll: number
  readonly bytesPerSecond: number
}

/** A listener hears of progress once in so many ms: of a short recovery it hears nothing. */
const reportMs = 1_000

type Listener = (progress: RecoveryProgress) => void

/** The recovery of one shard. */
export class Recovery {
  readonly #clock: Clock
  #began = 0
  #reportedAt = 0
  #present: RecoveryProgress | undefined
  #listener: Listener | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The progress; `undefined` while nothing is rebuilt. */
  get present(): RecoveryProgress | undefined {
    return this.#present
  }

  /** Sets the listener; it replaces the one before. */
  listen(listener: Listener): void {
    this.#listener = listener
  }

  /** A part of a recovery begins. */
  begin(source: RecoveryProgress['source'], bytesOfAll: number): void {
    this.#began = this.#clock.monotonic()
    this.#reportedAt = this.#began
    this.#present = { source, count: 0, bytes: 0, bytesOfAll, bytesPerSecond: 0 }
  }

  /** So much of the part is done. No effect before `begin`. */
  reach(count: number, bytes: number): void {
    if (!this.#present) return
    const now = this.#clock.monotonic()
    const ms = now - this.#began
    const bytesPerSecond = ms > 0 ? Math.round((1_000 * bytes) / ms) : 0
    this.#present = { ...this.#present, count, bytes, bytesPerSecond }
    if (now - this.#reportedAt < reportMs) return
    this.#reportedAt = now
    this.#listener?.(this.#present)
  }

  /** The recovery has ended. */
  end(): void {
    this.#present = undefined
  }
}
