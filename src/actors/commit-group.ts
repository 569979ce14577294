/** Which waiting appends make the next group, and the bytes that the log gets of it. Pure but for the tickets' state. */
import type { Ticket } from './ticket.ts'

/** A ticket, and who waits for it. */
export type Waiting<From> = { readonly ticket: Ticket; readonly from: From }

/** The largest group: a bound for the buffers in flight, far beyond where larger groups stop paying. */
export const groupBytesMax = 4 * 1024 * 1024

/**
 * Takes from the head of the queue what makes one group, and marks it submitted. Withdrawn tickets are passed over. A
 * frame that is larger than the bound makes a group alone.
 */
export const takeGroup = <From>(queue: Waiting<From>[]): Waiting<From>[] => {
  const group: Waiting<From>[] = []
  let bytes = 0
  let taken = 0
  for (const waiting of queue) {
    const { ticket } = waiting
    if (bytes > 0 && bytes + ticket.frame.length > groupBytesMax) break
    taken++
    if (ticket.state !== 'queued') continue
    ticket.state = 'submitted'
    bytes += ticket.frame.length
    group.push(waiting)
  }
  queue.splice(0, taken)
  return group
}

/** The frames one after another, in memory of their own, so that it can be given away to the log's thread. */
export const joined = (
  group: readonly Waiting<unknown>[],
): { readonly bytes: Uint8Array; readonly lengths: readonly number[] } => {
  const lengths = group.map(({ ticket }) => ticket.frame.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let offset = 0
  for (const { ticket } of group) {
    bytes.set(ticket.frame, offset)
    offset += ticket.frame.length
  }
  return { bytes, lengths }
}
