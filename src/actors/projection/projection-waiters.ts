/**
 * Callers that wait until the projection shows an LSN: flushes, suspensions that flush first, and
 * requests.
 */
import type { KeelsonError } from '../../errors.ts'
import type { From } from '../../runtime/index.ts'

/** A wait until the projection shows `lsn`, and the first `derived` groups of derived rows. */
export type Waiter = {
  readonly lsn: number
  readonly derived: number
  readonly reached: (lsn: number) => void
  readonly failed: (error: KeelsonError) => void
}

type Outcome = Pick<Waiter, 'reached' | 'failed'>

/** A waiter that answers a call with the LSN that the projection shows. */
export const answering = (from: From<number>): Outcome => ({
  reached: (lsn) => from.reply(lsn),
  failed: (error) => from.fail(error),
})

const ignore = (): void => undefined

/** A waiter without a caller to notify. */
export const unheard: Outcome = { reached: ignore, failed: ignore }

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

  /** Answers the waiters for so much, and for less. */
  reach(projectedLsn: number, derivedGroups: number): void {
    const isThere = ({ lsn, derived }: Waiter) => lsn <= projectedLsn && derived <= derivedGroups
    const reached = this.#waiting.filter(isThere)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter((waiter) => !isThere(waiter))
    for (const waiter of reached) waiter.reached(projectedLsn)
  }

  /** Fails all waiters. */
  fail(error: KeelsonError): void {
    for (const waiter of this.#waiting.splice(0)) waiter.failed(error)
  }
}
