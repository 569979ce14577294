/** A job as a look at it shows it. Pure. */
import type { KeptError } from '../../errors.ts'
import { copied } from '../runs/values.ts'
import type { DoneJob } from './ended-rows.ts'
import type { RunningTry } from './queue-job.ts'
import { dueOf, logOf, numberOf } from './queue-rows.ts'
import type { FoundJob, JobState } from './queue-types.ts'

/** A job `J` of a queue, whose handler returns an `R`. Times are in ms since 1970. */
export type JobLook<J = unknown, R = unknown> = {
  readonly id: string
  readonly state: JobState
  /** The value that was added; `undefined` of a job that is done. */
  readonly input: J | undefined
  readonly key: string | undefined
  readonly priority: number
  readonly addedAt: number
  /** When a delayed job is due. */
  readonly dueAt: number | undefined
  /** The tries that have begun. */
  readonly tries: number
  /** When its last failed try failed, and with which error. */
  readonly failedAt: number | undefined
  readonly error: KeptError | undefined
  /** The value that its handler returned, while the queue keeps results, and when it was done. */
  readonly result: R | undefined
  readonly doneAt: number | undefined
  /** The last progress of its present try. */
  readonly progress: unknown
  /** The last lines of its tries. */
  readonly log: readonly string[]
  /** The `key` of its tries; in a queue with a workflow the id of the run. */
  readonly tryKey: string
}

/** A job that is not done. `present`: its try, if it runs. */
export const lookOf = (
  { state, row, record }: FoundJob,
  tryKey: string,
  present: RunningTry | undefined,
): JobLook => {
  const { job: input, key, priority, at: addedAt, tries, failure } = record
  return {
    ...{ id: String(numberOf(row)), state, input, key: key || undefined, priority, addedAt, tries },
    ...{ dueAt: state === 'delayed' ? dueOf(row) : undefined, tryKey },
    ...{ failedAt: failure?.at, error: failure?.error },
    ...{ result: undefined, doneAt: undefined },
    ...{
      progress: copied(present?.shown, 'the progress'),
      log: logOf(failure, present?.lines ?? []),
    },
  }
}

/** A job that is done. */
export const doneLook = (number: number, job: DoneJob, tryKey: string): JobLook => {
  const { key, priority, at: addedAt, tries, log, result, endedAt: doneAt } = job
  return {
    ...{ id: String(number), state: 'done', input: undefined, key: key || undefined, priority },
    ...{ addedAt, tries, log, result, doneAt, tryKey },
    ...{ dueAt: undefined, failedAt: undefined, error: undefined, progress: undefined },
  }
}
