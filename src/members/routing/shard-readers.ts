/**
 * The watches of other members in the shards here. Each is kept between two questions of its reader, so
 * that a reader that follows gets each change as it was. A question is answered again with what it was
 * answered before, so a lost answer loses and doubles nothing. It is apart from `owner-answers.ts`, whose
 * other questions are kept by nobody.
 */

import {
  type AskedItems,
  answerMs,
  checkLinked,
  isCount,
  isFlag,
  isIgnored,
  isOptional,
  isRecord,
  isText,
  type SentItem,
  type SentItems,
  type ShardClient,
  type ShardWatch,
  sentBytesMax,
  type Watched,
  type WatchSource,
  type WritingShard,
  watchHere,
} from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'

// biome-ignore lint/suspicious/noExplicitAny: the items of each kind are others
type AnyItem = any

/** The items of a shard that can be watched, and each as it is sent. */
export type Watchable<S> = (
  shard: S,
  terms: unknown,
) => {
  readonly source: WatchSource<AnyItem>
  readonly sent: (item: AnyItem) => unknown
}

/** A watch of another member. */
type Open = {
  readonly shard: WritingShard
  readonly member: string
  readonly watch: ShardWatch<AnyItem>
  readonly source: WatchSource<AnyItem>
  readonly sent: (item: AnyItem) => unknown
  readonly to: number
  /** How many answers its reader has with the last one. */
  answers: number
  last: Promise<SentItems> | undefined
  next: Promise<Watched<AnyItem> | undefined> | undefined
  usedAt: number
  isEnded: boolean
}

/** A watch whose reader asks for nothing for so long is ended, in ms. It begins again at its position. */
const idleMs = 600_000

/** An answer has at most so many bytes, and one item more. */
const bytesMax = 512 * 1024

const isAsked = isRecord({
  member: isText,
  reader: isText,
  answers: isCount,
  what: isText,
  terms: isIgnored,
  from: isOptional(isCount),
  to: isOptional(isCount),
  follows: isFlag,
  pins: isFlag,
})

/**
 * Answers the readers of other members from now on. `shardHere`: a shard by its number; throws for one
 * that is not here.
 */
export const answerReaders = <S extends WritingShard>(
  system: System,
  way: ShardClient,
  kinds: Readonly<Record<string, Watchable<S>>>,
  shardHere: (index: unknown) => S,
): void => {
  const readers = new ShardReaders(system, kinds)
  const keyOf = (index: unknown, { member, reader }: Pick<AskedItems, 'member' | 'reader'>) =>
    `${index}/${reader}/${member}`
  way.onUnlinked((member) => readers.endAll(member))
  for (const question of ['watch.begin', 'watch.next'] as const)
    way.answer(question, (payload) => {
      const [index, asked] = payload as readonly unknown[]
      if (!isAsked(asked)) throw invalidArgument('payload', 'a watch', asked)
      const checked = asked as AskedItems
      checkLinked(way, checked.member)
      const key = keyOf(index, checked)
      return readers.answer(key, shardHere(index), checked, question === 'watch.begin')
    })
  way.answer('watch.end', (payload) => {
    const [index, asked] = payload as readonly unknown[]
    readers.end(keyOf(index, asked as AskedItems))
  })
}

/** The watches of the other members. */
class ShardReaders<S extends WritingShard> {
  readonly #system: System
  readonly #kinds: Readonly<Record<string, Watchable<S>>>
  readonly #open = new Map<string, Open>()

  constructor(system: System, kinds: Readonly<Record<string, Watchable<S>>>) {
    this.#system = system
    this.#kinds = kinds
  }

  /** The position of a watch that begins, or its next items. @throws KeelsonError as `ShardWatch` */
  answer(key: string, shard: S, asked: AskedItems, begins: boolean): Promise<SentItems> {
    this.#sweep()
    const known = this.#open.get(key)
    if (known?.last && asked.answers === known.answers - 1) return known.last
    const open = known?.answers === asked.answers ? known : this.#begin(key, shard, asked)
    open.usedAt = this.#system.clock.monotonic()
    open.answers++
    const answer = begins ? begunAt(open) : this.#items(open)
    open.last = answer
    answer.catch(() => this.end(key))
    return answer
  }

  #begin(key: string, shard: S, asked: AskedItems): Open {
    this.end(key)
    const kind = ownOf(this.#kinds, asked.what)
    if (!kind) throw invalidArgument('what', 'something to watch', asked.what)
    const { source, sent } = kind(shard, asked.terms)
    const { watch, to } = watchHere(shard, source, asked)
    const { member, answers } = asked
    const open: Open = {
      shard,
      member,
      watch,
      source,
      sent,
      to,
      answers,
      last: undefined,
      next: undefined,
      usedAt: 0,
      isEnded: false,
    }
    this.#open.set(key, open)
    return open
  }

  /** The next items that are ready; none after a while. */
  async #items(open: Open): Promise<SentItems> {
    const { watch, source, sent } = open
    open.next ??= watch.next()
    let cancel = (): void => undefined
    const late = new Promise<'late'>((resolve) => {
      cancel = this.#system.clock.after(answerMs, () => resolve('late'))
    })
    const first = await Promise.race([open.next, late]).finally(() => cancel())
    if (first === 'late') return itemsOf(open, [])
    open.next = undefined
    // A watch that was ended under its reader has not come to an end: the reader asks again.
    if (open.isEnded) throw new KeelsonError('NO_PROCESS', 'the watch has ended here')
    const items: SentItem[] = []
    let bytes = 0
    let watched = first
    while (watched) {
      const { item, next, catchingUp }: Watched<AnyItem> = watched
      items.push([item.lsn, item.time, next.lsn, catchingUp, sent(item)])
      bytes += source.bytesOf(item)
      // At the end of a frame, so that another owner repeats nothing.
      const isWithin = next.lsn === item.lsn && bytes < sentBytesMax / 2
      watched = isWithin || bytes < bytesMax ? watch.ready() : undefined
    }
    return itemsOf(open, items, first === undefined)
  }

  /** Ends the watches of a member whose link has ended: its pins would hold the log. */
  endAll(member: string): void {
    for (const [key, open] of this.#open) if (open.member === member) this.end(key)
  }

  /** Ends a watch. */
  end(key: string): void {
    const open = this.#open.get(key)
    if (!open) return
    open.isEnded = true
    open.watch.close()
    this.#open.delete(key)
  }

  /** Ends the watches of shards that have gone, and of readers that do not ask. */
  #sweep(): void {
    const before = this.#system.clock.monotonic() - idleMs
    for (const [key, { shard, usedAt }] of this.#open)
      if (shard.phase.kind === 'elsewhere' || usedAt < before) this.end(key)
  }
}

/** The position of a watch that begins: its reader waits for it alone. */
const begunAt = async (open: Open): Promise<SentItems> => {
  await open.watch.begin()
  return itemsOf(open, [])
}

const itemsOf = ({ watch, to }: Open, items: readonly SentItem[], ended = false): SentItems => ({
  items,
  to,
  ended,
  at: items.at(-1)?.[2] ?? watch.unread.lsn,
})
