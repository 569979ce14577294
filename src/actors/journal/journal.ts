/**
 * `app.journal`: entries of applications that keep their state themselves. An entry goes the way of
 * every write and is acknowledged after its group is durable.
 */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import {
  checkEntityId,
  type EventPayload,
  encodeList,
  entryUnit,
  eventPayload,
  readEventPayload,
  savedStateEntity,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { checkSignal, ownOptions } from '../core/argument-check.ts'
import { askedAtOwner, checkHere, wayToWrite } from '../core/at-owner.ts'
import { levelOf } from '../core/settings.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import { shardAt } from '../core/shard-core.ts'
import { emit } from '../core/storage-events.ts'
import { walkStart } from '../store/shard-watch.ts'
import { granted, promised } from '../store/store-writing.ts'
import { checkWrite, ownWriteOptions, type WriteOptions } from '../writing/write-options.ts'
import { type Shape, submitAs } from '../writing/write-path.ts'
import { type EntryInput, entryContentOf, type PayloadTypes } from './entry-input.ts'
import { type EntriesOfJournal, EntryStream } from './entry-stream.ts'
import * as JournalActor from './journal-actor.ts'
import { writeJournalRow } from './journal-row.ts'
import type { JournalShard } from './journal-shard.ts'
import { type ReplayHandler, replayed } from './replay.ts'
import { newestAppState, saveAppState } from './saved-states.ts'
import { hasSavedState } from './shard-journal.ts'
import type { StoredEntry } from './stored-entry.ts'
import { type EntryHandler, Subscription } from './subscription.ts'

/** The acknowledgement of an entry: its position. */
export type JournalAck = {
  readonly shard: number
  /** The LSN of its frame. */
  readonly lsn: number
  /** Its number among the entries of that frame, from 0. */
  readonly index: number
  /** The stamp of that frame, in ms since 1970. */
  readonly time: number
  /** The journal had it already: this is the first acknowledgement. */
  readonly repeated: boolean
  /** Present if the instance is not durable: the entry is written, and maybe not synced. */
  readonly level?: 'written'
}

/** A subscription to make. */
export type SubscribeOptions<Events extends PayloadTypes = PayloadTypes> = {
  /** Keeps its position under this name: 1 to 256 bytes without `{` and `}`. */
  readonly name: string
  /**
   * The LSN to begin with if no position is saved: by default 1, the first of all, which 0 counts
   * as, too. `'oldest'` is the first that the log has. If the log has given an entry from there on
   * back, or has not come there, the subscription stops with `BAD_CURSOR`.
   */
  readonly from?: number | 'oldest'
  /** If it throws, this subscription stops, and `health()` says so. */
  readonly handler: EntryHandler<Events>
  /**
   * Ends the subscription as `end()` does. An actor gives its `context.signal`, and subscribes
   * again when it is restarted. Otherwise the subscription outlives the actor.
   */
  readonly signal?: AbortSignal
}

/** A replay to make. */
export type ReplayOptions<
  Events extends PayloadTypes = PayloadTypes,
  Effects extends PayloadTypes = PayloadTypes,
> = {
  /**
   * The first LSN: by default 1, the first of all, which 0 counts as, too. After a state it is
   * `state.lsn + 1`. `'oldest'` is the first that the log has.
   */
  readonly from?: number | 'oldest'
  readonly handler: (entry: StoredEntry<Events, Effects>) => void | Promise<void>
  /**
   * Whether an entry has to wait for a later one, which it follows. It is asked again after each
   * entry that was handled. No entry is left out.
   */
  readonly shouldDefer?: (entry: StoredEntry<Events, Effects>) => boolean
}

/** A replay that has ended: how many entries were handled, and the LSN up to which. */
export type Replayed = { readonly entries: number; readonly lsn: number }

/** A state of the application: its entries up to `lsn` are in `value`. `time` in ms since 1970. */
export type SavedState<T = unknown> = {
  readonly lsn: number
  readonly time: number
  readonly value: T
}

/**
 * The journal of one shard; `app.journal` is that of shard 0. Entries of one shard have an order.
 * `Events` and `Effects` are the types of the payloads, by type: see `typed`.
 */
export class Journal<
  Events extends PayloadTypes = PayloadTypes,
  Effects extends PayloadTypes = PayloadTypes,
> {
  readonly #system: System
  readonly #shards: readonly JournalShard[]
  readonly #shard: JournalShard
  readonly #access: Access
  readonly #acked: Shape<JournalAck>
  /** The options of an append without options. No window of a namespace holds an entry. */
  readonly #unsaid: CheckedWrite

  /** @internal */
  constructor(system: System, shards: readonly JournalShard[], access: Access, index = 0) {
    this.#system = system
    this.#shards = shards
    this.#shard = shardAt(shards, index)
    this.#access = access
    const { settings } = this.#shard.parts
    this.#unsaid = {
      ack: 'applied',
      deadlineMs: settings.deadlineMs,
      whenFull: 'wait',
      windowMs: 0,
    }
    this.#acked = ackOf(index, levelOf(settings) === 'durable')
  }

  /** The journal of a shard. @throws KeelsonError `INVALID_ARGUMENT` */
  on(shard: number): Journal<Events, Effects> {
    return new Journal(this.#system, this.#shards, this.#access, shard)
  }

  /** This journal, with the types of the application's events and side effects. */
  typed<E extends PayloadTypes, F extends PayloadTypes = PayloadTypes>(): Journal<E, F> {
    return this as unknown as Journal<E, F>
  }

  /**
   * Appends an entry. Resolves once it is durable, in the order of the calls. A repeated id with
   * equal content is acknowledged as the first time, also after a restart.
   * @throws KeelsonError `CONFLICT` with `details.entry` if the id has an entry that says something
   * else; `BUSY` with `details.state` `'replaying'` while a required replay has not ended, or
   * `'held'` while the journal holds more of the log than `journal.maxHeldBytes`; as every write does
   */
  append(
    entry: EntryInput<Events, Effects>,
    options: WriteOptions = noOptions,
  ): Promise<JournalAck> {
    return promised(() => {
      this.#access.check()
      const shard = this.#shard
      const way = wayToWrite(shard)
      const refusal = way ? undefined : shard.journal.refusal(shard.index)
      if (refusal) throw shard.gate.counts(refusal)
      const units = entryUnit(entryContentOf(entry as EntryInput))
      const write = { units, options: this.#checked(options) }
      if (way)
        return way
          .write(shard.index, write.units, write.options)
          .then(({ position, answers }) => this.#acked(position, answers))
      return submitAs(this.#system, shard, write, this.#acked)
    })
  }

  /**
   * The durable entries in their order, from `from` up to `to` (LSNs, inclusive); by default all
   * up to the present. With `follow` it goes on with those to come. A slow reader costs
   * no memory: it reads the log, which keeps what was not read yet. End it with `return` or by its
   * `signal`, or leave the `for await` loop.
   * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`, `CLOSED`; `BAD_CURSOR`, now or at the
   * first entry, if the log has given an entry from `from` on back, or has not come there; the reason of a
   * `signal` that has aborted
   */
  entries(options: EntriesOfJournal = noOptions): EntryStream<Events, Effects> {
    this.#access.check()
    return new EntryStream(this.#shard, options)
  }

  /**
   * Gives every durable entry to a handler, one after another: once while the process lives, and at
   * least once across restarts. Its position is saved after the handler has ended. If an earlier
   * one of this name is ending, this one begins after its end. With members on one folder, the handler
   * of the member that has the shard is called, and no other one: subscribe at each of them.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CLOSED`; `CONFLICT` while a subscription of this name
   * runs; the reason of a `signal` that has aborted
   */
  subscribe(options: SubscribeOptions<Events>): Subscription {
    this.#access.check()
    const own = ownOptions(options, ['name', 'from', 'handler', 'signal'])
    const { handler, signal } = own
    const from = walkStart(own.from)
    const name = checkEntityId(own.name, 'name')
    if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler)
    checkSignal(signal)
    const { deliveries } = this.#shard.journal
    const earlier = deliveries.get(name)
    if (earlier?.isRunning)
      throw new KeelsonError('CONFLICT', 'a subscription of this name runs', { details: { name } })
    const terms = { name, from, handler: handler as EntryHandler, signal, earlier }
    const subscription = new Subscription(this.#system, this.#shard, terms)
    deliveries.set(name, subscription)
    const { instance } = this.#shard.parts
    const actor = this.#system.to(JournalActor.name(instance, this.#shard.index))
    JournalActor.deliver(actor, subscription)
    return subscription
  }

  /**
   * Gives every durable entry to a handler, side effects included, and resolves when there is no
   * further one. With the option `journal.replay` `'required'` appends are taken from then on.
   * @throws KeelsonError `INVALID_ARGUMENT`; what the handler throws; `CONFLICT` if entries still
   * wait for another one, with ten of their ids at most in `details.deferred`; `BAD_CURSOR` if the
   * log has given an entry from `from` on back; `SHARD_DOWN`, `CLOSED`, `CORRUPT`
   */
  async replay(options: ReplayOptions<Events, Effects>): Promise<Replayed> {
    this.#checkHere('replay')
    const own = ownOptions(options, ['from', 'handler', 'shouldDefer'])
    const shard = this.#shard
    const { clock } = this.#system
    const began = clock.monotonic()
    const done = await replayed(shard, own as ReplayHandler)
    if (shard.journal.replay === 'awaited') shard.journal.replay = 'done'
    const { entries } = done
    emit(this.#system, shard, 'journal.replayed', { entries, tookMs: clock.monotonic() - began })
    return done
  }

  /**
   * Saves a state of the application, which has every entry up to `lsn`. It is durable when this
   * resolves. The last two are kept, and the log after the older one. Calls are carried out one
   * after another.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that cannot be stored, or an LSN beyond the
   * last one or below a saved one; `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`, `CLOSED`, and `FENCED` in a
   * cluster: it may be saved all the same
   */
  async saveState(lsn: number, value: unknown): Promise<void> {
    this.#access.check()
    const content = eventPayload(value)
    const { deadlineMs } = this.#unsaid
    await askedAtOwner(this.#shard, 'journal.saveState', [lsn, content], deadlineMs, () =>
      this.#saved(lsn, content),
    )
  }

  async #saved(lsn: number, content: EventPayload): Promise<void> {
    const shard = this.#shard
    const { journal, appliedLsn } = shard
    const check = (): void => {
      const least = journal.states.at(-1) ?? 0
      if (!Number.isSafeInteger(lsn) || lsn < least || lsn > appliedLsn)
        throw invalidArgument('lsn', `an LSN from ${least} to ${appliedLsn}`, lsn)
    }
    check()
    const state = { lsn, time: this.#system.clock.now(), content }
    await journal.inTurn(async () => {
      // A save before this one may have saved a later LSN.
      check()
      await saveAppState(this.#system, shard, state)
      // The file may be lost. The facts in the log are not.
      if (!hasSavedState(shard.view()))
        await writeJournalRow(this.#system, shard, savedStateEntity, encodeList([lsn]))
    })
    journal.lessens()
    emit(this.#system, shard, 'journal.saved', { lsn, bytes: content.length })
  }

  /**
   * The newest state that is sound; `undefined` if there is none. Replay goes on after its LSN.
   * @throws KeelsonError `CORRUPT` with `details.file` if no saved one is sound; `SHARD_DOWN`,
   * `CLOSED`; `FENCED` in a cluster, if another member owns the log
   */
  async loadState<T = unknown>(): Promise<SavedState<T> | undefined> {
    this.#access.check()
    const { deadlineMs } = this.#unsaid
    const state = await askedAtOwner(this.#shard, 'journal.loadState', [], deadlineMs, () =>
      newestAppState(this.#system, this.#shard),
    )
    if (!state) return undefined
    const { lsn, time, content } = state
    return { lsn, time, value: readEventPayload<T>(content).value }
  }

  /** @throws KeelsonError `ELSEWHERE`, `CLOSED` */
  #checkHere(act: string): void {
    this.#access.check()
    const shard = this.#shard
    checkHere(shard, `journal.on(${shard.index}).${act}`)
  }

  #checked(options: WriteOptions): CheckedWrite {
    if (options === noOptions) return this.#unsaid
    const checked = checkWrite(
      ownWriteOptions('commit', options),
      this.#unsaid.deadlineMs,
      this.#shard.replication.isFollowed,
    )
    return checked.windowMs === undefined ? { ...checked, windowMs: 0 } : checked
  }
}

/** Makes the acknowledgement of an entry; throws its refusal. */
const ackOf =
  (shard: number, isDurable: boolean): Shape<JournalAck> =>
  (_position, answers) => {
    const answer = granted(answers)
    if (answer.kind !== 'entry') throw new Error(`an entry was answered like a ${answer.kind}`)
    const { lsn, index, time, repeated } = answer
    const ack = { shard, lsn, index, time, repeated }
    return isDurable ? ack : { ...ack, level: 'written' }
  }
