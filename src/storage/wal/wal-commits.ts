/**
 * Commits what callers hand in: while one group is on its way to the disk, the next one fills. Entries take their places in
 * the order of the calls. A sync or a checkpoint stands behind everything that was called before it. The first write or sync
 * that fails is the last one: entries on their way get `UNKNOWN_OUTCOME`, waiting ones `NOT_SUBMITTED`, later calls the failure.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { GroupFiller } from '../groups/group-filler.ts'
import { GroupQueue } from '../groups/group-queue.ts'
import { IdleWatch } from '../groups/idle-watch.ts'
import { isRefusal, outcomeOf } from '../groups/outcome.ts'
import type { WriteGroup } from '../groups/write-group.ts'
import type { Commit, LogHost } from '../ports/log-host.ts'
import { type Backlog, countedBytes, PendingEntry } from './pending-entry.ts'
import type { Appended, AppendOptions } from './wal-append.ts'
import { type WalLevel, type WalSettings, walLevelOf } from './wal-options.ts'

/** A bound for the buffers in flight, far beyond where larger groups stop paying. */
const groupLimits = { bytesMax: 4 * 1024 * 1024, weightMax: Number.POSITIVE_INFINITY }

type EntryGroup = { readonly kind: 'group'; readonly group: WriteGroup<PendingEntry> }
type Step = {
  readonly kind: 'step'
  readonly run: () => Promise<void>
  readonly refuse: (error: KeelsonError) => void
}

/** What the commits run on. */
export type CommitParts = {
  readonly host: LogHost
  readonly clock: Clock
  readonly settings: WalSettings
  /** Where the log stands after its opening; all of it durable. */
  readonly lastLsn: number
}

/** The queue of one open log and its way to the disk. */
export class WalCommits {
  readonly #parts: CommitParts
  readonly #level: WalLevel
  readonly #filler: GroupFiller<PendingEntry>
  readonly #queue = new GroupQueue<EntryGroup | Step>()
  readonly #backlog: Backlog = { bytes: 0 }
  readonly #idle: IdleWatch
  /** The next turn leaves in this turn of the event loop, or at the end of it. */
  #isLeaving = false
  /** Set while a group has time to fill. */
  #filling: Cancel | undefined
  #syncing: Cancel | undefined
  /** The last group had one entry. */
  #wasAlone = true
  /** Something was written that nothing in the log proves to be durable. */
  #isUnmarked = false
  #lastLsn: number
  #durableLsn: number
  #failure: KeelsonError | undefined

  constructor(parts: CommitParts) {
    const { clock, settings, lastLsn } = parts
    const { enableFsync, idleMarkerMs } = settings
    this.#parts = parts
    this.#filler = new GroupFiller(groupLimits, clock)
    this.#idle = new IdleWatch(clock, enableFsync ? idleMarkerMs : 0, () => this.#mark())
    this.#level = walLevelOf(settings)
    this.#lastLsn = lastLsn
    this.#durableLsn = lastLsn
  }

  /** The last entry, checkpoint or recovered frame that is known of. */
  get lastLsn(): number {
    return this.#lastLsn
  }

  /** Up to here everything is synced. */
  get durableLsn(): number {
    return this.#durableLsn
  }

  /** Why nothing is taken any more; `undefined` as long as something is. */
  get failure(): KeelsonError | undefined {
    return this.#failure
  }

  /** How much is under way. */
  get load(): { readonly queued: number; readonly inFlight: number; readonly bytes: number } {
    const { length, writesInFlight } = this.#queue
    return { queued: length, inFlight: writesInFlight, ...this.#backlog }
  }

  /** Commits an entry, whose bytes are copied at once. How it rejects: see `AppendOptions` and this file's head. */
  append(type: number, bytes: Uint8Array, options: AppendOptions): Promise<Appended> {
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
      // Many need not wait for the group before them, nor for the turn of the event loop to end.
      if (group.isMany && this.#isMoving) this.#advance()
      else this.#wake()
    })
  }

  /** Makes everything durable that was handed in before. Resolves with the durable LSN. */
  sync(): Promise<number> {
    return this.inOrder(async () => {
      await this.#syncNow()
      return this.#durableLsn
    })
  }

  /** Writes and syncs a checkpoint that covers what was handed in before. Resolves with its LSN. */
  checkpoint(opaque: Uint8Array): Promise<number> {
    return this.inOrder(async () => {
      const { lsn, durableLsn } = await this.#parts.host.run('checkpoint', { opaque })
      this.#lastLsn = Math.max(this.#lastLsn, lsn)
      this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
      this.#isUnmarked = true
      return lsn
    })
  }

  /** Does something alone, when everything before it is committed. What it throws is final unless it is a refusal. */
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

  /** Nothing is taken any more: everything that waits is told so. Timers are taken back. */
  end(error: unknown): void {
    const failure = this.#failure ?? finalFailure(error)
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

  /** Whether the queue is looked at again, soon or when something comes back, without being armed. */
  get #isMoving(): boolean {
    return this.#isLeaving || this.#queue.inFlight.length > 0
  }

  /** Sees to it that what waits leaves. */
  #wake(): void {
    if (this.#isMoving) return
    const next = this.#queue.first()
    if (!next) this.#armMarker()
    else if (next.kind === 'group' && !next.group.isDue) this.#fill(next.group)
    else this.#leaveSoon()
  }

  /** What is handed in together leaves together: callers that were just answered have the turn of the event loop to come again. */
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

  /** Takes a group to the disk and settles it. Does not reject: a failure goes to the callers of the entries. */
  async #lead(turn: EntryGroup): Promise<void> {
    this.#wasAlone = turn.group.count === 1
    const settle = await this.#commit(turn.group)
    this.#queue.back(turn)
    const next = this.#queue.first()
    const areMany = next?.kind === 'group' && next.group.isMany
    // The log's thread works on them while the callers of this group are answered.
    if (areMany) this.#advance()
    settle()
    if (!areMany) this.#wake()
  }

  /** Resolves, when the group has come back from the disk, with a function that settles it. */
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
    this.#lastLsn = lsns.at(-1) ?? this.#lastLsn
    this.#isUnmarked = true
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
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
    if (this.#lastLsn <= this.#durableLsn) return
    this.#syncing ??= clock.after(settings.syncInterval, () => {
      this.#syncing = undefined
      // Every later call gets its failure.
      this.sync().catch(nothing)
    })
  }

  /** Damage to the newest group looks like a torn tail until something behind it proves that it had been durable. */
  #armMarker(): void {
    if (this.#isUnmarked && this.#lastLsn <= this.#durableLsn) this.#idle.stir()
  }

  #mark(): void {
    if (!this.#isUnmarked || this.#isMoving || this.#queue.first()) return
    this.#isUnmarked = false
    this.inOrder(() => this.#parts.host.run('mark', null)).catch(nothing)
  }

  async #syncNow(): Promise<void> {
    if (this.#lastLsn <= this.#durableLsn) return
    const { durableLsn } = await this.#parts.host.run('sync', null)
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }
}

/** A final failure, as every later call gets it. */
const finalFailure = (error: unknown): KeelsonError =>
  isKeelsonError(error)
    ? error
    : new KeelsonError('SHARD_DOWN', 'the log failed', {
        details: { reason: 'defect' },
        cause: error,
      })

const nothing = (): void => undefined
