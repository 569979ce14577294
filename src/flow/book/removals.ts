/** Removes jobs from a queue, one by its number or many in pieces, as parts of turns. Pure. */
import type { DurableRows } from '../../actors/index.ts'
import { removeDone } from './ended-rows.ts'
import type { QueueBook } from './queue-book.ts'
import { deadPrefix, delayedPrefix, isOf, numberOf } from './queue-rows.ts'
import type { JobState } from './queue-types.ts'

/**
 * Removes a job, or the result of one that is done. Answers the state in which it was; `undefined`:
 * there is none.
 */
export const removeJob = (
  book: QueueBook,
  number: number,
  rows: DurableRows,
): JobState | undefined => {
  const found = book.find(number, rows)
  if (!found) return removeDone(number, rows) ? 'done' : undefined
  book.remove(found, rows)
  return found.state
}

/** Which jobs to remove, and how far that is. `before`: jobs that were added before this one. */
export type DrainRequest = {
  readonly state: 'waiting' | 'delayed' | 'dead'
  readonly key: string | undefined
  readonly priority: number | undefined
  readonly before: number | undefined
  /** The last row that was looked at. */
  readonly after: string | undefined
}

/**
 * One piece of a drain. `before`: that of its request, or the next number. `next`: the request of the
 * next piece; `undefined`: it was the last one.
 */
export type DrainPiece = {
  readonly removed: number
  readonly before: number
  readonly next: DrainRequest | undefined
}

/** How many jobs one turn looks at. */
export const pieceMax = 500

/** Removes the jobs of one piece. A job that cannot be read stays. */
export const drainPiece = (
  book: QueueBook,
  request: DrainRequest,
  rows: DurableRows,
): DrainPiece => {
  const { state, key, priority, after } = request
  const before = request.before ?? book.next
  const found = state === 'waiting' ? book.waiting({ key, priority, before }, pieceMax) : undefined
  const prefix = state === 'dead' ? deadPrefix : delayedPrefix
  const looked = found ?? rowsOf(prefix, after, rows)
  let removed = 0
  for (const row of looked) {
    const job = book.at(state, row, rows)
    if (!job) continue
    // The row of a delayed or dead job does not say its key and its priority.
    if (!isOf(numberOf(row), job.record, { key, priority, before })) continue
    book.remove(job, rows)
    removed++
  }
  const isLast = looked.length < pieceMax
  const next = isLast ? undefined : { ...request, before, after: looked.at(-1) }
  return { removed, before, next }
}

const rowsOf = (
  prefix: string,
  after: string | undefined,
  rows: DurableRows,
): readonly string[] => {
  const gt = after === undefined ? {} : { gt: after }
  const { entries } = rows.range({ prefix, limit: pieceMax, values: false, ...gt })
  return entries.map(([row]) => row)
}
