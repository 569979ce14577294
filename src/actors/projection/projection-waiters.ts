/**
 * Callers that wait until the projection shows an LSN: flushes, suspensions that flush first, and
 * requests.
 */
import type { KeelsonError } from '../../errors.ts'
import type { From } from '../../runtime/index.ts'

/** A wait until the projection shows `lsn`. */
export type Waiter = {
  readonly lsn: number
  readonly reached: (lsn: number) => void
  readonly failed: (error: KeelsonError) => void
}

/** A waiter that answers a call with the LSN that the projection shows. */
export const answering = (from: From<number>): Omit<Waiter, 'lsn'> => ({
  reached: (lsn) => from.reply(lsn),
  failed: (error) => from.fail(error),
})

const ignore = (): void => undefined

/** A waiter without a caller to notify. */
export const unheard: Omit<Waiter, 'lsn'> = { reached: ignore, failed: ignore }

/** The waiters of one projection. Each is answered once. */
export class ProjectionWaiters {
  #waiting: Waiter[] = []

  /** Whether there are waiters. */
  get areThere(): boolean {
    return this.#waiting.length > 0
  }

  add(waiter: Waiter): void {
    this.#waiting.push(waiter)
  }

  /** Answers the waiters for `projectedLsn` and earlier LSNs. */
  reach(projectedLsn: number): void {
    const reached = this.#waiting.filter(({ lsn }) => lsn <= projectedLsn)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ lsn }) => lsn > projectedLsn)
    for (const waiter of reached) waiter.reached(projectedLsn)
  }

  /** Fails all waiters. */
  fail(error: KeelsonError): void {
    for (const waiter of this.#waiting.splice(0)) waiter.failed(error)
  }
}
