/** Appends that wait for the disk, in order, and the groups that they make. */
import type { Ticket } from './ticket.ts'

/** A ticket, and who waits for it. */
export type Waiting<From> = { readonly ticket: Ticket; readonly from: From }

/** The largest group: a bound for the buffers in flight, far beyond where larger groups stop paying. */
const groupBytesMax = 4 * 1024 * 1024

/** Up to this length a queue is never looked through for withdrawn tickets. */
const pruneAtLeast = 1_024

/**
 * A queue of appends. The gate bounds those whose callers wait; withdrawn ones have left it, and on a disk that hangs nobody would
 * take them out: they are looked for when the queue has doubled, so that a push pays a constant share.
 */
export class AppendQueue<From> {
  #waiting: Waiting<From>[] = []
  #pruneAt = pruneAtLeast

  /** How many wait, withdrawn ones that were not yet looked for included. */
  get length(): number {
    return this.#waiting.length
  }

  /** Adds one at the end. */
  push(waiting: Waiting<From>): void {
    if (this.#waiting.length >= this.#pruneAt) this.#prune()
    this.#waiting.push(waiting)
  }

  /**
   * Takes from the head what makes one group, and marks it submitted. Withdrawn tickets are passed over. A frame that is
   * larger than the bound makes a group alone.
   */
  takeGroup(): Waiting<From>[] {
    const group: Waiting<From>[] = []
    let bytes = 0
    let taken = 0
    for (const waiting of this.#waiting) {
      const { ticket } = waiting
      if (bytes > 0 && bytes + ticket.frame.length > groupBytesMax) break
      taken++
      if (ticket.state !== 'queued') continue
      ticket.state = 'submitted'
      bytes += ticket.frame.length
      group.push(waiting)
    }
    this.#waiting.splice(0, taken)
    return group
  }

  #prune(): void {
    this.#waiting = this.#waiting.filter(({ ticket }) => ticket.state === 'queued')
    this.#pruneAt = Math.max(pruneAtLeast, 2 * this.#waiting.length)
  }
}

/** The frames one after another, in memory of their own, so that it can be given away to the log's thread. */
export const joined = (
  group: readonly Waiting<unknown>[],
): { readonly bytes: Uint8Array; readonly lengths: Uint32Array } => {
  // An array of numbers would be copied to the thread number by number.
  const lengths = Uint32Array.from(group, ({ ticket }) => ticket.frame.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let offset = 0
  for (const { ticket } of group) {
    bytes.set(ticket.frame, offset)
    offset += ticket.frame.length
  }
  return { bytes, lengths }
}
