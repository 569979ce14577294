/**
 * A subscription to a shard's journal: a handler that gets every durable entry once, in order. Its
 * position is a row, saved through the log after the handler. So after a restart the handler gets
 * again at most the entries since the last save. The journal's actor drives it.
 */
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  reasonText,
} from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { noOptions } from '../../own-names.ts'
import { describeReason, type System } from '../../runtime/index.ts'
import { encodeList, positionEntity } from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
import { emit } from '../core/storage-events.ts'
import { checkReached, ShardWatch, type Watched } from '../store/shard-watch.ts'
import { promised } from '../store/store-writing.ts'
import type { PayloadTypes } from './entry-input.ts'
import { writeJournalRow } from './journal-row.ts'
import type { JournalShard } from './journal-shard.ts'
import {
  type Delivery,
  type EntryPosition,
  type SubscriptionHealth,
  savedPosition,
} from './shard-journal.ts'
import { entriesIn, type StoredEntry } from './stored-entry.ts'

/** An entry as subscribers get it: without its side effects. */
export type EmittedEntry<Events extends PayloadTypes = PayloadTypes> = Omit<
  StoredEntry<Events>,
  'effects'
>

/** Handles one entry. The next one comes when it has returned, or what it returned has resolved. */
export type EntryHandler<Events extends PayloadTypes = PayloadTypes> = (
  entry: EmittedEntry<Events>,
) => void | Promise<void>

/** The parts from which a subscription is made. */
export type SubscriptionTerms = {
  readonly name: string
  /** The LSN to begin with if no position is saved. */
  readonly from: number
  readonly handler: EntryHandler
  /** Ends it. It has not aborted. */
  readonly signal: AbortSignal | undefined
  /** The last one that had the name. It has ended, or does so, or has stopped. */
  readonly earlier: Delivery | undefined
}

/** A subscription that was made by `subscribe`. */
export class Subscription implements Delivery {
  readonly name: string
  readonly #system: System
  readonly #shard: JournalShard
  readonly #from: number
  readonly #handler: EntryHandler
  #next: EntryPosition | undefined
  #saved: EntryPosition | undefined
  #saving: Promise<void> | undefined
  /**
   * The entry that is being handled, perhaps since an earlier incarnation of the actor, or the end of the
   * subscription that had the name before. Never rejects.
   */
  #handling: Promise<void>
  #watch: ShardWatch<StoredEntry> | undefined
  /** Aborts when the actor that delivers ends. */
  #incarnation: AbortSignal | undefined
  #failure: unknown
  #record: KeptError | undefined
  #ended: Promise<EntryPosition | undefined> | undefined
  /** Its position is removed, and not saved again. */
  #isForgotten = false
  /** The log does not have its position. */
  #isNowhere = false
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => void this.end()

  /** @internal */
  constructor(system: System, shard: JournalShard, terms: SubscriptionTerms) {
    this.#system = system
    this.#shard = shard
    this.name = terms.name
    this.#from = terms.from
    this.#handler = terms.handler
    this.#signal = terms.signal
    this.#signal?.addEventListener('abort', this.#aborted)
    this.#handling = this.#takeOver(terms.earlier)
  }

  get isRunning(): boolean {
    return !this.#isOver
  }

  get ended(): Promise<EntryPosition | undefined> | undefined {
    return this.#ended
  }

  get health(): SubscriptionHealth {
    const failure = this.#failure
    return {
      name: this.name,
      state: this.isRunning ? 'running' : failure === undefined ? 'ending' : 'stopped',
      position: this.#reached,
      failure: failure === undefined ? undefined : reasonText(failure),
      ...(this.#record && { record: this.#record }),
    }
  }

  get coveredLsn(): number {
    // One that stopped before its first entry can never go on: holding the log would help nobody.
    const isOver = this.#isForgotten || (this.#isNowhere && !this.#saved)
    if (isOver) return Number.POSITIVE_INFINITY
    return (this.#saved?.lsn ?? this.#from) - 1
  }

  /** The position after the handled entries, and after the frames without entries that follow. */
  get #reached(): EntryPosition | undefined {
    const lsn = this.#watch?.unread.lsn ?? 0
    return this.#next && lsn > this.#next.lsn ? { lsn, index: 0 } : this.#next
  }

  async advance(): Promise<void> {
    this.#next = this.#reached
    await this.#save()
    await this.#watch?.letGo()
  }

  /**
   * Ends it: its handler is given no further entry. Resolves when the position after the handled
   * ones is saved. The handler may call this, so it is not waited for: it may still be at its last
   * entry. The position stays for a later subscription of this name, unless `forget` is true.
   * @throws KeelsonError `INVALID_ARGUMENT`; that of the write that removes the position
   */
  end(options: { readonly forget?: boolean } = noOptions): Promise<void> {
    return promised(() => {
      const { forget = false } = ownOptions(options, ['forget'])
      if (typeof forget !== 'boolean') throw invalidArgument('forget', 'a boolean', forget)
      const end = this.#end(forget)
      this.#ended = this.#handOver(forget, end, this.#ended)
      return end
    })
  }

  async #end(forget: boolean): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#isForgotten ||= forget
    this.#close()
    await this.#save()
    if (forget) await this.#forget()
    this.#shard.journal.lessens()
  }

  /** Leaves the name when the handler has ended. Returns where the next one begins. */
  async #handOver(
    forget: boolean,
    end: Promise<void>,
    earlier: Promise<unknown> | undefined,
  ): Promise<EntryPosition | undefined> {
    await earlier
    await end.catch(() => undefined)
    await this.#handling
    await this.#saving
    // One that took the name over forgets what the earlier one saved last, too.
    if (forget) await this.#forget().catch(() => undefined)
    const { deliveries } = this.#shard.journal
    if (deliveries.get(this.name) === this) deliveries.delete(this.name)
    return this.#next
  }

  async atRest(): Promise<EntryPosition | undefined> {
    await this.#handling
    await this.#saving
    // The row may lack it: a save may have failed.
    return this.#next
  }

  async #forget(): Promise<void> {
    await writePosition(this.#system, this.#shard, this.name, undefined)
    this.#next = undefined
  }

  /** Goes on where `earlier` ends, which may still handle an entry and save its position. */
  async #takeOver(earlier: Delivery | undefined): Promise<void> {
    this.#next = await earlier?.ended
  }

  async deliver(signal: AbortSignal): Promise<void> {
    if (this.#incarnation === signal) return
    this.#incarnation = signal
    await this.#handling
    try {
      // A journal is there before its shard is open.
      await this.#shard.settled()
      await this.#deliver(signal)
    } catch (error) {
      // The log does not have the position, so the next one of the name does not take it over.
      this.#isNowhere = isKeelsonError(error, 'BAD_CURSOR')
      if (this.#isNowhere) this.#next = this.#saved
      // The shard ends: its next journal goes on.
      const isOver = endings.some((code) => isKeelsonError(error, code))
      if (!signal.aborted && !isOver) this.#stop(error)
    }
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#isOver) return
    const shard = this.#shard
    this.#saved ??= savedPosition(shard.view(), this.name)
    this.#followOthers()
    this.#next ??= this.#saved ?? { lsn: this.#from, index: 0 }
    // Otherwise the entries up to there would be left out.
    checkReached(shard, this.#next.lsn)
    const bounds = { from: this.#next.lsn, pins: true }
    const watch = new ShardWatch(shard, entriesIn(shard), bounds)
    this.#watch = watch
    const close = (): void => this.#close(watch)
    signal.addEventListener('abort', close)
    try {
      for (;;) {
        const watched = await watch.next()
        if (!watched || signal.aborted || this.#isOver) return
        if (isBefore(watched.item, this.#next)) continue
        // Between the last look and the handler nothing else runs, such as the beginning of a leave.
        while (!this.#mayBegin && !signal.aborted && !this.#isOver) await this.#pause()
        if (signal.aborted || this.#isOver) return
        this.#handling = this.#handle(watched)
        await this.#handling
        // The watch would take the entry that was not handled as read.
        if (this.#isOver) return
      }
    } finally {
      signal.removeEventListener('abort', close)
      close()
    }
  }

  /**
   * Goes on where another member has come to that had the shard for a time: its position is beyond
   * the one of this member. @throws KeelsonError `ELSEWHERE` while it has the shard
   */
  #followOthers(): void {
    if (!this.#shard.way) return
    const saved = savedPosition(this.#shard.view(), this.name)
    if (!saved || (this.#saved && !isBefore(this.#saved, saved))) return
    this.#saved = saved
    if (this.#next && isBefore(this.#next, saved)) this.#next = saved
  }

  /**
   * While another member may own the shard, no handler begins: what it reads would be refused, and that
   * would stop it. Before the shard leaves none begins either: the next owner is at that entry soon.
   */
  get #mayBegin(): boolean {
    const { mayDeliver, unsure } = this.#shard
    return mayDeliver && unsure === undefined
  }

  #pause(): Promise<void> {
    const { clock } = this.#system
    return new Promise((go) => void clock.after(ownMs, go, { holdsProcess: false }))
  }

  /** Closing drops undelivered entries silently. */
  #close(watch = this.#watch): void {
    watch?.close()
    if (this.#watch === watch) this.#watch = undefined
  }

  /** Never rejects. */
  async #handle({ item, next }: Watched<StoredEntry>): Promise<void> {
    const { effects: _, ...emitted } = item
    try {
      await this.#handler(emitted)
    } catch (error) {
      this.#stop(error)
      return
    }
    const { lsn, index } = item
    this.#next = next.lsn > lsn ? { lsn: next.lsn, index: 0 } : { lsn, index: index + 1 }
    void this.#save()
  }

  get #isOver(): boolean {
    return this.#ended !== undefined || this.#failure !== undefined
  }

  #stop(error: unknown): void {
    this.#failure = error ?? new KeelsonError('EXITED', 'the handler threw nothing')
    this.#record = failureRecord(this.#failure)
    this.#ended ??= this.atRest()
    const { name } = this
    const reason = this.#failure
    const { index: shard } = this.#shard
    emit(this.#system, this.#shard, 'journal.stopped', { name, reason: reasonText(reason) })
    this.#system.logger.error(
      `the subscription ${name} to the journal of shard ${shard} has stopped: ${describeReason(reason)}`,
      { name, shard, reason },
    )
  }

  /** Saves the position until the row has it, or a write fails. At most one write is pending. */
  #save(): Promise<void> {
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #saveAll(): Promise<void> {
    while (this.#next && !this.#isForgotten && !isSame(this.#next, this.#saved)) {
      let next = this.#next
      try {
        this.#followOthers()
        next = this.#next
        await writePosition(this.#system, this.#shard, this.name, next)
      } catch {
        // The next entry tries again. Until then a restart repeats more.
        return
      }
      this.#saved = next
    }
  }
}

/** The pause before the next look whether the lease is renewed, or the shard stays. */
const ownMs = 1_000

/** Codes that say that the shard ends, or is no longer here. */
const endings = ['SHARD_DOWN', 'ELSEWHERE', 'CLOSED'] as const

const isSame = (one: EntryPosition, other: EntryPosition | undefined): boolean =>
  one.lsn === other?.lsn && one.index === other.index

const isBefore = (entry: EntryPosition, position: EntryPosition): boolean =>
  entry.lsn < position.lsn || (entry.lsn === position.lsn && entry.index < position.index)

/** Writes the row of a position; removes it without one. @throws KeelsonError as a write does */
const writePosition = (
  system: System,
  shard: JournalShard,
  name: string,
  position: EntryPosition | undefined,
): Promise<void> =>
  writeJournalRow(
    system,
    shard,
    positionEntity(name),
    position && encodeList([position.lsn, position.index]),
  )
