/** Who waits until the projection shows something: flushes, suspensions that flush first, and requests for an LSN. */
import type { KeelsonError } from '../../errors.ts'
import type { From } from '../../runtime/index.ts'

/** Somebody waits until the projection shows `lsn`. */
export type Waiter = {
  readonly lsn: number
  readonly reached: (lsn: number) => void
  readonly failed: (error: KeelsonError) => void
}

/** Tells a call where the projection is then. */
export const answering = (from: From<number>): Omit<Waiter, 'lsn'> => ({
  reached: (lsn) => from.reply(lsn),
  failed: (error) => from.fail(error),
})

const ignore = (): void => undefined

/** Tells nobody: whoever wants this to happen will notice. */
export const unheard: Omit<Waiter, 'lsn'> = { reached: ignore, failed: ignore }

/** Those who wait at one projection. Each is answered once. */
export class ProjectionWaiters {
  #waiting: Waiter[] = []

  /** Whether anybody waits. */
  get areThere(): boolean {
    return this.#waiting.length > 0
  }

  add(waiter: Waiter): void {
    this.#waiting.push(waiter)
  }

  /** The projection shows `projectedLsn`: whoever waited for no more is answered. */
  reach(projectedLsn: number): void {
    const reached = this.#waiting.filter(({ lsn }) => lsn <= projectedLsn)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ lsn }) => lsn > projectedLsn)
    for (const waiter of reached) waiter.reached(projectedLsn)
  }

  /** Nobody waits any more. */
  fail(error: KeelsonError): void {
    for (const waiter of this.#waiting.splice(0)) waiter.failed(error)
  }
}
