/**
 * The running jobs of a queue, how many of them each key has, and which have yet to begin. It is apart
 * from the book, its one importer: the book decides who starts, this counts who runs. Pure.
 */
import type { KeptClaim } from './kept-claims.ts'
import type { Claim } from './queue-types.ts'

/** The jobs of one queue that run. */
export class RunningJobs {
  readonly #jobs = new Map<number, Claim>()
  readonly #ofKey = new Map<string, number>()
  /** The keys of the rates that have granted jobs which have yet to begin. */
  readonly #granted = new Map<number, string>()

  get size(): number {
    return this.#jobs.size
  }

  /** Whether one runs that was claimed alone: then it is the only one. */
  get hasSuspect(): boolean {
    const [first] = this.#jobs.values()
    return first?.isSuspect === true
  }

  /** The length of the rows that `kept` names. */
  get length(): number {
    let length = 0
    for (const { row } of this.#jobs.values()) length += row.length
    return length
  }

  /** As the state of the queue has them. */
  get kept(): readonly KeptClaim[] {
    return [...this.#jobs.values()].map(
      ({ row, attempt, isSuspect, endsAlone }) => [row, attempt, isSuspect, endsAlone] as const,
    )
  }

  get(number: number): Claim | undefined {
    return this.#jobs.get(number)
  }

  has(number: number): boolean {
    return this.#jobs.has(number)
  }

  add(job: Claim): void {
    const { number, record, rateKey } = job
    const { key } = record
    this.#jobs.set(number, job)
    if (rateKey !== undefined) this.#granted.set(number, rateKey)
    this.#ofKey.set(key, this.of(key) + 1)
  }

  /** The keys of the rates that have granted jobs which have yet to begin, one for each job. */
  get grantedKeys(): Iterable<string> {
    return this.#granted.values()
  }

  /** A job begins, or never will. The key of the rate that has granted it; `undefined`: none, or it has begun. */
  begins(number: number): string | undefined {
    const rateKey = this.#granted.get(number)
    this.#granted.delete(number)
    return rateKey
  }

  /** Takes out a job that runs. */
  remove(number: number): Claim {
    const running = this.#jobs.get(number) as Claim
    this.#jobs.delete(number)
    const { key } = running.record
    const others = this.of(key) - 1
    if (others > 0) this.#ofKey.set(key, others)
    else this.#ofKey.delete(key)
    return running
  }

  /** How many jobs of a key run. */
  of(key: string): number {
    return this.#ofKey.get(key) ?? 0
  }
}
