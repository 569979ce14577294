/**
 * Writes that come to a batcher in one message, which those join who come before it is handled. Who waits for a write is told
 * once, whatever becomes of it: by its frame, when its time is up, or by the end of the batcher.
 */
import type { Clock } from '../clock.ts'
import { KeelsonError } from '../errors.ts'
import type { From } from '../runtime/index.ts'
import type { UnitAnswer } from '../storage/index.ts'
import type { Append } from './append-group.ts'
import { SharedDeadline } from './shared-deadline.ts'

/** A write for a slot, admitted by the gate. Its `state` is `submitted` as soon as its units are in a frame that is on its way. */
export type Batched = Append & {
  /** What it counts against the slot's bound. */
  readonly commands: number
  /** When its slot's next frame is full already: wait for the one behind it, or be refused with `BUSY`. */
  readonly whenFull: 'wait' | 'refuse'
}

/** Where a write waits. */
export type SlotTerms = {
  readonly namespace: string
  /** How long it may wait for others, in ms; 0: its slot is sent at once, and it with it. */
  readonly windowMs: number
  /** Called when its frame is in the log's queue, or it never will be. Idempotent. */
  readonly queued: () => void
}

/** One of them. */
export class BatchedWrite {
  readonly write: Batched
  readonly terms: SlotTerms
  /** When it came into its slot, by the monotonic clock. */
  at = 0
  #arrivals: Arrivals | undefined

  constructor(write: Batched, terms: SlotTerms, arrivals: Arrivals) {
    this.write = write
    this.terms = terms
    this.#arrivals = arrivals
  }

  /** Whether whoever waits for it was told. */
  get isTold(): boolean {
    return this.#arrivals === undefined
  }

  /** Its frame stands at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void {
    if (this.#tell()) this.write.applied(lsn, answers)
  }

  /** It did not come to that, or took too long. What stands behind it need not wait any more. */
  failed(error: unknown): void {
    if (!this.#tell()) return
    this.write.failed(error, undefined)
    this.terms.queued()
  }

  #tell(): boolean {
    const arrivals = this.#arrivals
    this.#arrivals = undefined
    arrivals?.told()
    return arrivals !== undefined
  }
}

/** What comes in one message. */
export class Arrivals {
  readonly #deadline: SharedDeadline
  #writes: BatchedWrite[] = []
  #untold = 0
  #from: From<void> | undefined
  #isTaken = false

  constructor(clock: Clock) {
    this.#deadline = new SharedDeadline(clock, (now) => this.#giveUp(now))
  }

  /** Whether nothing joins any more. */
  get isTaken(): boolean {
    return this.#isTaken
  }

  /** Adds a write at the end. */
  add(write: Batched, terms: SlotTerms): void {
    this.#writes.push(new BatchedWrite(write, terms, this))
    this.#untold++
    this.#deadline.watch(write.endsAt)
  }

  /** What has come, in order. `from` is answered when all of them have been told. */
  take(from: From<void>): readonly BatchedWrite[] {
    this.#isTaken = true
    this.#from = from
    if (this.#untold === 0) from.reply(undefined)
    return this.#writes
  }

  /** Whoever was not told yet is. Nothing joins any more. */
  fail(error: unknown): void {
    this.#isTaken = true
    for (const write of this.#writes) write.failed(error)
  }

  /** One of them was told. */
  told(): void {
    if (--this.#untold > 0) return
    this.#deadline.end()
    this.#writes = []
    this.#from?.reply(undefined)
  }

  #giveUp(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const batched of this.#writes)
      if (!batched.isTold) {
        const { endsAt } = batched.write
        if (endsAt <= now) batched.failed(tooLate())
        else if (endsAt < next) next = endsAt
      }
    return next
  }
}

const tooLate = (): KeelsonError =>
  new KeelsonError('TIMEOUT', 'write: no answer in time', { details: { reason: 'timeout' } })
