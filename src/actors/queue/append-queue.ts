/** Groups of appends that wait for the disk, in order, each with the call that it came with. */
import type { From } from '../../runtime/index.ts'
import type { AppendGroup } from './append-group.ts'

/** A group, and the call that is answered when everybody in it was told. */
export type QueuedGroup = { readonly group: AppendGroup; readonly from: From<void> }

/**
 * A queue of groups, of which only the last one still fills. The gate bounds what is in them; groups of which everything was
 * withdrawn are let go whenever another comes, so that a disk that hangs does not pile them up.
 */
export class AppendQueue {
  #waiting: QueuedGroup[] = []

  /** How many appends wait. */
  get length(): number {
    return this.#waiting.reduce((sum, { group }) => sum + group.count, 0)
  }

  /** Whether nothing waits. Groups of which nothing is left may count as waiting until the next `take`. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Whether its first group waits for nothing but the disk. */
  get isDue(): boolean {
    return this.#waiting[0]?.group.isDue === true
  }

  /** Adds a group at the end. */
  push(queued: QueuedGroup): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) if (!letGo(one)) this.#waiting.push(one)
    this.#waiting.push(queued)
  }

  /** Takes the first group of which something is left if it is due; else `undefined`. */
  take(): QueuedGroup | undefined {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (letGo(next)) this.#waiting.shift()
      else return next.group.isDue ? this.#waiting.shift() : undefined
    }
    return undefined
  }
}

/** Closes a group of which nothing is left, so that who comes later begins another; false for one of which something is. */
const letGo = ({ group, from }: QueuedGroup): boolean => {
  if (group.count > 0) return false
  group.close()
  from.reply(undefined)
  return true
}
