/**
 * The time limit of the handlers of one server. It runs while a handler's promise is pending. When
 * it is over, the process ends: code that never settles would keep it for ever. A handler that
 * never returns cannot be ended; nothing else runs meanwhile.
 */
import { KeelsonError } from '../../errors.ts'
import type { Process } from '../process/process.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { describeMessage } from '../words/envelope.ts'

/** The limit of the handler at hand. */
export class HandlerLimit implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  readonly #ms: number

  constructor(process: Process, ms: number) {
    this.#process = process
    this.#ms = ms
  }

  /** The limit of a process; `undefined` without one. */
  static of(process: Process, ms: number | undefined): HandlerLimit | undefined {
    return ms === undefined ? undefined : new HandlerLimit(process, ms)
  }

  /** Runs while `work` is pending. */
  during(work: unknown): Promise<unknown> {
    this.arm()
    return Promise.resolve(work).finally(() => this.disarm())
  }

  /** A handler is pending. */
  arm(): void {
    this.#process.kernel.timers.add(this, this.#ms)
  }

  /** It has settled, or the process has ended. */
  disarm(): void {
    this.#process.kernel.timers.remove(this)
  }

  /** `terminate` does not run, as after a kill: the pending code may hold the state half changed. */
  fire(): void {
    const { current } = this.#process
    const message = current && describeMessage(current)
    const what = `${this.#process}: ${message} is not done after ${this.#ms} ms`
    const details = { reason: 'handler_timeout', message, timeoutMs: this.#ms }
    this.#process.fail(new KeelsonError('TIMEOUT', what, { details }))
  }
}
