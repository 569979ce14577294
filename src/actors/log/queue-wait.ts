/** How long something has waited in a queue when a group is taken from it. Costs nothing while nobody listens. */
import type { System } from '../../runtime/index.ts'
import { isHeard } from '../shard/storage-events.ts'

/** The wait of one queue. */
export class QueueWait {
  #since: number | undefined
  #ms = 0

  /** Of the group that was taken last, in ms; 0 when nobody listened as it began to wait. */
  get ms(): number {
    return this.#ms
  }

  /** Something is about to be queued behind `length` others. */
  queueing(length: number, system: System): void {
    if (length === 0 && isHeard(system, 'wal.commit')) this.#since = system.clock.monotonic()
  }

  /** A group was taken, and `length` are left. */
  taken(length: number, system: System): void {
    this.#ms = this.#since === undefined ? 0 : system.clock.monotonic() - this.#since
    if (length === 0) this.#since = undefined
  }
}
