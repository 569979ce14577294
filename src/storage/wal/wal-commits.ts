/**
 * Commits what callers hand in: a group is on its way to the disk, what arrives meanwhile is the next. Entries
 * take their places in the order of the calls, and a sync or a checkpoint stands behind all that was called before it. The
 * first write or sync that fails is the last one: who was on the way gets `UNKNOWN_OUTCOME`, who waited `NOT_SUBMITTED`,
 * and everybody later the failure itself.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { Commit, LogHost } from '../ports/log-host.ts'
import { type Appended, type AppendOptions, watch } from './wal-append.ts'
import { type WalGroup, type WatchedEntry, weightOf } from './wal-group.ts'
import { type WalLevel, type WalSettings, walLevelOf } from './wal-options.ts'
import { finalFailure, isRefusal, notSubmitted, unknownOutcome } from './wal-outcome.ts'
import { manyFrom, WalPace } from './wal-pace.ts'
import { WalQueue } from './wal-queue.ts'
import { WalRest } from './wal-rest.ts'

/** The largest group: a bound for the buffers in flight, far beyond where larger groups stop paying. */
const groupBytesMax = 4 * 1024 * 1024

type Step = { readonly run: () => Promise<void>; readonly refuse: (error: KeelsonError) => void }

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
  readonly #queue = new WalQueue<Step>(groupBytesMax)
  /** Accepted and not yet answered. */
  #bytes = 0
  #inFlight = 0
  #syncing: Cancel | undefined
  readonly #pace: WalPace
  readonly #rest: WalRest
  /** Something was written that nothing in the log proves to be durable. */
  #isUnmarked = false
  #lastLsn: number
  #durableLsn: number
  #failure: KeelsonError | undefined

  constructor(parts: CommitParts) {
    const { clock, settings } = parts
    this.#parts = parts
    this.#pace = new WalPace(clock, settings.maxDelayMs, () => this.#advance())
    this.#rest = new WalRest(clock, settings.idleMarkerMs, () => this.#mark())
    this.#level = walLevelOf(parts.settings)
    this.#lastLsn = parts.lastLsn
    this.#durableLsn = parts.lastLsn
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
    return { queued: this.#queue.length, inFlight: this.#inFlight, bytes: this.#bytes }
  }

  /** Commits an entry, whose bytes are copied at once. How it rejects: see `AppendOptions` and this file's head. */
  append(type: number, bytes: Uint8Array, options: AppendOptions): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const { signal, whenFull } = options
      if (signal?.aborted) return reject(notSubmitted(signal.reason))
      const weight = weightOf(bytes.length)
      if (whenFull === 'refuse' && this.#isFullFor(weight)) return reject(this.#busy())
      const group = this.#queue.groupFor(bytes.length)
      group.add(type, bytes, resolve, reject)
      if (isWatched(options)) this.#watch(group, group.watchLast(reject), options)
      this.#bytes += weight
      // Many need not wait for the group before them, nor for the turn of the event loop to end.
      if (group.count >= manyFrom && this.#pace.isMoving) this.#advance()
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

  /** Nothing is taken any more: whoever still waits learns it. Timers are taken back. */
  end(failure: KeelsonError): void {
    this.#fail(failure)
  }

  #isFullFor(bytes: number): boolean {
    return this.#bytes > 0 && this.#bytes + bytes > this.#parts.settings.queueBytes
  }

  #busy(): KeelsonError {
    const limit = this.#parts.settings.queueBytes
    return new KeelsonError('BUSY', `${this.#bytes} of ${limit} bytes wait for the disk`, {
      details: { bytes: this.#bytes, limit },
    })
  }

  #watch(group: WalGroup, entry: WatchedEntry, options: AppendOptions): void {
    entry.forget = watch(this.#parts.clock, options, (reason) => {
      entry.forget()
      const before = group.weight
      const isWithdrawn = group.withdraw(entry)
      this.#bytes -= before - group.weight
      entry.reject(isWithdrawn ? notSubmitted(reason) : unknownOutcome(reason))
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
          this.#fail(error)
          reject(unknownOutcome(this.#failure))
        }
      }
      this.#queue.pushStep({ run, refuse: (error) => reject(notSubmitted(error)) })
      this.#wake()
    })
  }

  /** Sees to it that what waits leaves. */
  #wake(): void {
    if (this.#pace.isMoving) return
    if (this.#queue.isEmpty) this.#armMarker()
    else this.#pace.arm(this.#queue.hasStep || this.#bytes >= groupBytesMax)
  }

  #advance(): void {
    this.#pace.disarm()
    if (!this.#pace.mayLeave(this.#queue.nextCount)) return
    const turn = this.#queue.next()
    if (!turn) {
      this.#armMarker()
      return
    }
    this.#rest.interrupt()
    if (turn.kind === 'step') void this.#step(turn.step)
    else void this.#lead(turn.group)
  }

  async #step(step: Step): Promise<void> {
    await this.#pace.step(step.run)
    this.#wake()
  }

  /** Takes a group to the disk and, once it has come back, settles it. Does not reject: what fails tells those who wait. */
  async #lead(group: WalGroup): Promise<void> {
    this.#pace.begins(group.count)
    this.#inFlight += group.count
    const settle = await this.#commit(group)
    this.#pace.ends()
    this.#inFlight -= group.count
    const areMany = this.#queue.nextCount >= manyFrom
    if (areMany) this.#advance()
    settle()
    if (!areMany) this.#wake()
  }

  /** Resolves, when the group has come back from the disk, with what tells those who wait. */
  async #commit(group: WalGroup): Promise<() => void> {
    const { host, clock } = this.#parts
    const payloads = group.take()
    const sync = this.#level === 'durable'
    const now = clock.now()
    try {
      const request = { isGiven: true, now, sync, projectedLsn: 0, ...payloads }
      const commit = await host.run('commit', request)
      return () => this.#answer(group, commit)
    } catch (error) {
      if (!isRefusal(error)) this.#fail(error)
      return () => this.#reject(group, isRefusal(error) ? error : unknownOutcome(this.#failure))
    }
  }

  #answer(group: WalGroup, { lsns, durableLsn, refused, spent }: Commit): void {
    if (spent) this.#queue.reuse(spent)
    this.#lastLsn = lsns.at(-1) ?? this.#lastLsn
    this.#isUnmarked = true
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
    this.#bytes -= group.weight
    const refusal = (): KeelsonError => refused ?? notSubmitted(undefined)
    group.answer(lsns, this.#level === 'durable' ? durably : written, refusal)
    this.#armSync()
  }

  #reject(group: WalGroup, error: KeelsonError): void {
    this.#bytes -= group.weight
    group.reject(error)
  }

  #armSync(): void {
    const { clock, settings } = this.#parts
    if (!settings.enableFsync || settings.syncInterval === undefined || this.#failure) return
    if (this.#lastLsn <= this.#durableLsn) return
    this.#syncing ??= clock.after(settings.syncInterval, () => {
      this.#syncing = undefined
      // Its failure is told to everybody who comes later.
      this.sync().catch(nothing)
    })
  }

  /** Damage to the newest group looks like a torn tail until something behind it proves that it had been durable. */
  #armMarker(): void {
    const { settings } = this.#parts
    if (!this.#isUnmarked || this.#failure || this.#lastLsn > this.#durableLsn) return
    if (settings.enableFsync && settings.idleMarkerMs > 0) this.#rest.begin()
  }

  #mark(): void {
    this.#isUnmarked = false
    this.inOrder(() => this.#parts.host.run('mark', null)).catch(nothing)
  }

  async #syncNow(): Promise<void> {
    if (this.#lastLsn <= this.#durableLsn) return
    const { durableLsn } = await this.#parts.host.run('sync', null)
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }

  #fail(error: unknown): void {
    this.#failure ??= finalFailure(error)
    this.#pace.disarm()
    this.#syncing?.()
    this.#rest.end()
    for (let turn = this.#queue.next(); turn; turn = this.#queue.next()) {
      if (turn.kind === 'step') turn.step.refuse(this.#failure)
      else this.#reject(turn.group, notSubmitted(this.#failure))
    }
  }
}

const isWatched = ({ signal, deadlineMs }: AppendOptions): boolean =>
  signal !== undefined || deadlineMs !== undefined

const durably = (lsn: number): Appended => ({ lsn })
const written = (lsn: number): Appended => ({ lsn, level: 'written' })

const nothing = (): void => undefined
