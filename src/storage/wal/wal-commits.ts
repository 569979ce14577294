/**
 * Commits the entries of callers: while one group is written and synced, the next one fills.
 * Entries are in the order of the calls. A sync or checkpoint comes after everything that was
 * called before it. The first failed write or sync is final: entries in flight reject with
 * `UNKNOWN_OUTCOME`, waiting ones with `NOT_SUBMITTED`, later calls with the failure. It is apart
 * from `wal.ts`, the public functions, because the order of all that is written is decided here.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { Durability } from '../groups/durability.ts'
import { GroupFiller } from '../groups/group-filler.ts'
import { GroupQueue } from '../groups/group-queue.ts'
import { IdleWatch } from '../groups/idle-watch.ts'
import { isRefusal, outcomeOf } from '../groups/outcome.ts'
import type { WriteGroup } from '../groups/write-group.ts'
import type { Commit, LogHost } from '../ports/log-host.ts'
import { type Backlog, countedBytes, PendingEntry } from './pending-entry.ts'
import type { Appended, CheckedAppend } from './wal-append.ts'
import { type WalLevel, type WalSettings, walLevelOf } from './wal-options.ts'

/**
 * The greatest size of a group: bounds the buffers in flight, far beyond the size up to which
 * larger groups are faster.
 */
const groupLimits = { bytesMax: 4 * 1024 * 1024, weightMax: Number.POSITIVE_INFINITY }

type EntryGroup = { readonly kind: 'group'; readonly group: WriteGroup<PendingEntry> }
type Step = {
  readonly kind: 'step'
  readonly run: () => Promise<void>
  readonly refuse: (error: KeelsonError) => void
}

/** The host, clock and settings of the commits. */
export type CommitParts = {
  readonly host: LogHost
  readonly clock: Clock
  readonly settings: WalSettings
  /** The last LSN after the opening; everything up to it is durable. */
  readonly lastLsn: number
  /** Called once, with what ends the queue: a failure, or the close. */
  readonly ended: (reason: KeelsonError) => void
}

/** The queue of one open log and its way to the disk. */
export class WalCommits {
  readonly #parts: CommitParts
  readonly #level: WalLevel
  readonly #filler: GroupFiller<PendingEntry>
  readonly #queue = new GroupQueue<EntryGroup | Step>()
  readonly #backlog: Backlog = { bytes: 0 }
  readonly #idle: IdleWatch
  /**
   * Whether the next step of the queue is scheduled in this turn of the event loop, or at its end.
   */
  #isLeaving = false
  /** Set while a group waits `maxDelayMs` to fill. */
  #filling: Cancel | undefined
  #syncing: Cancel | undefined
  /** Whether the last group had one entry. */
  #wasAlone = true
  /** Whether frames were written that nothing in the log proves to be durable. */
  #isUnmarked = false
  readonly #durability: Durability
  #failure: KeelsonError | undefined

  constructor(parts: CommitParts) {
    const { clock, settings, lastLsn } = parts
    const { enableFsync, idleMarkerMs } = settings
    this.#parts = parts
    this.#filler = new GroupFiller(groupLimits, clock)
    this.#idle = new IdleWatch(clock, enableFsync ? idleMarkerMs : 0, () => this.#mark())
    this.#level = walLevelOf(settings)
    this.#durability = new Durability(lastLsn)
  }

  /** The LSN of the last known entry, checkpoint or recovered frame. */
  get lastLsn(): number {
    return this.#durability.lastLsn
  }

  /** The last synced LSN. */
  get durableLsn(): number {
    return this.#durability.durableLsn
  }

  /** The failure that ended the log; `undefined` while it accepts entries. */
  get failure(): KeelsonError | undefined {
    return this.#failure
  }

  /** The entries and steps that wait, the entries in flight, and the bytes of both. */
  get load(): { readonly queued: number; readonly inFlight: number; readonly bytes: number } {
    const { length, writesInFlight } = this.#queue
    return { queued: length, inFlight: writesInFlight, ...this.#backlog }
  }

  /**
   * Commits an entry. Its bytes are copied at once. `AppendOptions` and the head of this file name
   * the rejections.
   */
  append(type: number, bytes: Uint8Array, options: CheckedAppend): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const { signal, whenFull, deadlineMs } = options
      if (signal?.aborted) return reject(outcomeOf('unsubmitted', signal.reason))
      if (whenFull === 'refuse' && this.#isFullFor(bytes)) return reject(this.#busy())
      const { clock, settings } = this.#parts
      const entry = new PendingEntry(type, bytes, options, this.#backlog, resolve, reject)
      if (settings.maxDelayMs > 0) entry.departsAt = clock.monotonic() + settings.maxDelayMs
      if (deadlineMs !== undefined) entry.deadlineAt = clock.monotonic() + deadlineMs
      const group = this.#filler.groupFor(entry) ?? this.#begin()
      group.add(entry)
      if (signal) entry.watch(group)
      // A large group waits neither for the group before it nor for the end of the turn.
      if (group.isMany && this.#isMoving) this.#advance()
      else this.#wake()
    })
  }

  /** Makes everything durable that was called before. Resolves with the durable LSN. */
  sync(): Promise<number> {
    return this.inOrder(async () => {
      await this.#syncNow()
      return this.durableLsn
    })
  }

  /** Writes and syncs a checkpoint that covers everything called before. Resolves with its LSN. */
  checkpoint(opaque: Uint8Array): Promise<number> {
    return this.inOrder(async () => {
      const { lsn, durableLsn } = await this.#parts.host.run('checkpoint', { opaque })
      this.#durability.written(lsn, durableLsn)
      this.#isUnmarked = true
      return lsn
    })
  }

  /**
   * Runs an action alone, after everything before it is committed. Its errors are final unless they
   * are refusals.
   */
  inOrder<T>(action: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const run = async (): Promise<void> => {
        try {
          resolve(await action())
        } catch (error) {
          if (isRefusal(error)) return reject(error)
          this.end(error)
          reject(outcomeOf('unknown', this.#failure))
        }
      }
      const refuse = (error: KeelsonError): void => reject(outcomeOf('unsubmitted', error))
      this.#queue.push({ kind: 'step', run, refuse })
      this.#wake()
    })
  }

  /** Ends the queue: everything that waits rejects with `error`, and timers are cancelled. */
  end(error: unknown): void {
    const failure = this.#failure ?? finalFailure(error)
    if (!this.#failure) this.#parts.ended(failure)
    this.#failure = failure
    this.#disarm()
    this.#syncing?.()
    this.#idle.end()
    for (const turn of this.#queue.clear())
      if (turn.kind === 'step') turn.refuse(failure)
      else turn.group.lose(failure)
  }

  #isFullFor(bytes: Uint8Array): boolean {
    const { queueBytes } = this.#parts.settings
    const waiting = this.#backlog.bytes
    return waiting > 0 && waiting + countedBytes(bytes.length) > queueBytes
  }

  #busy(): KeelsonError {
    const { bytes } = this.#backlog
    const limit = this.#parts.settings.queueBytes
    return new KeelsonError('BUSY', `${bytes} of ${limit} bytes wait for the disk`, {
      details: { bytes, limit },
    })
  }

  #begin(): WriteGroup<PendingEntry> {
    const group = this.#filler.begin()
    this.#queue.push({ kind: 'group', group })
    return group
  }

  /** Whether the queue will advance without being woken. */
  get #isMoving(): boolean {
    return this.#isLeaving || this.#queue.inFlight.length > 0
  }

  /** Wakes the queue. */
  #wake(): void {
    if (this.#isMoving) return
    const next = this.#queue.first()
    if (!next) this.#armMarker()
    else if (next.kind === 'group' && !next.group.isDue) this.#fill(next.group)
    else this.#leaveSoon()
  }

  /**
   * Entries handed in together leave together: callers that just got an answer have this turn of
   * the event loop to append again.
   */
  #leaveSoon(): void {
    this.#isLeaving = true
    const leave = (): void => this.#advance()
    if (this.#wasAlone) queueMicrotask(leave)
    else this.#parts.clock.soon(leave)
  }

  #fill(group: WriteGroup<PendingEntry>): void {
    const { clock } = this.#parts
    this.#filling ??= clock.after(group.departsAt - clock.monotonic(), () => {
      group.leave()
      this.#advance()
    })
  }

  #disarm(): void {
    this.#isLeaving = false
    this.#filling?.()
    this.#filling = undefined
  }

  #advance(): void {
    this.#disarm()
    const turn = this.#queue.next()
    if (!turn) this.#wake()
    else if (turn.kind === 'step') void this.#step(turn)
    else void this.#lead(turn)
  }

  async #step(step: Step): Promise<void> {
    await step.run()
    this.#queue.back(step)
    this.#wake()
  }

  /**
   * Commits a group and settles it. Never rejects: a failure goes to the callers of the entries.
   */
  async #lead(turn: EntryGroup): Promise<void> {
    this.#wasAlone = turn.group.count === 1
    const settle = await this.#commit(turn.group)
    this.#queue.back(turn)
    const next = this.#queue.first()
    const areMany = next?.kind === 'group' && next.group.isMany
    // The log's thread works on the next group while the callers of this one are answered.
    if (areMany) this.#advance()
    settle()
    if (!areMany) this.#wake()
  }

  /** Resolves after the commit of the group, with a function that settles it. */
  async #commit(group: WriteGroup<PendingEntry>): Promise<() => void> {
    const { host, clock } = this.#parts
    const payloads = group.take()
    const sync = this.#level === 'durable'
    const now = clock.now()
    try {
      const request = { isGiven: true, now, sync, projectedLsn: 0, ...payloads }
      const commit = await host.run('commit', request)
      return () => this.#answer(group, commit)
    } catch (error) {
      if (isRefusal(error)) return () => group.refuse(error)
      this.end(error)
      return () => group.lose(this.#failure)
    }
  }

  #answer(group: WriteGroup<PendingEntry>, commit: Commit): void {
    const { lsns, durableLsn, refused, spent } = commit
    if (spent) this.#filler.reuse(spent)
    this.#durability.written(lsns.at(-1) ?? 0, durableLsn)
    this.#isUnmarked = true
    group.committed(lsns, refused)
    const isDurable = this.#level === 'durable'
    for (let at = 0; at < lsns.length; at++) {
      const lsn = lsns[at] as number
      group.claim(at)?.answer(isDurable ? { lsn } : { lsn, level: 'written' })
    }
    this.#armSync()
  }

  #armSync(): void {
    const { clock, settings } = this.#parts
    if (!settings.enableFsync || settings.syncInterval === undefined || this.#failure) return
    if (this.#durability.isDurable) return
    this.#syncing ??= clock.after(settings.syncInterval, () => {
      this.#syncing = undefined
      // Every later call gets this failure.
      this.sync().catch(nothing)
    })
  }

  /**
   * Damage to the newest group looks like a torn tail until a later frame proves that the group was
   * durable.
   */
  #armMarker(): void {
    if (this.#isUnmarked && this.#durability.isDurable) this.#idle.stir()
  }

  #mark(): void {
    if (!this.#isUnmarked || this.#isMoving || this.#queue.first()) return
    this.#isUnmarked = false
    this.inOrder(() => this.#parts.host.run('mark', null)).catch(nothing)
  }

  async #syncNow(): Promise<void> {
    if (this.#durability.isDurable) return
    const { durableLsn } = await this.#parts.host.run('sync', null)
    this.#durability.written(0, durableLsn)
  }
}

/** The final failure for every later call. */
const finalFailure = (error: unknown): KeelsonError =>
  isKeelsonError(error)
    ? error
    : new KeelsonError('SHARD_DOWN', 'the log failed', {
        details: { reason: 'defect' },
        cause: error,
      })

const nothing = (): void => undefined
