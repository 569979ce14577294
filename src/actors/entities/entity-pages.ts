/**
 * Pages of entities over all shards, whichever members have them: each owner is asked once, for all
 * of its shards, and the pages are merged by the keys of their rows. It is apart from
 * `entity-listing.ts`, which looks at the shards of one member.
 */
import { KeelsonError } from '../../errors.ts'
import { encodeValue } from '../../storage/index.ts'
import { type FoundThere, overOwners, sentBytesMax, shardsAsked } from '../core/owners-way.ts'
import { type KeyedPage, mergedPages } from '../store/store-page.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { type Entities, expectKnown } from './entities.ts'
import { type EntityPage, type KeyedEntry, keyedPageOf } from './entity-listing.ts'
import { entityQuery, type ListOptions } from './entity-query.ts'

type Shards = readonly ActorShard[]

/** Where a look is made: the shards may be at several members. */
export type Looked = { readonly entities: Entities; readonly kind: string; readonly shards: Shards }

/** The bytes of the states of a page. */
const pageBytesMax = sentBytesMax / 2

/** One page of the entities of all shards, merged by the keys of their rows. @throws as `list` */
export const pageOverAll = async (
  looked: Looked,
  options: ListOptions<never>,
): Promise<EntityPage<unknown>> => {
  const query = entityQuery(looked.kind, options)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const { entities, kind, shards } = looked
  const deadlineMs = shards[0]?.parts.settings.deadlineMs ?? 0
  const pages = await overOwners<ActorShard, KeyedPage<KeyedEntry>>(
    shards,
    (here) => keyedPageOf(entities, kind, query, here),
    async (way, indexes) => {
      const [first = 0] = indexes
      const asked = [indexes, kind, Object.fromEntries(given)]
      const answer = await way.ask(first, 'entities.page', asked, deadlineMs)
      const { shards: seen, found } = answer as FoundThere<KeyedPage<SentEntry>>
      return { shards: seen, found: receivedPage(found) }
    },
  )
  const page = mergedPages(pages, query)
  return { ...page, entries: page.entries.map(([, entry]) => entry) }
}

/**
 * Answers another member with what is found in the shards here, of the ones that it asks for.
 * @throws KeelsonError as `shardsAsked`
 */
export const pageHere = (entities: Entities, payload: unknown): FoundThere<unknown> => {
  const [indexes, kind, options] = payload as readonly unknown[]
  const shards = shardsAsked(entities.shards, indexes)
  expectKnown(entities, kind as string)
  const query = entityQuery(kind as string, options as ListOptions<never>)
  const found = cut(sentPage(keyedPageOf(entities, kind as string, query, shards)))
  return { shards: shards.map(({ index }) => index), found }
}

/** An entity as a message has it: without `undefined`, and its error as data. */
type SentEntry = readonly [
  rowKey: string,
  entry: {
    readonly id: string
    readonly state?: unknown
    readonly blocked?: Pick<KeelsonError, 'code' | 'message'>
    readonly endsAt?: number
  },
]

const sentPage = ({
  entries,
  exhausted,
  positions,
}: KeyedPage<KeyedEntry>): KeyedPage<SentEntry> => ({
  entries: entries.map(([rowKey, { id, state, blocked, endsAt }]) => [
    rowKey,
    {
      id,
      ...(state !== undefined && { state }),
      ...(blocked && { blocked: { code: blocked.code, message: blocked.message } }),
      ...(endsAt !== undefined && { endsAt }),
    },
  ]),
  exhausted,
  positions,
})

const receivedPage = (page: KeyedPage<SentEntry>): KeyedPage<KeyedEntry> => ({
  ...page,
  entries: page.entries.map(([rowKey, { blocked, ...entry }]) => {
    const error = blocked && new KeelsonError(blocked.code, blocked.message)
    return [rowKey, { state: undefined, ...entry, ...(error && { blocked: error }) }]
  }),
})

/** The entries for which a message has room; one at least. */
const cut = (page: KeyedPage<SentEntry>): KeyedPage<SentEntry> => {
  let bytes = 0
  const end = page.entries.findIndex(([rowKey, entry], at) => {
    bytes += rowKey.length + encodeValue(entry).bytes.length
    return at > 0 && bytes > pageBytesMax
  })
  return end < 0 ? page : { ...page, entries: page.entries.slice(0, end), exhausted: false }
}
