/**
 * Pages of entities over all shards, whichever members have them: each owner is asked once, for all
 * of its shards, and the pages are merged by the keys of their rows. It is apart from
 * `entity-listing.ts`, which looks at the shards of one member.
 */
import { encodeValue } from '../../storage/index.ts'
import { foundFor, overOwners } from '../core/at-owner.ts'
import { sentBytesMax } from '../core/shard-client.ts'
import { type KeyedPage, mergedPages } from '../store/store-page.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { type Entities, expectKnown } from './entities.ts'
import {
  type EntityPage,
  type KeyedEntry,
  keyedPageOf,
  receivedEntity,
  type SentEntity,
  sentEntity,
} from './entity-listing.ts'
import { entityQuery, type ListOptions, listOptions } from './entity-query.ts'

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
  const own = listOptions(options)
  const query = entityQuery(looked.kind, own)
  const given = Object.entries(own).filter(([, value]) => value !== undefined)
  const { entities, kind, shards } = looked
  const pages = await overOwners<ActorShard, KeyedPage<KeyedEntry>, KeyedPage<SentEntry>>(
    shards,
    (here) => keyedPageOf(entities, kind, query, here),
    'entities.page',
    [kind, Object.fromEntries(given)],
    receivedPage,
  )
  const page = mergedPages(pages, query)
  return { ...page, entries: page.entries.map(([, entry]) => entry) }
}

/** Answers another member. @throws KeelsonError as `foundFor` */
export const pageHere = (entities: Entities, payload: unknown) => {
  const [indexes, kind, options] = payload as readonly [unknown, string, ListOptions<never>]
  return foundFor(entities.shards, indexes, (shards) => {
    expectKnown(entities, kind)
    return cut(sentPage(keyedPageOf(entities, kind, entityQuery(kind, options), shards)))
  })
}

/** An entity of a page as a message has it. */
type SentEntry = readonly [rowKey: string, entry: SentEntity & { readonly endsAt?: number }]

const sentPage = ({
  entries,
  exhausted,
  positions,
  end,
}: KeyedPage<KeyedEntry>): KeyedPage<SentEntry> => ({
  ...(end !== undefined && { end }),
  entries: entries.map(([rowKey, { endsAt, ...entity }]) => [
    rowKey,
    { ...sentEntity(entity), ...(endsAt !== undefined && { endsAt }) },
  ]),
  exhausted,
  positions,
})

const receivedPage = (page: KeyedPage<SentEntry>): KeyedPage<KeyedEntry> => ({
  ...page,
  entries: page.entries.map(([rowKey, { endsAt, ...entity }]) => [
    rowKey,
    { ...receivedEntity(entity), ...(endsAt !== undefined && { endsAt }) },
  ]),
})

/** The entries for which a message has room; one at least. */
const cut = (page: KeyedPage<SentEntry>): KeyedPage<SentEntry> => {
  let bytes = 0
  const end = page.entries.findIndex(([rowKey, entry], at) => {
    bytes += rowKey.length + encodeValue(entry).bytes.length
    return at > 0 && bytes > pageBytesMax
  })
  if (end < 0) return page
  return { entries: page.entries.slice(0, end), exhausted: false, positions: page.positions }
}
