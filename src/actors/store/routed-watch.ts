/**
 * A watch of one shard, wherever it is: here as `ShardWatch` reads it, and by asking the owner for the
 * next items while another member has it. An owner fixes its position once, when it begins. From then
 * on it continues at its position when the shard moves or a link is cut. The owner keeps a watch between
 * two questions (`shard-readers.ts`), so a reader that follows misses no change, and a slow one reads
 * the log there.
 */
import { invalidArgument } from '../../errors.ts'
import { isElsewhere } from '../core/at-owner.ts'
import { isCount, isFlag, isListOf, isRecord } from '../core/payload-check.ts'
import type { ShardClient } from '../core/shard-client.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  checkReached,
  logStart,
  ShardWatch,
  type Watched,
  type WatchSource,
} from './shard-watch.ts'

/** The items of a shard, read here and as the owner sends them. */
export type Watches<Item extends { readonly lsn: number }> = {
  /** Names it to the owner. */
  readonly what: string
  readonly terms: unknown
  readonly source: WatchSource<Item>
  /** The item in an answer of the owner, which is checked. */
  readonly received: (body: unknown, place: { readonly lsn: number; readonly time: number }) => Item
}

/** Where a watch of one shard begins and ends. */
export type ReaderBounds = {
  /** The first LSN, or `logStart`; `undefined`: the one after the last frame applied at its beginning. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  /** False: the frame that is the last one when it begins ends it. */
  readonly follows: boolean
  readonly pins: boolean
}

/**
 * Watches a shard that is here. `bounds`: also the last LSN.
 * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `ELSEWHERE`, `CLOSED`
 */
export const watchHere = <Item extends { readonly lsn: number }>(
  shard: WritingShard,
  source: WatchSource<Item>,
  { from: given, to: last, follows, pins }: ReaderBounds,
): { readonly watch: ShardWatch<Item>; readonly from: number; readonly to: number } => {
  // Refuses where the shard has no view.
  shard.view()
  const from = given ?? shard.appliedLsn + 1
  checkReached(shard, from)
  const present = follows ? Number.POSITIVE_INFINITY : shard.appliedLsn
  const to = Math.min(last ?? present, present)
  return { watch: new ShardWatch(shard, source, { from, to, pins }), from, to }
}

/** The question for the next items. */
export type AskedItems = ReaderBounds & {
  readonly member: string
  /** The watch of this member. */
  readonly reader: string
  /** How many answers the reader has had. */
  readonly answers: number
  readonly what: string
  readonly terms: unknown
}

/** An item as it is sent, with the LSN from which a later watch goes on after it. */
export type SentItem = readonly [
  lsn: number,
  time: number,
  next: number,
  catchingUp: boolean,
  body: unknown,
]

/** The next items, if there are some in time. `at`: the LSN that comes next; `to`: the last of all. */
export type SentItems = {
  readonly items: readonly SentItem[]
  readonly at: number
  readonly to: number
  readonly ended: boolean
}

/** An owner answers after so long, if there is no item, in ms. */
export const answerMs = 20_000

const isItem = (item: unknown): boolean =>
  Array.isArray(item) && [item[0], item[2]].every(isCount) && Number.isFinite(item[1])

const isItems = isRecord({
  items: isListOf(isItem),
  at: isCount,
  ended: isFlag,
  to: (to: unknown) => typeof to === 'number',
})

/** Reads a shard: a `ShardWatch`, or a watch that goes where the shard is. */
export type ShardReader<Item extends { readonly lsn: number }> = Pick<
  ShardWatch<Item>,
  'begin' | 'next' | 'ready' | 'unread' | 'close'
>

/** The items of one shard, which other members may have. */
export class RoutedWatch<Item extends { readonly lsn: number }> implements ShardReader<Item> {
  readonly #shard: WritingShard
  readonly #way: ShardClient
  readonly #watches: Watches<Item>
  readonly #reader: string
  /** Where it goes on after `#waiting`, here or at the next owner. */
  #bounds: ReaderBounds
  /** The watch here, while the shard is here. */
  #here: ShardWatch<Item> | undefined
  /** Answers of an owner that were not given out. */
  #waiting: Watched<Item>[] = []
  #given: Watched<Item> | undefined
  #answers = 0
  /** Its position is known to a shard here, or to an owner. */
  #hasBegun = false
  #hasEnded = false
  #isClosed = false
  /** Ends a wait for the shard, or for its owner, when the watch or the shard closes. */
  #wake: () => void = () => undefined
  readonly #stopListening: () => void

  /** @throws KeelsonError as `watchHere`, if the shard is here */
  constructor(shard: WritingShard, way: ShardClient, watches: Watches<Item>, bounds: ReaderBounds) {
    this.#shard = shard
    this.#way = way
    this.#reader = Buffer.from(shard.parts.clock.randomBytes(8)).toString('hex')
    this.#watches = watches
    this.#bounds = bounds
    if (shard.phase.kind === 'open') this.#begunHere()
    this.#stopListening = shard.onPhase(() => {
      if (shard.phase.kind === 'closed') this.#wake()
    })
  }

  begin(): Promise<Position> {
    const beginning = this.#begin()
    if (this.#hasBegun) return beginning
    const { beginnings } = this.#shard
    const known = beginning.then(
      () => undefined,
      () => undefined,
    )
    beginnings.add(known)
    void known.then(() => beginnings.delete(known))
    return beginning
  }

  async #begin(): Promise<Position> {
    while (!this.#hasBegun && !this.#isClosed) {
      if (isElsewhere(this.#shard)) await this.#askOwner('watch.begin', 0)
      else if (await this.#withHere((here) => here.begin())) this.#hasBegun = true
    }
    return this.unread
  }

  async next(): Promise<Watched<Item> | undefined> {
    this.#given = undefined
    for (;;) {
      if (this.#isClosed) return undefined
      const ready = this.ready() ?? (isElsewhere(this.#shard) ? undefined : await this.#nextHere())
      if (ready || this.#hasEnded) return ready
      if (isElsewhere(this.#shard)) await this.#askOwner('watch.next', answerMs)
    }
  }

  ready(): Watched<Item> | undefined {
    const sent = this.#waiting.shift()
    const here = sent ? undefined : this.#here?.ready()
    if (here) this.#goOn(here.next.lsn)
    this.#given = sent ?? here
    return this.#given
  }

  get unread(): Position {
    const first = this.#given ?? this.#waiting[0]
    if (!first && this.#here) return this.#here.unread
    return { shard: this.#shard.index, lsn: first?.item.lsn ?? this.#bounds.from ?? logStart }
  }

  close(): void {
    if (!this.#isClosed && this.#answers > 0) this.#endAtOwner()
    this.#isClosed = true
    this.#waiting = []
    this.#here?.close()
    this.#stopListening()
    this.#wake()
  }

  /** An owner that does not hear of it ends the watch later. */
  #endAtOwner(): void {
    const { index } = this.#shard
    const asked = { member: this.#way.member, reader: this.#reader }
    this.#way.ask(index, 'watch.end', [index, asked], endMs).catch(() => undefined)
  }

  /** `undefined`: it has ended, or the shard has gone. */
  #nextHere(): Promise<Watched<Item> | undefined> {
    return this.#withHere(async (here) => {
      this.#given = await here.next()
      if (!this.#given) this.#hasEnded = true
      else this.#goOn(this.#given.next.lsn)
      return this.#given
    })
  }

  /** `undefined`: the shard has gone. */
  async #withHere<T>(work: (here: ShardWatch<Item>) => Promise<T>): Promise<T | undefined> {
    if (!this.#here && !(await this.#isHere())) return undefined
    try {
      return await work(this.#here ?? this.#begunHere())
    } catch (error) {
      this.#leaveHere()
      if (!isElsewhere(this.#shard)) throw error
      return undefined
    }
  }

  /** Whether it may begin here: the shard may come now, or go before, and the watch may be closed. */
  async #isHere(): Promise<boolean> {
    const phase = await this.#unlessClosed(this.#shard.settled())
    return phase !== undefined && phase.kind !== 'elsewhere' && !this.#isClosed
  }

  #begunHere(): ShardWatch<Item> {
    const { watch, from, to } = watchHere(this.#shard, this.#watches.source, this.#bounds)
    this.#here = watch
    this.#hasBegun ||= from !== logStart
    this.#goOn(from, to)
    return watch
  }

  /** Resolves as `work`, or with `undefined` once the watch or the shard closes. */
  #unlessClosed<T>(work: Promise<T>): Promise<T | undefined> {
    const closed = new Promise<undefined>((resolve) => {
      this.#wake = () => resolve(undefined)
    })
    return Promise.race([work, closed])
  }

  /** Ends the watch here. Its unread items are asked for at the next owner. */
  #leaveHere(): void {
    if (!this.#here) return
    // Its last answer counts as unread there until it is asked again, and is not given out twice.
    this.#goOn(Math.max(this.#bounds.from ?? 0, this.#here.unread.lsn))
    this.#here.close()
    this.#here = undefined
  }

  #goOn(from: number, to = this.#bounds.to): void {
    this.#bounds = { ...this.#bounds, from, to, follows: true }
  }

  /**
   * Asks the owner, which answers at once when the watch begins, and else after `longestMs` at the latest.
   * @throws KeelsonError as the owner; `SHARD_DOWN` if there is none in time; `CLOSED`
   */
  async #askOwner(question: 'watch.begin' | 'watch.next', longestMs: number): Promise<void> {
    if (this.#isClosed) return
    this.#leaveHere()
    const { index, parts } = this.#shard
    const { what, terms, received } = this.#watches
    const { from, to, ...others } = this.#bounds
    const asked = {
      member: this.#way.member,
      reader: this.#reader,
      answers: this.#answers,
      what,
      terms,
      ...others,
      ...(from !== undefined && { from }),
      ...(to !== undefined && Number.isFinite(to) && { to }),
    }
    const withinMs = longestMs + parts.settings.deadlineMs
    const asking = this.#way.ask(index, question, [index, asked], withinMs)
    // An owner that is asked once more after the end begins the watch again.
    const settled = (): void => {
      if (this.#isClosed) this.#endAtOwner()
    }
    asking.then(settled, settled)
    const answer = await this.#unlessClosed(asking).catch((error: unknown) => {
      throw this.#shard.phase.kind === 'closed' ? this.#shard.unavailable() : error
    })
    if (this.#isClosed) return
    if (this.#shard.phase.kind === 'closed') throw this.#shard.unavailable()
    if (!isItems(answer)) throw invalidArgument('answer', 'the items of a watch', answer)
    const { items, at, to: last, ended } = answer as SentItems
    this.#answers++
    for (const [lsn, time, next, catchingUp, body] of items) {
      const item = received(body, { lsn, time })
      this.#waiting.push({ item, catchingUp, next: { shard: index, lsn: next } })
    }
    this.#goOn(at, last)
    this.#hasBegun = true
    this.#hasEnded = ended && items.length === 0
  }
}

/** An owner hears of the end of a watch within so long, in ms. */
const endMs = 5_000

/** Reads one shard, wherever it is. @throws KeelsonError as `watchHere`, if it is here */
export const shardReader = <Item extends { readonly lsn: number }>(
  shard: WritingShard,
  watches: Watches<Item>,
  bounds: ReaderBounds,
): ShardReader<Item> => {
  const { way } = shard
  return way === undefined
    ? watchHere(shard, watches.source, bounds).watch
    : new RoutedWatch(shard, way, watches, bounds)
}
