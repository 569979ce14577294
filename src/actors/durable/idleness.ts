/** Whether a durable actor has nothing to do, so that its process may end. */
import { Envelope, type HeapEntry, kinds, type Process } from '../../runtime/index.ts'

/**
 * The idleness of one process, apart from its turns. It is its own timer: a hundred thousand live
 * actors have one each.
 */
export class Idleness implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  /** `undefined`: the process never rests. */
  readonly #idleMs: number | undefined
  #pipes = 0
  /** A message came since the timer was set. */
  #wasBusy = false
  /** Its last handler asked for rest (`hibernate`). */
  #isAskedFor = false

  constructor(process: Process, idleMs: number | undefined) {
    this.#process = process
    this.#idleMs = idleMs
  }

  /** A message is handled. */
  ends(): void {
    this.#isAskedFor = false
    this.#wasBusy = true
  }

  /**
   * Looks after the idle time whether the process may rest. While a promise is watched it may not, and
   * no timer runs: a hundred thousand runs that wait in a step would each look every two seconds.
   */
  watch(): void {
    if (this.#idleMs === undefined || this.slot >= 0 || this.#pipes > 0) return
    this.#wasBusy = false
    this.#process.kernel.timers.add(this, this.#idleMs)
  }

  /** The process may rest as soon as it has nothing to do. */
  hibernates(): void {
    this.#isAskedFor = this.#idleMs !== undefined
    this.#restsIfAsked()
  }

  #restsIfAsked(): void {
    if (this.#isAskedFor && this.#pipes === 0 && this.#process.alive) this.fire()
  }

  /** The process has ended. */
  unwatch(): void {
    this.#process.kernel.timers.remove(this)
  }

  fire(): void {
    this.#process.deliver(new Envelope(kinds.info, '$rest', undefined))
  }

  /** Watches a promise that `pipe` waits for. */
  piped(promise: Promise<unknown>): void {
    this.holds()
    const settledOne = (): void => this.lets()
    Promise.resolve(promise).then(settledOne, settledOne)
  }

  /** Something begins with which the process may not rest. */
  holds(): void {
    this.#pipes++
  }

  /** It has ended. */
  lets(): void {
    this.#pipes--
    if (this.#isAskedFor) this.#restsIfAsked()
    else if (this.#process.alive) this.watch()
  }

  /**
   * Whether the process may end: no message came for the idle time, or the last message asked for
   * rest; no message waits; no timer of the process is set (the timer would end with the process);
   * no answer is owed or awaited.
   */
  get isLong(): boolean {
    const { depth, owed, timers } = this.#process
    const isFree = depth === 0 && !timers?.size && owed.first === undefined && this.#pipes === 0
    return isFree && (this.#isAskedFor || !this.#wasBusy)
  }
}
