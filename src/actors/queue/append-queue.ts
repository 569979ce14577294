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

  /** Adds a group at the end. */
  push(queued: QueuedGroup): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) if (!letGo(one)) this.#waiting.push(one)
    this.#waiting.push(queued)
  }

  /** Takes the first group of which something is left; `undefined` without one. */
  take(): QueuedGroup | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift())
      if (!letGo(next)) return next
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
