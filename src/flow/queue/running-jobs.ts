/**
 * The running jobs of a queue, and how many of them each key has. It is apart from the book, its one
 * importer: the book decides who starts, this counts who runs. Pure.
 */
import type { KeptClaim } from './kept-claims.ts'
import type { Running } from './queue-types.ts'

/** The jobs of one queue that run. */
export class RunningJobs {
  readonly #jobs = new Map<number, Running>()
  readonly #ofKey = new Map<string, number>()

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

  get(number: number): Running | undefined {
    return this.#jobs.get(number)
  }

  has(number: number): boolean {
    return this.#jobs.has(number)
  }

  add(job: Running): void {
    const { key } = job.record
    this.#jobs.set(job.number, job)
    this.#ofKey.set(key, this.of(key) + 1)
  }

  /** Takes out a job that runs. */
  remove(number: number): Running {
    const running = this.#jobs.get(number) as Running
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
