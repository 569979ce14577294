/**
 * A watch of something durable from a position on, over all shards, as an async iterator that can be
 * ended and begun again where it was. Keys and entities are watched so.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { checkSignal, ownOptions } from '../core/argument-check.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { positionsIn } from './freshness.ts'
import { type ShardReader, shardReader, type Watches } from './routed-watch.ts'
import { logStart, type Watched, walkStart } from './shard-watch.ts'

/** Where a watch begins, and its end. */
export type WatchBegin = {
  /**
   * The first position to report, of one shard or of several: `next` of an earlier change. A shard
   * without one is watched from now on. `'oldest'`: everything that the log still has.
   */
  readonly from?: Position | readonly Position[] | 'oldest'
  /** Ends the watch as `return` does. An actor gives its `context.signal`. */
  readonly signal?: AbortSignal
}

/** The place of a durable change. */
export type ChangePlace = {
  /** Where the log has it. */
  readonly position: Position
  /**
   * `from` of a watch that goes on after this change: a position of each shard. In the middle of a
   * write of several keys it goes on with that write.
   */
  readonly next: readonly Position[]
  /** The time stamp of the write, in ms since 1970. */
  readonly time: number
  /**
   * The watch reads the log, because it began in the past or its reader was slow. Then the change
   * shows what is present: what changed often comes once, and what a refused or ineffective command
   * named may come too.
   */
  readonly catchingUp: boolean
}

/** An item of the log, and what a watch shows of it. */
type Shows<Item, Change> = {
  readonly watches: (shard: WritingShard) => Watches<Item & Stamped>
  readonly shown: (item: Item, place: ChangePlace, shard: WritingShard) => Change
}

type Stamped = { readonly lsn: number; readonly time: number }

/** The answer of a part: an item, its end, or the reason of its failure. */
type Answered<Item> = { readonly part: number } & (
  | { readonly watched: Watched<Item> | undefined }
  | { readonly error: unknown }
)

/** A running watch. End it with `return`, or leave the `for await` loop. */
export class DurableWatch<Item extends Stamped, Change> implements AsyncIterableIterator<Change> {
  readonly #shards: readonly WritingShard[]
  readonly #shown: Shows<Item, Change>['shown']
  readonly #parts: readonly ShardReader<Item>[]
  /** Resolves with the position of each part. */
  #begun: Promise<readonly Position[]> | undefined
  /** The parts whose next item is asked for, and not given out. */
  readonly #asked = new Set<number>()
  /** Items that came and were not given out. A race of promises would keep a reaction at each quiet part. */
  readonly #answered: Answered<Item>[] = []
  #wake: () => void = () => undefined
  /** Calls of `next` are answered one after another. */
  readonly #turns = new SerialQueue()
  #hasEnded = false
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => void this.return()

  /**
   * @internal `begin` is checked.
   * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`
   */
  constructor(
    shards: readonly WritingShard[],
    { from, signal }: WatchBegin,
    { watches, shown }: Shows<Item, Change>,
  ) {
    this.#shards = shards
    this.#shown = shown
    const parts: ShardReader<Item>[] = []
    this.#parts = parts
    try {
      for (const shard of shards) {
        const bounds = { from: beginOf(shard, from), follows: true, pins: false }
        parts.push(shardReader(shard, watches(shard), bounds))
      }
    } catch (error) {
      for (const part of parts) part.close()
      throw error
    }
    // The start of the log is read once a position or a change is asked for.
    if (from !== 'oldest') void this.#begin()
    this.#signal = signal
    signal?.addEventListener('abort', this.#aborted)
  }

  /**
   * Resolves with a position of each shard, when all their owners have answered: the watch gives every
   * change from there on, and no earlier one. State that is read after that has every earlier change,
   * at whichever member it is read. As `from` they begin another watch at the same place. If nobody
   * awaits it, a watch that cannot begin says so in `next`.
   * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`, also if the watch ends before
   */
  get ready(): Promise<readonly Position[]> {
    return this.#begin()
  }

  /**
   * The next change.
   * @throws KeelsonError `BAD_CURSOR` if the log was released beyond the position; `SHARD_DOWN`,
   * `CLOSED`, `CORRUPT`. The watch has then ended
   */
  next(): Promise<IteratorResult<Change, undefined>> {
    return this.#turns.run(() => this.#next())
  }

  /** Ends the watch: calls of `next` that wait are answered with `done`. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#hasEnded = true
    this.#signal?.removeEventListener('abort', this.#aborted)
    for (const part of this.#parts) part.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #next(): Promise<IteratorResult<Change, undefined>> {
    if (this.#hasEnded) return { done: true, value: undefined }
    try {
      return await this.#nextChange()
    } catch (error) {
      if (this.#hasEnded) return { done: true, value: undefined }
      // A loop does not end an iterator whose `next` rejected.
      await this.return()
      throw error
    }
  }

  #begin(): Promise<readonly Position[]> {
    if (this.#begun === undefined) {
      this.#begun = this.#beginAll()
      // A reader that awaits changes alone has the failure with the first of them.
      this.#begun.catch(() => undefined)
    }
    return this.#begun
  }

  async #beginAll(): Promise<readonly Position[]> {
    const positions = await Promise.all(this.#parts.map((part) => part.begin()))
    if (this.#hasEnded) throw new KeelsonError('CLOSED', 'the watch has ended')
    return positions
  }

  async #nextChange(): Promise<IteratorResult<Change, undefined>> {
    // `next` of a change has a position of each shard.
    await this.#begin()
    const answered = await this.#nextAnswered()
    this.#asked.delete(answered.part)
    if ('error' in answered) throw answered.error
    const shard = this.#shards[answered.part]
    if (!answered.watched || !shard) return this.return()
    const { item, catchingUp, next: behind } = answered.watched
    const next = this.#parts.map((part) =>
      part === this.#parts[answered.part] ? behind : part.unread,
    )
    const position = { shard: shard.index, lsn: item.lsn }
    const place = { position, next, time: item.time, catchingUp }
    return { done: false, value: this.#shown(item, place, shard) }
  }

  /** The next item of any part. */
  async #nextAnswered(): Promise<Answered<Item>> {
    const take = (answered: Answered<Item>): void => {
      this.#answered.push(answered)
      this.#wake()
    }
    for (const [part, watch] of this.#parts.entries()) {
      if (this.#asked.has(part)) continue
      this.#asked.add(part)
      watch.next().then(
        (watched) => take({ part, watched }),
        (error: unknown) => take({ part, error }),
      )
    }
    for (;;) {
      const answered = this.#answered.shift()
      if (answered) return answered
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** The LSN that the watch of a shard begins with; `undefined`: the next one. */
const beginOf = (shard: WritingShard, from: WatchBegin['from']): number | undefined => {
  if (from === 'oldest') return logStart
  const positions = from === undefined ? [] : 'shard' in from ? [from] : from
  const lsn = positions.find(({ shard: index }) => index === shard.index)?.lsn
  return lsn === undefined ? undefined : walkStart(lsn)
}

/**
 * Returns a copy of the options of a watch of so many shards, checked. `others`: the names of further ones.
 * @throws KeelsonError `INVALID_ARGUMENT`; the reason of a `signal` that has aborted
 */
export const checkedBegin = <O extends WatchBegin>(
  options: O,
  others: readonly string[],
  shards: number,
): O => {
  const own = ownOptions(options, [...others, 'from', 'signal'])
  const { from, signal } = own
  checkSignal(signal)
  if (from === undefined || from === 'oldest') return own
  const positions = positionsIn(from)
  if (positions?.every(({ shard }) => shard < shards)) return { ...own, from: positions }
  throw invalidArgument('from', 'positions of shards, or `oldest`', from)
}
