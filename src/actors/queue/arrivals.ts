/**
 * Writes that come to a batcher in one message, which those join who come before it is handled. Who waits for a write is told
 * once, whatever becomes of it: by its frame, when its time is up, or by the end of the batcher.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { From } from '../../runtime/index.ts'
import type { UnitAnswer } from '../../storage/index.ts'
import type { Append } from './append-group.ts'
import { SharedDeadline } from './shared-deadline.ts'

/** What a slot takes. Its `state` is `submitted` as soon as its units are in a frame that is on its way. */
export interface SlotAppend extends Append {
  /** What it counts against the slot's bound. */
  readonly commands: number
  /** When its slot's next frame is full already: wait for the one behind it, or be refused with `BUSY`. */
  readonly whenFull: 'wait' | 'refuse'
}

/** A write for a slot, admitted by the gate. Whoever waits for it is told once, by `applied` or `failed`. */
export interface BatchedWrite {
  readonly write: SlotAppend
  /** The namespace in whose slot it waits. */
  readonly slot: string
  /** How long it may wait for others there, in ms; 0: its slot is sent at once, and it with it. */
  readonly windowMs: number
  /** When it came there, by the monotonic clock. */
  at: number
  /** Whether whoever waits for it was told. */
  readonly isTold: boolean
  /** It goes along with others, who are told of it when it was told. */
  join(company: { told(): void }): void
  /** Its frame is in the log's queue. */
  queued(): void
  /** Its frame stands at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void
  /** It did not come to that, or took too long. */
  failed(error: unknown): void
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
  add(batched: BatchedWrite): void {
    batched.join(this)
    this.#writes.push(batched)
    this.#untold++
    this.#deadline.watch(batched.write.endsAt)
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
    for (const batched of this.#writes) batched.failed(error)
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
