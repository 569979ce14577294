/** Whether a durable actor has nothing to do, so that its process may end. */
import type { Process } from '../../runtime/index.ts'

/** The idleness of one process, apart from its turns. */
export class Idleness {
  readonly #process: Process
  readonly #idleMs: number
  #pipes = 0
  #lastActive = 0

  constructor(process: Process, idleMs = 0) {
    this.#process = process
    this.#idleMs = idleMs
  }

  /** A message is handled. */
  ends(): void {
    this.#lastActive = this.#process.kernel.clock.monotonic()
  }

  /** Watches a promise that `pipe` waits for. */
  piped(promise: Promise<unknown>): void {
    this.#pipes++
    const settledOne = (): void => void this.#pipes--
    Promise.resolve(promise).then(settledOne, settledOne)
  }

  /** Whether no message came for the idle time, none waits, and no answer is owed or awaited. */
  get isLong(): boolean {
    const { depth, owed, kernel } = this.#process
    const quietMs = kernel.clock.monotonic() - this.#lastActive
    const isFree = depth === 0 && owed.first === undefined && this.#pipes === 0
    return isFree && quietMs >= this.#idleMs
  }
}
