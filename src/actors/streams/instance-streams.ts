/** The streams of all shards at this member, and its answers to the others about them. */
import {
  aboveZero,
  anything,
  argument,
  flag,
  object,
  or,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import type { System } from '../../runtime/index.ts'
import {
  compareKeys,
  entityHeads,
  entityOfStream,
  isExpired,
  isStream,
  type RowRange,
  readStreamHead,
  type StreamHead,
  shardOf,
  streamHeads,
  streamNameIn,
} from '../../storage/index.ts'
import { askedAtOwner, foundFor, shardAsked } from '../core/at-owner.ts'
import type { ShardClient } from '../core/shard-client.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { type ReadingTerms, ShardStreams } from './shard-streams.ts'
import { headIn, type ReadingPlace } from './stream-reading.ts'

/** A stream of a list. */
export type ListedStream = readonly [name: string, head: StreamHead]

/** The streams of one instance. */
export class InstanceStreams {
  readonly shards: readonly WritingShard[]
  readonly system: System
  readonly #streams = new Map<number, ShardStreams>()

  constructor(system: System, shards: readonly WritingShard[]) {
    this.system = system
    this.shards = shards
  }

  /** The one that an instance has, however often it is asked for. */
  static of(kept: Map<unknown, unknown>, make: () => InstanceStreams): InstanceStreams {
    const found = kept.get(InstanceStreams) as InstanceStreams | undefined
    if (found) return found
    const made = make()
    kept.set(InstanceStreams, made)
    return made
  }

  /** The shard of the stream of an owner. */
  shardOf(owner: string): WritingShard {
    return this.shards[shardOf(`{${entityOfStream(owner)}}`, this.shards.length)] as WritingShard
  }

  /** The streams of a shard. */
  of(shard: WritingShard): ShardStreams {
    const found = this.#streams.get(shard.index)
    if (found) return found
    const made = new ShardStreams(this.system, shard)
    this.#streams.set(shard.index, made)
    return made
  }

  /** The head of the stream of an owner, here or elsewhere. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
  async head(owner: string): Promise<StreamHead | undefined> {
    const shard = this.shardOf(owner)
    const { deadlineMs } = shard.parts.settings
    const head = await askedAtOwner(shard, 'streams.head', [owner], deadlineMs, () =>
      headAt(shard, owner),
    )
    return head ?? undefined
  }

  /** How many readings wait for a message, by who has asked. */
  get waiting(): Readonly<ShardStreams['waiting']> {
    const sum = { process: 0, http: 0 }
    for (const { waiting } of this.#streams.values()) {
      sum.process += waiting.process
      sum.http += waiting.http
    }
    return sum
  }

  /** Resolves when every call has its answer, but for those to shards that are down. */
  async drained(): Promise<void> {
    const all = [...this.#streams].map(([index, { gather }]) =>
      this.shards[index]?.unlessStill(gather.idle()),
    )
    await Promise.all(all)
  }

  /** Answers the other members from now on. */
  answer(way: ShardClient): void {
    way.answer('streams.read', (payload) => {
      const [index, given] = payload as readonly unknown[]
      const shard = shardAsked(this.shards, index)
      return this.of(shard).readFor(termsIn(given))
    })
    way.answer('streams.head', (payload) => {
      const [index, owner] = payload as readonly unknown[]
      return headAt(shardAsked(this.shards, index), ownerName(owner, argument('owner')))
    })
    way.answer('streams.list', (payload) => {
      const [indexes, prefix, after, limit, of] = payload as readonly unknown[]
      const terms = listTerms({ prefix, after, limit, of }, argument('streams'))
      return foundFor(this.shards, indexes, (shards) => listed(shards, terms))
    })
  }
}

const ownerName = that<string>(
  'the owner of a stream',
  (found) => typeof found === 'string' && isStream(found),
)

const number = that<number>('a number', (found) => Number.isSafeInteger(found))

const placeForm = object({
  birth: anything,
  number: that<ReadingPlace['number']>(
    'a place',
    (found) => found === 'start' || found === 'now' || Number.isSafeInteger(found),
  ),
  chunk: or(number, -1),
  at: or(number, 0),
})

const termsForm = object({
  owner: ownerName,
  place: placeForm,
  bytesMax: aboveZero(1024 * 1024),
  waits: flag,
})

/** The reading that another member asks for. @throws KeelsonError `INVALID_ARGUMENT` */
const termsIn = (given: unknown): ReadingTerms => {
  const { place, ...terms } = termsForm(given, argument('terms'))
  const { birth, number: from, chunk, at } = place
  const cursor = chunk < 0 ? {} : { chunk, at }
  return {
    ...terms,
    place: { birth: typeof birth === 'string' ? birth : undefined, number: from, ...cursor },
  }
}

/** The most streams of one list. */
export const listMax = 1_000

const listTerms = object({
  prefix: or(text, ''),
  after: or(text, ''),
  limit: wholeFrom(1, listMax),
  of: or(text, ''),
})

/** The head of a stream at this member; `null` without one. */
export const headAt = async (shard: WritingShard, owner: string): Promise<StreamHead | null> => {
  if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
  return headIn(shard.view(), owner, shard.now()) ?? null
}

/** Which streams to list. `of`: those of this actor; empty for the streams by themselves. */
type ListTerms = {
  readonly prefix: string
  readonly after: string
  readonly limit: number
  readonly of: string
}

/** The streams in these shards, those of each in the order of their names. */
export const listed = async (
  shards: readonly WritingShard[],
  { prefix, after, limit, of }: ListTerms,
): Promise<readonly ListedStream[]> => {
  const found: ListedStream[] = []
  for (const shard of shards) {
    if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
    const heads = (begin: string) => (of === '' ? streamHeads(begin) : entityHeads(of, begin))
    const { gte, ...range } = heads(prefix)
    const from = compareKeys(after, prefix) < 0 ? { gte } : { gt: heads(after).gte }
    let count = 0
    for (const [key, row] of shard.view().rows({ ...range, ...from } as RowRange)) {
      if (count === limit) break
      const head = isExpired(row, shard.now()) ? undefined : readStreamHead(row)
      if (!head || head.terms?.isDeleted) continue
      found.push([streamNameIn(key), head])
      count++
    }
  }
  return found
}
