/** An append as a promise: for those who have something else to do than to wait for every one of a thousand callers. */
import type { FrameUnits, UnitAnswer } from '../../storage/index.ts'
import type { Append } from './append-group.ts'
import type { Applied } from './commit-follower.ts'
import { outcomeOf, type Position, type Ticket } from './ticket.ts'

/** What is appended. `length`: bytes of the frame; `endsAt` by the monotonic clock. */
export type AppendTerms = {
  readonly shard: number
  readonly units: FrameUnits
  readonly length: number
  readonly endsAt: number
}

/** One append. `ended` resolves when it is committed and applied; how it rejects: `outcomeOf` in `ticket.ts`. */
export class PendingAppend implements Append {
  readonly units: FrameUnits
  readonly length: number
  readonly endsAt: number
  state: Ticket['state'] = 'queued'
  readonly ended: Promise<Applied>
  readonly #shard: number
  #resolve!: (applied: Applied) => void
  #reject!: (error: unknown) => void

  constructor({ shard, units, length, endsAt }: AppendTerms) {
    this.#shard = shard
    this.units = units
    this.length = length
    this.endsAt = endsAt
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  applied(lsn: number, answer: readonly UnitAnswer[]): void {
    this.#resolve({ position: this.#at(lsn), answer })
  }

  failed(error: unknown, lsn: number | undefined): void {
    this.#reject(outcomeOf(this, error, lsn === undefined ? undefined : this.#at(lsn)))
  }

  #at(lsn: number): Position {
    return { shard: this.#shard, lsn }
  }
}
