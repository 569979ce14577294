/**
 * The rows of a projection over all shards, whichever members have them: each owner is asked once, for
 * all of its shards, and answers with the parts that these have. It is apart from
 * `projection-view.ts`, because other members are answered here too.
 */
import { invalidArgument } from '../../errors.ts'
import {
  checkProjectedKey,
  decodeValue,
  encodeValue,
  type StoredValue,
} from '../../storage/index.ts'
import { foundFor, overOwners } from '../core/at-owner.ts'
import { type ShardClient, sentBytesMax } from '../core/shard-client.ts'
import { type RangeOptions, rangeOptions, rangeQuery } from '../store/range-query.ts'
import { type KeyedPage, mergedPages } from '../store/store-page.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  joinedParts,
  type KeyedPart,
  type ProjectionStatus,
  partIn,
  partsPageIn,
  projectionStatus,
  shownValue,
  type ValuePart,
} from './projection-rows.ts'

type Shards = readonly WritingShard[]

/** A projection whose shards may be at several members. */
export type ReadProjection = { readonly name: string; readonly shards: Shards }

/** The bytes of the values of a page. */
const pageBytesMax = sentBytesMax / 2

/** @throws KeelsonError `INVALID_ARGUMENT` for a name that the configuration does not have */
export const checkProjection = (shards: Shards, name: unknown): string => {
  const known = shards[0]?.parts.settings.projections.map((each) => each.name) ?? []
  if (known.includes(name as string)) return name as string
  throw invalidArgument('name', `a projection: ${known.join(', ') || 'none is declared'}`, name)
}

/** The value of a key; `undefined` without a row. @throws as `partIn`, `overOwners` */
export const valueOverAll = async (read: ReadProjection, key: string): Promise<unknown> => {
  const found = await asked<ValuePart | undefined, SentPart | undefined>(read, 'load', key, {
    here: (shards) => partIn(shards, read.name, key),
    received: (part) => part && receivedPart(part),
  })
  const parts = found.filter((part) => part !== undefined)
  return parts.length === 0 ? undefined : shownValue(parts.reduce(joinedParts))
}

/** One page over all shards. @throws as `rangeQuery`, `partsPageIn`, `overOwners` */
export const pageOverAll = async (
  read: ReadProjection,
  options: RangeOptions,
): Promise<ReturnType<typeof mergedPages<KeyedPart>>> => {
  const own = rangeOptions(options)
  const query = rangeQuery(own, checkProjectedKey)
  const pages = await asked<KeyedPage<KeyedPart>, SentPage>(read, 'page', own, {
    here: (shards) => partsPageIn(shards, read.name, query),
    received: ({ entries, ...page }) => ({
      ...page,
      entries: entries.map(([key, part]) => [key, receivedPart(part)]),
    }),
  })
  return mergedPages(pages, query, joinedEntries)
}

/** A message leaves these out while they are undefined. */
const leftOut = { building: undefined, error: undefined, missed: undefined }

/** The state in each shard that is open. @throws as `overOwners` */
export const statusOverAll = async (read: ReadProjection): Promise<readonly ProjectionStatus[]> => {
  const found = await asked<readonly ProjectionStatus[], readonly ProjectionStatus[]>(
    read,
    'status',
    undefined,
    {
      here: (shards) => projectionStatus(shards, read.name),
      received: (all) => all.map((each) => ({ ...leftOut, ...each })),
    },
  )
  return found.flat().sort((one, other) => one.shard - other.shard)
}

/** Reads here, and asks each other owner for what its shards have. */
const asked = <T, Sent>(
  { name, shards }: ReadProjection,
  question: string,
  given: unknown,
  { here, received }: { here: (shards: Shards) => T; received: (sent: Sent) => T },
): Promise<readonly T[]> => {
  const all = [name, ...(given === undefined ? [] : [given])]
  return overOwners(shards, here, `projection.${question}`, all, received)
}

/** Entries in order, those of one key as one. */
const joinedEntries = (entries: readonly KeyedPart[]): readonly KeyedPart[] => {
  const joined: KeyedPart[] = []
  for (const [key, part] of entries) {
    const last = joined.at(-1)
    if (last?.[0] === key) joined[joined.length - 1] = [key, joinedParts(last[1], part)]
    else joined.push([key, part])
  }
  return joined
}

/** A part as a message has it: without `undefined`, and its value as it is stored. */
type SentPart = Pick<ValuePart, 'shard'> & {
  readonly first?: StoredValue
  readonly sum?: number
}

type SentPage = KeyedPage<readonly [key: string, part: SentPart]>

const sentPart = ({ shard, first, sum }: ValuePart): SentPart => ({
  shard,
  ...(first !== undefined && { first: encodeValue(first) }),
  ...(sum !== undefined && { sum }),
})

const receivedPart = ({ shard, first, sum }: SentPart): ValuePart => ({
  shard,
  sum,
  first: first && decodeValue(first),
})

/** As many entries as a message has room for; one at least. */
const sentPage = ({ entries, exhausted, positions }: KeyedPage<KeyedPart>): SentPage => {
  const sent: (readonly [key: string, part: SentPart])[] = []
  let bytes = 0
  for (const [key, part] of entries) {
    const entry = [key, sentPart(part)] as const
    bytes += key.length + (entry[1].first?.bytes.length ?? 0)
    if (sent.length > 0 && bytes > pageBytesMax)
      return { entries: sent, exhausted: false, positions }
    sent.push(entry)
  }
  return { entries: sent, exhausted, positions }
}

/** Answers the other members from now on with what the shards here have. */
export const answerProjections = (way: ShardClient, all: Shards): void => {
  const answer = (
    question: string,
    found: (shards: Shards, name: string, given: unknown) => unknown,
  ): void =>
    way.answer(`projection.${question}`, (payload) => {
      const [indexes, asked, given] = payload as readonly unknown[]
      const name = checkProjection(all, asked)
      return foundFor(all, indexes, (shards) => found(shards, name, given))
    })
  answer('load', (shards, name, key) => {
    const part = partIn(shards, name, key as string)
    return part && sentPart(part)
  })
  answer('page', (shards, name, options) =>
    sentPage(partsPageIn(shards, name, rangeQuery(options as RangeOptions, checkProjectedKey))),
  )
  answer('status', projectionStatus)
}
