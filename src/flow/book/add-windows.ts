/**
 * Adds under a window: `debounce` makes many adds of one key one job, which starts when they pause;
 * `throttle` lets one job of a key start in a time. A window is a row that names its latest job. The
 * job is an ordinary one, delayed or ready, so nothing but an add looks at windows. They are apart
 * from the book because what an add comes to follows from the window and the time alone. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { dueRow, isNumbers, storedIn, windowRow } from './queue-rows.ts'

/** Under which window a job is added. Times in ms. */
export type AddWindow = {
  readonly sort: 'debounce' | 'throttle'
  readonly key: string
  readonly ms: number
  /** Of a debounce: the job starts at the latest so long after the first add. */
  readonly maxMs: number | undefined
  /** Which of the adds within the window the job is made of. */
  readonly keep: 'first' | 'last'
}

/**
 * A window as its row has it: its latest job, and how long it is. `at`, in ms since 1970: of a
 * debounce when the first add was, of a throttle when the job starts.
 */
type HeldWindow = readonly [number: number, at: number, ms: number]

/** The outcome of an add: a job that is due then, or nothing new beside the job of this number. */
export type PlannedAdd =
  | { readonly does: 'add'; readonly at: number; readonly dueAt: number }
  | { readonly does: 'repeat'; readonly number: number }
  | { readonly does: 'move'; readonly number: number; readonly at: number; readonly dueAt: number }

/** The job of a window, and its time; `undefined`: there is none, or its row cannot be read. */
export const heldWindow = (
  window: AddWindow,
  rows: Pick<DurableRows, 'get'>,
): HeldWindow | undefined => {
  const found = storedIn(windowRow(window.sort, window.key), rows)
  return isHeld(found) ? found : undefined
}

const isHeld = (found: unknown): found is HeldWindow => isNumbers(found) && found.length === 3

/** The job of a window is now this one. */
export const holdWindow = (
  { sort, key, ms }: AddWindow,
  number: number,
  at: number,
  rows: DurableRows,
): void => {
  rows.put(windowRow(sort, key), [number, at, ms])
}

/**
 * The outcome of an add under a window. `waits`: the job that the window names is delayed, has had no
 * try, and is not due. A clock that was set back since makes no window longer than it is.
 */
export const plannedAdd = (
  window: AddWindow,
  held: HeldWindow | undefined,
  waits: boolean,
  now: number,
): PlannedAdd => {
  const { ms, maxMs = Number.POSITIVE_INFINITY, keep } = window
  if (window.sort === 'debounce') {
    const at = held && waits ? Math.min(held[1], now) : now
    const dueAt = Math.min(now + ms, at + maxMs)
    return held && waits ? { does: 'move', number: held[0], at, dueAt } : { does: 'add', at, dueAt }
  }
  const startsAt = held && Math.min(held[1], now + ms)
  if (startsAt === undefined || now >= startsAt + ms) return { does: 'add', at: now, dueAt: now }
  const number = held?.[0] as number
  if (keep === 'first') return { does: 'repeat', number }
  if (waits) return { does: 'move', number, at: startsAt, dueAt: startsAt }
  // One that would start later and was removed leaves its time to this one.
  const at = now < startsAt ? startsAt : startsAt + ms
  return { does: 'add', at, dueAt: at }
}

/** Whether a window of this row and value is over: no add would look at it. */
export const isWindowOver = (
  row: string,
  value: unknown,
  now: number,
  rows: Pick<DurableRows, 'get'>,
): boolean => {
  if (!isHeld(value)) return false
  const [number, at, ms] = value
  return row.startsWith(windowRow('throttle', ''))
    ? at + ms <= now
    : rows.get(dueRow(number)) === undefined
}
