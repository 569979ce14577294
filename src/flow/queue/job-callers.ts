/**
 * The callers of one incarnation of a queue that look at its jobs, or wait for the ends of jobs. A
 * look is answered between turns: in a turn the book is ahead of the rows. A caller that asks for
 * the end of a job waits first and looks then, so that an end which is being written answers it.
 * They are apart from the runner, which makes the turns and knows no caller.
 */
import { onceSettled } from '../../actors/index.ts'
import { type ErrorCode, errorOf, KeelsonError } from '../../errors.ts'
import { readError } from '../../thrown.ts'
import type { JobLook } from './job-look.ts'
import type { QueueRequest } from './queue-messages.ts'

/** The caller of a look, or of a result. */
export type JobCaller = QueueRequest['from']

const gone = 'is not there: it was never added, was removed, or nothing is kept of its end'

/** The callers of one queue. */
export class JobCallers {
  readonly #queue: string
  readonly #look: (number: number) => JobLook | undefined
  readonly #waiting = new Map<number, Set<JobCaller>>()
  #isInTurn = false
  #looks: (() => void)[] = []

  /** `look`: at a job, between turns. */
  constructor(queue: string, look: (number: number) => JobLook | undefined) {
    this.#queue = queue
    this.#look = look
  }

  get isInTurn(): boolean {
    return this.#isInTurn
  }

  /** A turn begins, or has ended and the book is what is durable. */
  set isInTurn(is: boolean) {
    this.#isInTurn = is
    if (is) return
    for (const look of this.#looks.splice(0)) look()
  }

  /** Looks at a job. */
  look(number: number, from: JobCaller): void {
    this.#between(() => {
      try {
        from.reply(this.#look(number))
      } catch (error) {
        from.fail(error)
      }
    })
  }

  /** Waits for the end of a job, and answers at once if there is none to come. */
  wait(number: number, from: JobCaller): void {
    const callers = this.#waiting.get(number) ?? new Set()
    this.#waiting.set(number, callers.add(from))
    onceSettled(from, () => {
      callers.delete(from)
      if (callers.size === 0 && this.#waiting.get(number) === callers) this.#waiting.delete(number)
    })
    this.#between(() => this.ended(number))
  }

  #between(look: () => void): void {
    if (this.#isInTurn) this.#looks.push(look)
    else look()
  }

  /** Answers the callers that wait for a job, if it has ended and its end is durable. */
  ended(number: number): void {
    if (!this.#waiting.has(number)) return
    try {
      const found = this.#look(number)
      if (found?.state === 'done') this.done(number, found.result)
      else if (found?.state === 'dead') this.#dead(number, found.error && errorOf(found.error))
      else if (!found) this.#fail(number, this.#error('CONFLICT', number, gone))
    } catch (error) {
      this.#fail(number, error)
    }
  }

  /** A job is done. */
  done(number: number, result: unknown): void {
    for (const from of this.#of(number)) from.reply(result)
  }

  #dead(number: number, cause: Error | undefined): void {
    const text = `is dead: ${cause && readError(cause).message}`
    this.#fail(number, this.#error('FAILED', number, text, cause))
  }

  /** A job was removed. Answers the reason for its handler. */
  removed(number: number): KeelsonError {
    const reason = this.#error('CANCELLED', number, 'was removed')
    this.#fail(number, reason)
    return reason
  }

  #error(code: ErrorCode, number: number, what: string, cause?: unknown): KeelsonError {
    const details = { queue: this.#queue, id: String(number) }
    const because = cause === undefined ? {} : { cause }
    return new KeelsonError(code, `job ${number} of ${this.#queue} ${what}`, {
      details,
      ...because,
    })
  }

  #fail(number: number, error: unknown): void {
    for (const from of this.#of(number)) from.fail(error)
  }

  #of(number: number): Iterable<JobCaller> {
    const callers = this.#waiting.get(number) ?? []
    this.#waiting.delete(number)
    return callers
  }
}
