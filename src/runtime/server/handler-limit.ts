/**
 * The time limit of the handlers of one server, and of its `terminate`. It runs while their promise
 * is pending. When it is over, the process ends, unless the work is tried again: code that never
 * settles would keep it, its name and its place under its supervisor for ever. A handler that never
 * returns cannot be ended; nothing else runs until then.
 */
import { KeelsonError } from '../../errors.ts'
import type { Process } from '../process/process.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { describeMessage } from '../words/envelope.ts'
import { causeOf, type ExitReason } from '../words/exit-reason.ts'

/** The limit of the current handler. */
export class HandlerLimit implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  readonly #ms: number
  /** Why the process terminates, if it does. */
  #reason: ExitReason = undefined
  /** Called instead of the end of the process. */
  #tooLong: ((error: KeelsonError) => void) | undefined = undefined

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

  /** Rejects if `work` is pending for too long. The process goes on, and so does the work. */
  within(work: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#tooLong = reject
      this.arm()
      Promise.resolve(work).then(resolve, reject)
    }).finally(() => {
      this.#tooLong = undefined
      this.disarm()
    })
  }

  /** A handler is pending; with a `reason`, the `terminate` that runs because of it. */
  arm(reason?: ExitReason): void {
    this.#reason = reason
    this.#process.kernel.timers.add(this, this.#ms)
  }

  /** It has settled, or the process has ended. */
  disarm(): void {
    this.#process.kernel.timers.remove(this)
  }

  /**
   * `terminate` does not run, as after a kill: the pending code may hold the state half changed. If
   * `terminate` itself is pending, the error replaces the reason, as one that it throws does.
   */
  fire(): void {
    const message = pendingIn(this.#process)
    const what = `${this.#process}: ${message} is not done after ${this.#ms} ms`
    const details = { reason: 'handler_timeout', message, timeoutMs: this.#ms }
    const cause = causeOf(this.#reason)
    const error = new KeelsonError('TIMEOUT', what, { details, ...cause })
    if (this.#tooLong) this.#tooLong(error)
    else this.#process.fail(error)
  }
}

/** The pending function of `process`: `init`, `terminate` or the handler of a message. */
export const pendingIn = ({ behaviour, current }: Process): string => {
  const status = behaviour.status()
  if (status === 'starting') return 'init'
  if (status === 'terminating' || current === undefined) return 'terminate'
  return describeMessage(current)
}
