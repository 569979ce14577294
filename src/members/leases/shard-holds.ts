/**
 * Which member has a shard, where each shard has an owner. Pure.
 *
 * 1. The entry `shard/N` names the member and the incarnation that hold the shard. A hold counts as
 *    long as the lease of that incarnation was not ended: a member that loses its lease loses all
 *    its shards, and one entry is renewed for all of them.
 * 2. An entry is changed by compare-and-set. A member takes a shard without a hold that counts, and
 *    gives one that it holds itself. So two members never hold one shard. It changes the entry even
 *    if it holds it: an earlier request to give it, which had no answer, has no effect afterwards.
 * 3. A member that was paused may take a shard after its lease was ended. Such a hold does not count.
 * 4. Each hold has a greater number than the one before. It is for people: the log has its own epochs.
 *
 * The entry `moves` is held in the same way, by the member that moves a shard.
 *
 * The entry `place/N` names the member that should have a shard. It is an operator's.
 */
import { type DirectoryView, entryIn } from '../../storage/index.ts'
import { leaseIn, memberNames, type SetStep, set } from './member-lease.ts'

/** One start of a member. */
export type Holder = { readonly member: string; readonly incarnation: string }

/** The content of an entry that is held. */
export type Hold = Holder & {
  /** How often it has been taken. */
  readonly epoch: number
  /** It was given. */
  readonly free?: true
}

/** The entry of a shard. */
export const shardHold = (shard: number): string => `shard/${shard}`

/** The entry of the member that moves a shard. */
export const movesHold = 'moves'

/** The entry that says where an operator wants a shard. */
export const placeEntry = (shard: number): string => `${placePrefix}${shard}`

const placePrefix = 'place/'

/** The content of the entry that `placeEntry` names. */
export type Place = { readonly member: string }

/** The members at which an operator wants shards. @throws KeelsonError `CORRUPT` for a damaged entry */
export const placesIn = (view: DirectoryView): ReadonlyMap<number, string> =>
  new Map(
    [...view.entries.keys()]
      .filter((name) => name.startsWith(placePrefix))
      .flatMap((name) => {
        const place = entryIn<Place>(view, name)
        return place ? [[Number(name.slice(placePrefix.length)), place.member] as const] : []
      }),
  )

/** Whether the lease of a member was not ended. */
const isLeased = (view: DirectoryView, { member, incarnation }: Holder): boolean => {
  const lease = leaseIn(view, member)
  return lease?.incarnation === incarnation && !lease.ended
}

/** The hold of an entry that counts. @throws KeelsonError `CORRUPT` for a damaged entry */
export const holdIn = (view: DirectoryView, name: string): Hold | undefined => {
  const hold = entryIn<Hold>(view, name)
  return hold && !hold.free && isLeased(view, hold) ? hold : undefined
}

/** The change with which a member takes what nobody else holds. */
export const taking = (
  view: DirectoryView,
  name: string,
  { member, incarnation }: Holder,
): SetStep | undefined => {
  const hold = holdIn(view, name)
  if (hold && hold.incarnation !== incarnation) return undefined
  if (!isLeased(view, { member, incarnation })) return undefined
  const epoch = (entryIn<Hold>(view, name)?.epoch ?? 0) + 1
  return set(view, name, { member, incarnation, epoch } satisfies Hold)
}

/** The change with which a member gives what it holds. */
export const giving = (
  view: DirectoryView,
  name: string,
  { incarnation }: Holder,
): SetStep | undefined => {
  const hold = holdIn(view, name)
  if (hold?.incarnation !== incarnation) return undefined
  return set(view, name, { ...hold, free: true } satisfies Hold)
}

/** A member with a lease. */
export type LeasedMember = Holder & {
  /** Where it listens for links. */
  readonly listen: string | undefined
  /** The features of logs that it reads, as bits. */
  readonly reads: number
  /** It takes no further shard. */
  readonly closes: boolean
}

/** The members whose leases were not ended. */
export const leasedIn = (view: DirectoryView): readonly LeasedMember[] =>
  memberNames(view).flatMap((member) => {
    const lease = leaseIn(view, member)
    if (!lease || lease.ended) return []
    const { incarnation, about, reads = 0, closes = false } = lease
    return [{ member, incarnation, listen: about?.listen, reads, closes }]
  })
