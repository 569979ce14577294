/**
 * Decides where the projection's next frames come from, and when they are due; it performs nothing.
 * Frames come from the outbox while the projection keeps up. They are read from the log files at
 * the start, after an overflow, and after a discard.
 *
 * Two bounds hold at all times. A frame after `targetLsn` is not applied yet: the applier answers
 * `existed` from the projection, which must not be ahead of it. A frame after `durableLsn` may
 * still be lost in a crash.
 */
import type { Projecting, ReadAnswer, Rows } from '../../storage/index.ts'
import type { AppliedFrames } from './applied-frames.ts'
import { LogTail, Outbox } from './outbox.ts'
import { type BatchLimits, ProjectionBatch, sliceRowsMax } from './projection-batch.ts'

// When the projection is flushed: a debounce with a hard deadline. Pure. Operations gather for
// `intervalMs`, then the flush waits for a pause, until `maxLagMs` after the first at the latest.

/**
 * In ms: the time to gather, the quiet time to wait for, and the longest wait of the oldest
 * operation. `maxOps`: so many operations are flushed at once. A trickle gathers `trickleMs` longer.
 */
export type FlushRules = {
  readonly intervalMs: number
  readonly quietMs: number
  readonly maxLagMs: number
  readonly maxOps: number
  readonly trickleMs: number
}

/**
 * Fewer bytes are a trickle. A flush costs as much as several writes, however little it has, and
 * the overlay answers the reads of it.
 */
const trickleBytes = 256 * 1024

/** The least bound of bytes after a transaction that had no room: that of a slice of usual rows. */
const sliceBytes = 64 * 1024

/** Why a flush of a trickle must not wait, and why a flush had better wait. */
export type Circumstances = {
  /** Actors derive rows from the projection. */
  readonly hasProducers: boolean
  /** The log writes a group, whose callers wait for the disk. */
  readonly isWriting: boolean
}

/** Nothing else happens. */
export const calm: Circumstances = { hasProducers: false, isWriting: false }

/**
 * The operations that wait to be flushed: their number, and when the oldest and the newest arrived.
 * Times in ms of one monotonic clock.
 */
type Pending = {
  readonly operations: number
  readonly firstAt: number
  readonly lastAt: number
  readonly isTrickle: boolean
  readonly isWriting: boolean
}

/** The ms until the pending operations are due; 0 if they are due now. */
const flushDueIn = (rules: FlushRules, pending: Pending, now: number): number => {
  const { operations, lastAt, isTrickle, isWriting } = pending
  if (operations >= rules.maxOps) return 0
  const beganAt = pending.firstAt + (isTrickle ? rules.trickleMs : 0)
  const gathered = beganAt + rules.intervalMs
  // A group on its way is no pause: its callers would wait for two syncs.
  const quiet = (isWriting ? now : lastAt) + rules.quietMs
  const lag = beganAt + rules.maxLagMs
  return Math.max(0, Math.min(Math.max(gathered, quiet), lag) - now)
}

/** The next step. `due`: wait this long. `gather`: call `next` again, in a later turn. */
export type FlushStep =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'due'; readonly inMs: number }
  | { readonly kind: 'sync' }
  | { readonly kind: 'read'; readonly from: number }
  | { readonly kind: 'gather' }
  | { readonly kind: 'commit'; readonly batch: ProjectionBatch }

/** The bounds of outbox and batches, and the flush rules. */
export type FeedLimits = FlushRules &
  BatchLimits & { readonly ringSlots: number; readonly ringBytes: number }

/** The frames that a projection has not taken yet. */
export class ProjectionFeed {
  readonly #rules: FlushRules & BatchLimits
  #batchLimits: BatchLimits
  /** The projections by users. */
  readonly #projecting: Projecting | undefined
  readonly #outbox: Outbox
  /** `undefined` while frames come from the outbox. Empty when the log must be read. */
  #tail: LogTail | undefined
  /** The next transaction, as far as it was gathered. */
  #gathered: ProjectionBatch | undefined
  #targetLsn: number
  #projectedLsn: number
  #durableLsn: number
  #lastAt = 0

  /** Begins after `projectedLsn`. Frames up to `appliedLsn` are read from the log. */
  constructor(
    limits: FeedLimits,
    projectedLsn: number,
    appliedLsn: number,
    projecting?: Projecting,
  ) {
    this.#projecting = projecting
    this.#rules = limits
    this.#batchLimits = limits
    this.#outbox = new Outbox(limits.ringSlots, limits.ringBytes)
    this.#projectedLsn = Math.min(projectedLsn, appliedLsn)
    this.#targetLsn = appliedLsn
    // The log's writer must first report that the frames between are durable.
    this.#durableLsn = this.#projectedLsn
    if (this.lag > 0) this.#tailFrom(this.#projectedLsn + 1)
  }

  /** The last frame that is known to be applied. */
  get targetLsn(): number {
    return this.#targetLsn
  }

  /** The projection has every frame up to this LSN. */
  get projectedLsn(): number {
    return this.#projectedLsn
  }

  /** The number of LSNs by which the projection lags. */
  get lag(): number {
    return this.#targetLsn - this.#projectedLsn
  }

  /** Whether a batch is partly gathered: it has read rows that must not change. */
  get isGathering(): boolean {
    return this.#gathered !== undefined
  }

  /** The load of the outbox, and whether the log is read instead. */
  get load(): { readonly references: number; readonly bytes: number; readonly tailing: boolean } {
    return {
      references: this.#outbox.size,
      bytes: this.#outbox.bytes,
      tailing: this.#tail !== undefined,
    }
  }

  /**
   * Adds frames that were just applied, in order. `now`: the time of the call. Returns whether a
   * flush may be due sooner by them: more frames of a trickle only make a pause come later.
   */
  enqueue(applied: AppliedFrames, now: number): boolean {
    this.#lastAt = now
    const { lsns, durableLsn } = applied
    this.durable(durableLsn)
    const from = lsns.findIndex((lsn) => lsn > this.#targetLsn)
    if (from < 0) return true
    const isFirst = this.#outbox.size === 0
    if (!this.#tail && !this.#outbox.push(applied, from, now))
      this.#tailFrom(this.#projectedLsn + 1)
    this.#targetLsn = lsns.at(-1) ?? this.#targetLsn
    const { bytes, commands } = this.#outbox
    const isMany = bytes >= trickleBytes || commands >= this.#rules.maxOps
    return isFirst || isMany || this.#tail !== undefined
  }

  /** Drops the queued references and reads the log instead. Returns their number. */
  discard(): number {
    const { references } = this.load
    if (this.lag > 0) this.#tailFrom(this.#projectedLsn + 1)
    return references
  }

  /** Records that the log is durable up to `lsn`. */
  durable(lsn: number): void {
    this.#durableLsn = Math.max(this.#durableLsn, lsn)
  }

  /** The next step. `urgent`: a caller waits, so the flush rules do not apply. */
  next(now: number, urgent: boolean, rows: Rows, circumstances = calm): FlushStep {
    if (this.lag === 0) return { kind: 'nothing' }
    const inMs = urgent || this.#tail || this.#gathered ? 0 : this.#dueIn(now, circumstances)
    if (inMs > 0) return { kind: 'due', inMs }
    const projecting = this.#projecting && { ...this.#projecting, lsn: this.#projectedLsn }
    const batch =
      this.#gathered ?? new ProjectionBatch(this.#source, rows, this.#batchLimits, projecting)
    // A batch that a damaged row interrupted is not continued.
    this.#gathered = undefined
    if (batch.take(Math.min(this.#targetLsn, this.#durableLsn))) {
      this.#gathered = batch
      return { kind: 'gather' }
    }
    if (batch.frames > 0) return { kind: 'commit', batch }
    if (this.#targetLsn > this.#durableLsn) return { kind: 'sync' }
    return { kind: 'read', from: this.#tail?.next ?? this.#projectedLsn + 1 }
  }

  /**
   * Records that the disk may have no room for a transaction of so many rows: the next ones are
   * at most half as large, down to one slice, until the projection has caught up. A smaller one changes
   * fewer pages, and what it frees is room for the next.
   */
  hadNoRoom(rows: number): void {
    const { chunkRows, chunkBytes } = this.#batchLimits
    this.#batchLimits = {
      chunkRows: Math.min(chunkRows, Math.max(sliceRowsMax, Math.ceil(rows / 2))),
      chunkBytes: Math.min(chunkBytes, Math.max(sliceBytes, Math.ceil(chunkBytes / 2))),
    }
  }

  /** The most rows of the next transaction. */
  get chunkRows(): number {
    return this.#batchLimits.chunkRows
  }

  /** Records that the projection has `batch`, the last one that `next` returned. */
  committed(batch: ProjectionBatch): void {
    this.#projectedLsn = batch.lsn
    // If the outbox overflowed or was discarded during the commit, the log is read from after this
    // batch.
    if (batch.source === this.#source) this.#source.drop(batch.frames)
    else this.#tailFrom(batch.lsn + 1)
    this.#leaveTail()
    if (this.lag === 0) this.#batchLimits = this.#rules
  }

  /** Adds frames that were read from the log for the `read` step. */
  tailed(read: ReadAnswer): void {
    this.#tail = new LogTail(read)
    this.#leaveTail()
  }

  /** Returns to the outbox when every applied frame was taken: later frames come through it. */
  #leaveTail(): void {
    const tail = this.#tail
    if (tail && (tail.size > 0 ? tail.lsn(0) : tail.next) > this.#targetLsn) {
      this.#projectedLsn = this.#targetLsn
      this.#tail = undefined
    }
  }

  /** The present source of frames. */
  get #source(): LogTail | Outbox {
    return this.#tail ?? this.#outbox
  }

  #tailFrom(lsn: number): void {
    this.#gathered = undefined
    this.#outbox.clear()
    this.#tail = new LogTail({ frames: [], bytes: new Uint8Array(0), next: lsn })
  }

  #dueIn(now: number, { hasProducers, isWriting }: Circumstances): number {
    const isRead = hasProducers || (this.#projecting?.projections.length ?? 0) > 0
    // Only operations held now count: a commit ends the wait of those it took.
    const pending = {
      operations: this.#outbox.commands,
      firstAt: this.#outbox.oldestAt,
      lastAt: this.#lastAt,
      isTrickle: !isRead && this.#outbox.bytes < trickleBytes,
      isWriting,
    }
    return flushDueIn(this.#rules, pending, now)
  }
}
