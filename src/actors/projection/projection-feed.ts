/**
 * Where the projection's next frames come from, and when they are due. Decides and does nothing: frames come through
 * the outbox while it keeps up, and out of the log's files after it overflowed, at the start, and after a discard.
 *
 * Two bounds are never passed: a frame beyond `targetLsn` has not been applied yet (the applier answers `existed` from
 * the projection, which must not be ahead of it), and one beyond `durableLsn` may still vanish.
 */
import type { ReadAnswer, Rows } from '../../storage/index.ts'
import type { AppliedFrames } from './applier.ts'
import { LogTail, Outbox } from './outbox.ts'
import { ProjectionBatch } from './projection-batch.ts'

// When the projection is flushed: a debounce with a hard deadline. Pure; the rule is FerricStore's LMDBWriter's, with
// each deadline on its own, so that the earliest one wins.

/** How long to gather, to wait for quiet, and to let the oldest wait at most, in ms; and how many operations suffice. */
export type FlushRules = {
  readonly intervalMs: number
  readonly quietMs: number
  readonly maxLagMs: number
  readonly maxOps: number
}

/** What waits to be flushed: how much, since when, and when the last came. Times in ms of one monotonic clock. */
export type Pending = {
  readonly operations: number
  readonly firstAt: number
  readonly lastAt: number
}

/** In how many ms the pending operations are due; 0 for at once. */
export const flushDueIn = (rules: FlushRules, pending: Pending, now: number): number => {
  if (pending.operations >= rules.maxOps) return 0
  const gathered = pending.firstAt + rules.intervalMs
  const quiet = pending.lastAt + rules.quietMs
  const lag = pending.firstAt + rules.maxLagMs
  return Math.max(0, Math.min(Math.max(gathered, quiet), lag) - now)
}

/** The delay before retry number `attempt` (from 1): doubling from 50 ms to 5 s, with up to half of it as jitter. */
export const retryDelayMs = (attempt: number, random: () => number): number => {
  const delay = Math.min(5_000, 50 * 2 ** Math.min(attempt - 1, 10))
  return delay / 2 + (delay / 2) * random()
}

/** What is to be done next. `due`: nothing before so many ms have passed. `gather`: this again, in a turn of its own. */
export type FlushStep =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'due'; readonly inMs: number }
  | { readonly kind: 'sync' }
  | { readonly kind: 'read'; readonly from: number }
  | { readonly kind: 'gather' }
  | { readonly kind: 'commit'; readonly batch: ProjectionBatch }

/** The bounds of the outbox, and the rules of the schedule. */
export type FeedLimits = FlushRules & { readonly ringSlots: number; readonly ringBytes: number }

/** The frames that one projection still has to take. */
export class ProjectionFeed {
  readonly #rules: FlushRules
  readonly #outbox: Outbox
  /** `undefined` while frames come through the outbox; empty when the log has to be read. */
  #tail: LogTail | undefined
  /** What the next transaction takes, as far as it was gathered. */
  #gathered: ProjectionBatch | undefined
  #targetLsn: number
  #projectedLsn: number
  #durableLsn: number
  #lastAt = 0

  /** Begins behind `projectedLsn`; what was applied up to `appliedLsn` is read from the log. */
  constructor(limits: FeedLimits, projectedLsn: number, appliedLsn: number) {
    this.#rules = limits
    this.#outbox = new Outbox(limits.ringSlots, limits.ringBytes)
    this.#projectedLsn = Math.min(projectedLsn, appliedLsn)
    this.#targetLsn = appliedLsn
    // Of what lies between, the log's writer has to say that it is durable.
    this.#durableLsn = this.#projectedLsn
    if (this.lag > 0) this.#tailFrom(this.#projectedLsn + 1)
  }

  /** The last frame of which we know that it was applied. */
  get targetLsn(): number {
    return this.#targetLsn
  }

  /** Everything up to here is in the projection. */
  get projectedLsn(): number {
    return this.#projectedLsn
  }

  /** LSNs that the projection is behind. */
  get lag(): number {
    return this.#targetLsn - this.#projectedLsn
  }

  /** How full the outbox is, and whether the log is read instead. */
  get load(): { readonly references: number; readonly bytes: number; readonly tailing: boolean } {
    return {
      references: this.#outbox.size,
      bytes: this.#outbox.bytes,
      tailing: this.#tail !== undefined,
    }
  }

  /** Frames that have just been applied, in order; `now` is when. */
  enqueue(applied: AppliedFrames, now: number): void {
    this.#lastAt = now
    const { lsns, durableLsn } = applied
    this.durable(durableLsn)
    const from = lsns.findIndex((lsn) => lsn > this.#targetLsn)
    if (from < 0) return
    if (!this.#tail && !this.#outbox.push(applied, from, now))
      this.#tailFrom(this.#projectedLsn + 1)
    this.#targetLsn = lsns.at(-1) ?? this.#targetLsn
  }

  /** Forgets what is queued; the log's files bring it back. Answers how many references went. */
  discard(): number {
    const { references } = this.load
    if (this.lag > 0) this.#tailFrom(this.#projectedLsn + 1)
    return references
  }

  /** Everything up to `lsn` is durable in the log. */
  durable(lsn: number): void {
    this.#durableLsn = Math.max(this.#durableLsn, lsn)
  }

  /** The next step; `urgent` when somebody waits, so that the schedule does not count. */
  next(now: number, urgent: boolean, rows: Rows): FlushStep {
    if (this.lag === 0) return { kind: 'nothing' }
    const inMs = urgent || this.#tail || this.#gathered ? 0 : this.#dueIn(now)
    if (inMs > 0) return { kind: 'due', inMs }
    const batch = this.#gathered ?? new ProjectionBatch(this.#source, rows)
    // What a damaged row stopped half way is not taken up again.
    this.#gathered = undefined
    if (batch.take(Math.min(this.#targetLsn, this.#durableLsn))) {
      this.#gathered = batch
      return { kind: 'gather' }
    }
    if (batch.frames > 0) return { kind: 'commit', batch }
    if (this.#targetLsn > this.#durableLsn) return { kind: 'sync' }
    return { kind: 'read', from: this.#tail?.next ?? this.#projectedLsn + 1 }
  }

  /** `batch`, which `next` answered last, is in the projection. */
  committed(batch: ProjectionBatch): void {
    this.#projectedLsn = batch.lsn
    // The outbox may have overflowed, or have been discarded, while the batch was on its way: the log is read behind it then.
    if (batch.source === this.#source) this.#source.drop(batch.frames)
    else this.#tailFrom(batch.lsn + 1)
    this.#leaveTail()
  }

  /** Frames that were read from the log, from where `next` said. */
  tailed(read: ReadAnswer): void {
    this.#tail = new LogTail(read)
    this.#leaveTail()
  }

  /** Back to the outbox once everything that was applied has been taken: what comes next comes through it. */
  #leaveTail(): void {
    const tail = this.#tail
    if (tail && (tail.size > 0 ? tail.lsn(0) : tail.next) > this.#targetLsn) {
      this.#projectedLsn = this.#targetLsn
      this.#tail = undefined
    }
  }

  /** Where frames come from at present. */
  get #source(): LogTail | Outbox {
    return this.#tail ?? this.#outbox
  }

  #tailFrom(lsn: number): void {
    this.#gathered = undefined
    this.#outbox.clear()
    this.#tail = new LogTail({ frames: [], bytes: new Uint8Array(0), next: lsn })
  }

  #dueIn(now: number): number {
    // Of what is held now: a commit ends the wait of those it took, and those that came meanwhile begin their own.
    const pending = {
      operations: this.#outbox.commands,
      firstAt: this.#outbox.oldestAt,
      lastAt: this.#lastAt,
    }
    return flushDueIn(this.#rules, pending, now)
  }
}
