/**
 * The delayed jobs of a queue: their rows, in the order of their times, and for each a row `i/` by
 * which it is found by its number. In memory are their count and the first time. It is apart from
 * the book, its one importer, because a delayed job is two rows and the book sees one job. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { placeJob } from './job-attributes.ts'
import {
  delayedPrefix,
  delayedRow,
  dueOf,
  dueRow,
  type JobRecord,
  numberOf,
  packRecord,
} from './queue-rows.ts'

/** The delayed jobs of one queue. */
export class DelayedJobs {
  #size = 0
  /** When the first one is due, or earlier. */
  #dueAt = Number.POSITIVE_INFINITY

  get size(): number {
    return this.#size
  }

  /** When the first one is due, in ms since 1970, or earlier. Infinite: there is none. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** Counts a job that is stored, or will be with this turn. */
  found(dueAt: number): void {
    this.#size++
    this.wakeAt(dueAt)
  }

  /** The next look at the due ones is not later than this. */
  wakeAt(at: number): void {
    this.#dueAt = Math.min(this.#dueAt, at)
  }

  add(number: number, record: JobRecord, dueAt: number, rows: DurableRows): void {
    const row = delayedRow(dueAt, number)
    rows.put(row, packRecord(record))
    placeJob(number, record.attributes, row, rows)
    rows.put(dueRow(number), dueAt)
    this.found(dueAt)
  }

  /** The row of a job; `undefined`: it is not delayed. */
  find(number: number, rows: DurableRows): string | undefined {
    const dueAt = rows.get<number>(dueRow(number))
    return dueAt === undefined ? undefined : delayedRow(dueAt, number)
  }

  remove(row: string, rows: DurableRows): void {
    rows.delete(row)
    rows.delete(dueRow(numberOf(row)))
    this.#size--
  }

  /** A job that cannot be read is no longer counted. Its rows stay as they are. */
  setAside(): void {
    this.#size--
  }

  /** The rows of at most `max` jobs that are due. `aside`: jobs that were set aside. */
  due(now: number, max: number, aside: ReadonlySet<number>, rows: DurableRows): readonly string[] {
    if (this.#dueAt > now || max === 0) return []
    const limit = max + aside.size
    const { entries, exhausted } = rows.range({ prefix: delayedPrefix, limit, values: false })
    const due = entries.filter(([row]) => dueOf(row) <= now)
    const next = entries[due.length]?.[0]
    this.#dueAt = next ? dueOf(next) : exhausted ? Number.POSITIVE_INFINITY : now
    return due.map(([row]) => row).filter((row) => !aside.has(numberOf(row)))
  }
}
