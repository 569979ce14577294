/** The entries of a journal as an async iterator, which reads as fast as it is asked. */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import { invalidArgument } from '../../errors.ts'
import { checkSignal, ownOptions } from '../core/argument-check.ts'
import { type ReaderBounds, type ShardReader, shardReader } from '../store/routed-watch.ts'
import { walkStart } from '../store/shard-watch.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { PayloadTypes } from './entry-input.ts'
import { entriesIn, type StoredEntry } from './stored-entry.ts'

/** Which entries to read. LSNs are inclusive. */
export type EntriesOfJournal = {
  /**
   * The first LSN; by default 1, the first of all, which 0 counts as, too. `'oldest'`: the first that
   * the log has.
   */
  readonly from?: number | 'oldest'
  /** The last LSN; by default the present one, and none with `follow`. */
  readonly to?: number
  /** Whether to wait for entries to come. */
  readonly follow?: boolean
  /** Ends the stream as `return` does. An actor gives its `context.signal`. */
  readonly signal?: AbortSignal
}

/** Entries that are being read. */
export class EntryStream<
  Events extends PayloadTypes = PayloadTypes,
  Effects extends PayloadTypes = PayloadTypes,
> implements AsyncIterableIterator<StoredEntry<Events, Effects>>
{
  readonly #watch: ShardReader<StoredEntry>
  /** Calls of `next` are answered one after another. `#waiting`: how many have no answer. */
  readonly #turns = new SerialQueue()
  #waiting = 0
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => this.#end()

  /**
   * @internal For `Journal.entries`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`; the reason of a
   * `signal` that has aborted
   */
  constructor(shard: WritingShard, options: EntriesOfJournal) {
    const watches = {
      what: 'journal',
      terms: null,
      source: entriesIn(shard),
      received: (body: unknown) => body as StoredEntry,
    }
    const { signal, ...bounds } = boundsOf(options)
    this.#watch = shardReader(shard, watches, bounds)
    this.#signal = signal
    this.#signal?.addEventListener('abort', this.#aborted)
  }

  /**
   * The next entry.
   * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`, `CORRUPT`. The stream has then ended
   */
  next(): Promise<IteratorResult<StoredEntry<Events, Effects>, undefined>> {
    const ready = this.#waiting === 0 ? this.#watch.ready() : undefined
    if (ready) return Promise.resolve(given(ready.item))
    this.#waiting++
    const answer = this.#turns.run(() => this.#next())
    // Only after its own caller has the answer: until then a later call must not overtake it.
    const answered = (): void => void this.#waiting--
    answer.then(answered, answered)
    return answer
  }

  /** Ends the stream: calls of `next` that wait are answered with `done`. */
  async return(): Promise<IteratorResult<StoredEntry<Events, Effects>, undefined>> {
    this.#end()
    return { done: true, value: undefined }
  }

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#watch.close()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #next(): Promise<IteratorResult<StoredEntry<Events, Effects>, undefined>> {
    try {
      const watched = await this.#watch.next()
      if (watched) return given(watched.item)
    } catch (error) {
      this.#end()
      throw error
    }
    return this.return()
  }
}

const given = <Entry>(item: StoredEntry): IteratorResult<Entry, undefined> => ({
  done: false,
  value: item as Entry,
})

const boundsOf = (options: EntriesOfJournal): ReaderBounds & Pick<EntriesOfJournal, 'signal'> => {
  const own = ownOptions(options, ['from', 'to', 'follow', 'signal'])
  const { to, follow = false, signal } = own
  checkSignal(signal)
  const from = walkStart(own.from)
  if (to !== undefined && (!Number.isSafeInteger(to) || to < 0))
    throw invalidArgument('to', 'an LSN', to)
  if (typeof follow !== 'boolean') throw invalidArgument('follow', 'a boolean', follow)
  return { from, to, follows: follow, pins: true, ...(signal && { signal }) }
}
