/** A queue book over rows in memory, whose turns become durable at once or are refused. */
import type { DurableRows } from '../../../src/actors/index.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { emptyBook, type KeptBook } from '../../../src/flow/book/kept-claims.ts'
import { QueueBook } from '../../../src/flow/book/queue-book.ts'
import { type ChangedLimits, limitsWith } from '../../../src/flow/book/queue-limits.ts'
import type {
  Claim,
  FoundJob,
  JobChange,
  NewJob,
  QueueLimits,
} from '../../../src/flow/book/queue-types.ts'
import { type DrainRequest, drainPiece, removeJob } from '../../../src/flow/book/removals.ts'

const error = { name: 'Error', message: 'no' }

const limitsOf = (given: Partial<QueueLimits> = {}): QueueLimits => ({
  ...{ concurrency: 3, perKey: Number.POSITIVE_INFINITY, rate: undefined, uniqueMs: undefined },
  ...{
    depthMax: 1_000,
    keysMax: 100,
    keepMs: 10_000,
    resultsMs: undefined,
    triesMax: 1_000,
    countsEnds: true,
  },
  ...given,
})

/** A job with these members, and defaults for the others. */
export const newJob = (given: Partial<NewJob> = {}): NewJob => ({
  ...{ job: 'work', key: '', priority: 0, delayMs: 0, unique: undefined },
  ...given,
})

/** Rows in memory, with the parts of `DurableRows` that a book uses. */
const rowsOf = (stored: Map<string, unknown>) => {
  const range = ({ prefix = '', gte = '', gt = '', limit = 100, values = true }) => {
    const isIn = (key: string): boolean => key.startsWith(prefix) && key >= gte && key > gt
    const keys = [...stored.keys()].filter(isIn).sort()
    const entries = keys.slice(0, limit).map((key) => [key, values ? stored.get(key) : undefined])
    return { entries, exhausted: keys.length <= limit }
  }
  const rows = {
    range,
    get: (key: string) => {
      const found = stored.get(key)
      if (isKeelsonError(found, 'CORRUPT')) throw found
      return found
    },
    put: (key: string, value: unknown) => void stored.set(key, structuredClone(value)),
    delete: (key: string) => stored.delete(key),
  }
  return rows as unknown as DurableRows
}

/** A queue whose turns become durable at once, or are refused. */
export class BookWorld {
  now = 1_000_000
  stored = new Map<string, unknown>()
  kept: KeptBook = emptyBook
  running = new Map<number, Claim>()
  readonly limits: QueueLimits
  book: QueueBook

  constructor(limits: Partial<QueueLimits> = {}) {
    this.limits = limitsOf(limits)
    this.book = this.#open()
  }

  #open(): QueueBook {
    const rows = rowsOf(this.stored)
    const book = new QueueBook(this.limits, this.kept, this.now, rows, this.running)
    for (const row of [...this.stored.keys()].sort()) if (/^[dr]/.test(row)) book.found(row)
    return book
  }

  turn<T>(does: (rows: DurableRows) => T): T {
    const result = does(rowsOf(this.stored))
    this.kept = structuredClone(this.book.kept)
    return result
  }

  refused(does: (rows: DurableRows) => unknown): void {
    does(rowsOf(new Map(this.stored)))
    this.book = this.#open()
  }

  add(...jobs: Partial<NewJob>[]) {
    return this.turn((rows) => this.book.add(jobs.map(newJob), this.now, rows))
  }

  /** Claims jobs that have yet to begin. */
  held(): readonly Claim[] {
    const claims = this.turn((rows) => this.book.claim(this.now, rows, 1_000))
    for (const claim of claims) this.running.set(claim.number, claim)
    return claims
  }

  begin(...claims: readonly Claim[]): void {
    for (const claim of claims) {
      this.book.started(claim, this.now)
      this.running.set(claim.number, { ...claim, rateKey: undefined })
    }
  }

  claim(): readonly Claim[] {
    const claims = this.held()
    this.begin(...claims)
    return claims
  }

  claimed(): number[] {
    return this.claim().map(({ number }) => number)
  }

  done(...numbers: number[]): void {
    for (const number of numbers) {
      this.running.delete(number)
      const end = { result: `result ${number}`, log: [] }
      this.turn((rows) => this.book.done(number, end, this.now, rows))
    }
  }

  fail(number: number, inMs?: number, log: readonly string[] = []): void {
    const { attempt: tries = 0 } = this.running.get(number) ?? {}
    this.running.delete(number)
    const failed = { error, log, tries, inMs }
    this.turn((rows) => this.book.failed(number, failed, this.now, rows))
  }

  /** A job has come too early. */
  again(number: number): void {
    this.running.delete(number)
    this.turn((rows) => this.book.again(number, rows))
  }

  remove(number: number) {
    this.running.delete(number)
    return this.turn((rows) => removeJob(this.book, number, rows))
  }

  /** Changes limits; `undefined`: resets them. */
  change(change: ChangedLimits | undefined) {
    return this.turn((rows) => this.book.changeLimits(change, this.now, rows))
  }

  /** The limits that hold. */
  get holding(): QueueLimits {
    return limitsWith(this.limits, this.kept.limits)
  }

  update(number: number, change: Partial<JobChange>): void {
    const whole = { delayMs: undefined, priority: undefined, ...change }
    this.turn((rows) => this.book.update(number, whole, this.now, rows))
  }

  /** Drains in all its pieces; answers how many were removed. */
  drain(which: Partial<DrainRequest>): number {
    const all = { key: undefined, priority: undefined, before: undefined, after: undefined }
    let next: DrainRequest | undefined = { state: 'waiting', ...all, ...which }
    let removed = 0
    while (next) {
      const request: DrainRequest = next
      const piece = this.turn((rows) => drainPiece(this.book, request, rows))
      removed += piece.removed
      next = piece.next
    }
    return removed
  }

  sweep(): void {
    let from: string | undefined
    do from = this.turn((rows) => this.book.sweep(from, this.now, rows))
    while (from !== undefined)
  }

  find(number: number): FoundJob | undefined {
    return this.turn((rows) => this.book.find(number, rows))
  }

  crash(): void {
    this.running.clear()
    this.book = this.#open()
  }

  get wakeAt() {
    return this.book.wakeAt
  }
}
