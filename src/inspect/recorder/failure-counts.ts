/**
 * How often each sort of work of the user has failed, by its kind and the code of its error. It is apart
 * from `records.ts`, whose counts are of events: one sort of events, such as a failed try, has several
 * sorts of work. Pure.
 */
import type { CrashedPart } from './crash-records.ts'

/** A sort of work of the user. */
export type FailedWork =
  | CrashedPart
  | 'step'
  | 'job'
  | 'run'
  | 'alarm'
  | 'continue'
  | 'projection'
  | 'subscription'

/** `code` is never a text of users. */
export type WorkCount = {
  readonly what: FailedWork
  readonly kind: string
  readonly code: string
  readonly count: number
}

/** So many are counted apart. Of more each sort of work is counted alone. */
const countsMax = 150

/** The counts of a System since its start. */
export class FailureCounts {
  readonly #counts = new Map<string, WorkCount>()

  /** Counts a failure. */
  add(what: FailedWork, kind: string, code: string): void {
    const key = [what, kind, code].join(' ')
    const isFull = !this.#counts.has(key) && this.#counts.size >= countsMax
    const shown = isFull ? { what, kind: 'other', code: 'other' } : { what, kind, code }
    const shownKey = isFull ? `${what} other other` : key
    const count = (this.#counts.get(shownKey)?.count ?? 0) + 1
    this.#counts.set(shownKey, Object.assign(shown, { count }))
  }

  get all(): Iterable<WorkCount> {
    return this.#counts.values()
  }
}
