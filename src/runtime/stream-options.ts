/** How a stream of tasks runs them: what may be said of it, and what holds when nothing is. */
import { KeelsonError } from '../errors.ts'
import type { Target } from './gen-server.ts'
import type { TaskSupervisorMessages } from './task-supervisor.ts'
import { isDelay } from './timer-heap.ts'

/** How a stream runs its tasks. */
export interface AsyncStreamOptions {
  /** Tasks that run at the same time; 8 by default. Without `ordered`, values that nobody took yet count too. */
  readonly maxConcurrency?: number | undefined
  /** Whether outcomes come in the order of their inputs; true by default. False: as they are done. */
  readonly ordered?: boolean | undefined
  /**
   * Inputs whose outcome nobody took yet, when `ordered`: 1,000 by default, `maxConcurrency` at least. It is reached only
   * while the consumer waits for a task that is slower than those behind it; they then go on, as in OTP, up to this.
   */
  readonly maxAhead?: number | undefined
  /** Milliseconds that one task may take; 5,000 by default, `Infinity` for no limit. A task beyond is killed. */
  readonly timeoutMs?: number | undefined
  /** A task beyond its time ends the stream with `TIMEOUT` (`exit`, the default), or is an outcome (`kill_task`). */
  readonly onTimeout?: 'exit' | 'kill_task' | undefined
  /** The task supervisor that the tasks run under. */
  readonly supervisor?: Target<TaskSupervisorMessages> | undefined
  /** False: a crash is an outcome, also for an owner that does not trap exits; and tasks outlive the owner. */
  readonly link?: boolean | undefined
}

/** Options with nothing left out. */
export interface StreamSettings {
  readonly maxConcurrency: number
  readonly ordered: boolean
  readonly maxAhead: number
  readonly timeoutMs: number
  readonly onTimeout: 'exit' | 'kill_task'
  readonly supervisor: Target<TaskSupervisorMessages> | undefined
  readonly link: boolean
}

/** The options with their defaults. Throws `INVALID_ARGUMENT` with `details.option`. */
export const streamSettings = (options: AsyncStreamOptions): StreamSettings => {
  const unknown = Object.keys(options).find((option) => !known.has(option))
  if (unknown !== undefined) throw invalid('an unknown option', unknown)
  const { maxConcurrency = 8, ordered = true, timeoutMs = 5_000, onTimeout = 'exit' } = options
  const { maxAhead = 1_000, supervisor, link = true } = options
  if (!isCount(maxConcurrency)) throw invalid('maxConcurrency', maxConcurrency)
  if (!isCount(maxAhead)) throw invalid('maxAhead', maxAhead)
  if (!isDelay(timeoutMs)) throw invalid('timeoutMs', timeoutMs)
  if (onTimeout !== 'exit' && onTimeout !== 'kill_task') throw invalid('onTimeout', onTimeout)
  const ahead = Math.max(maxAhead, maxConcurrency)
  return { maxConcurrency, ordered, maxAhead: ahead, timeoutMs, onTimeout, supervisor, link }
}

const known = new Set([
  ...['maxConcurrency', 'ordered', 'maxAhead', 'timeoutMs', 'onTimeout', 'supervisor', 'link'],
])

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1

const invalid = (option: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${option} of a stream: ${String(found)}`, {
    details: { option, found },
  })
