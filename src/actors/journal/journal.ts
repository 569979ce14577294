/**
 * `app.journal`: entries of applications that keep their state themselves. An entry goes the way of
 * every write and is acknowledged after its group is durable.
 */
import type { System } from '../../runtime/index.ts'
import { entryUnit } from '../../storage/index.ts'
import type { Access } from '../shard/access.ts'
import { levelOf } from '../shard/settings.ts'
import type { Shard } from '../shard/shard.ts'
import { shardAt } from '../shard/shard-outcomes.ts'
import { granted, promised } from '../store/store-writing.ts'
import {
  type CheckedWrite,
  checkWrite,
  noOptions,
  type WriteOptions,
} from '../writing/write-options.ts'
import { type Shape, submitAs } from '../writing/write-path.ts'
import { type EntryInput, entryContentOf, type PayloadTypes } from './entry-input.ts'
import { type EntriesOfJournal, EntryStream } from './entry-stream.ts'

/**
 * The place of an entry: the shard, the LSN of its frame, its number among the entries of that
 * frame, and the frame's stamp in ms since 1970. `repeated`: the journal had it already, and this
 * is the first acknowledgement.
 */
export type JournalAck = {
  readonly shard: number
  readonly lsn: number
  readonly index: number
  readonly time: number
  readonly repeated: boolean
  /** Present if the instance is not durable: the entry is written, and maybe not synced. */
  readonly level?: 'written'
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
  readonly #shards: readonly Shard[]
  readonly #shard: Shard
  readonly #access: Access
  readonly #acked: Shape<JournalAck>
  /** The options of an append without options. No window of a namespace holds an entry. */
  readonly #unsaid: CheckedWrite

  constructor(system: System, shards: readonly Shard[], access: Access, index = 0) {
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
   * else; as every write does
   */
  append(
    entry: EntryInput<Events, Effects>,
    options: WriteOptions = noOptions,
  ): Promise<JournalAck> {
    return promised(() => {
      this.#access.check()
      const units = entryUnit(entryContentOf(entry as EntryInput))
      const write = { units, options: this.#checked(options) }
      return submitAs(this.#system, this.#shard, write, this.#acked)
    })
  }

  /**
   * The durable entries in their order, from `from` up to `to` (LSNs, inclusive); by default all
   * that the log has at present. With `follow` it goes on with those to come. A slow reader costs
   * no memory: it reads the log, which keeps what was not read yet. End it with `return`, or leave
   * the `for await` loop.
   * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`, `CLOSED`; `BAD_CURSOR`, now or at the
   * first entry, for a `from` that the log has given back or has not come to
   */
  entries(options: EntriesOfJournal = noOptions): EntryStream<Events, Effects> {
    this.#access.check()
    return new EntryStream(this.#shard, options)
  }

  #checked(options: WriteOptions): CheckedWrite {
    if (options === noOptions) return this.#unsaid
    const checked = checkWrite(
      'commit',
      options,
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
