/**
 * A host of a port without a thread, for simulations. It handles requests one after another, and
 * answers each `delayMs` later by a given clock. So groups form as they do while a real disk works.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

/** The delay of answers. */
export type AnswerDelay = {
  readonly clock: Clock
  /** From the work of a request to its answer, in ms; 0 by default: a later turn. */
  readonly delayMs?: number | (() => number)
}

/** The work of a host. */
export type InlineWork<Kind, Request, Answer> = {
  /** The name of what it serves, in refusals. */
  readonly name: string
  readonly handle: (kind: Kind, request: Request) => Answer
  /** Whether the request cannot be handled now: `proceed` tries again. */
  readonly mustWait?: (kind: Kind, request: Request) => boolean
  /** Called when a request was handled, or none waits. */
  readonly proceeded?: () => void
}

type Pending = {
  readonly mustWait: () => boolean
  readonly carryOut: () => void
  readonly refuse: (error: KeelsonError) => void
}

/** Requests to a host: each is handled when the request before it has been answered. */
export class InlineRequests<Kind, Request, Answer> {
  readonly #work: InlineWork<Kind, Request, Answer>
  readonly #delay: AnswerDelay
  #waiting: Pending[] = []
  #current: Pending | undefined
  #cancelAnswer: Cancel | undefined
  /** Whether `end` was called. */
  isEnded = false

  constructor(work: InlineWork<Kind, Request, Answer>, delay: AnswerDelay) {
    this.#work = work
    this.#delay = delay
  }

  /** Handles a request in its turn. */
  run(kind: Kind, request: Request): Promise<Answer> {
    const { handle, mustWait } = this.#work
    return new Promise((resolve, reject) => {
      if (this.isEnded) return reject(this.#closed())
      this.#waiting.push({
        refuse: reject,
        mustWait: () => mustWait?.(kind, request) === true,
        carryOut: () => {
          try {
            const answer = handle(kind, request)
            this.#settle(() => resolve(answer))
          } catch (error) {
            this.#settle(() => reject(error))
          }
        },
      })
      this.proceed()
    })
  }

  /** Handles the next request, unless one has no answer yet. */
  proceed(): void {
    if (this.#current) return
    this.#current = this.#waiting[0]?.mustWait() ? undefined : this.#waiting.shift()
    this.#current?.carryOut()
    this.#work.proceeded?.()
  }

  /** Refuses what waits, with `CLOSED`. */
  refuse(): void {
    this.#cancelAnswer?.()
    for (const pending of this.#current ? [this.#current, ...this.#waiting] : this.#waiting)
      pending.refuse(this.#closed())
    this.#waiting = []
  }

  #settle(action: () => void): void {
    const { clock, delayMs = 0 } = this.#delay
    const settled = (): void => {
      if (this.isEnded) return
      action()
      this.#current = undefined
      this.proceed()
    }
    const ms = typeof delayMs === 'function' ? delayMs() : delayMs
    if (ms > 0) this.#cancelAnswer = clock.after(ms, settled)
    else clock.soon(settled)
  }

  #closed(): KeelsonError {
    return new KeelsonError('CLOSED', `${this.#work.name} ended`)
  }
}
