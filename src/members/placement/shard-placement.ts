/**
 * Which member of an instance should own which shard, so that all members agree without asking each
 * other: rendezvous hashing with a bound. Each shard has its order of the members, which depends on
 * nothing but their names. So a member that comes or goes changes little for the others.
 * Members of two versions have to agree on it. On a folder a member tries to take what should be its
 * own, and the kernel's locks decide who owns a shard. Pure.
 */
import { plainJson } from '../../bytes/json.ts'
import { sha256Hex } from '../../bytes/sha256.ts'

/** No member is to own more than this many times its equal share. */
const unevenness = 1.25

/** The most shards that one member should own, if there are so many shards and members. */
export const roomOf = (shards: number, members: number): number =>
  Math.ceil((unevenness * shards) / members)

/** The member at which an operator wants a shard. */
export type AskedPlaces = ReadonlyMap<number, string>

/**
 * The member that should own each shard, in the order of the shards. A shard that is asked for is at
 * that member, if it is there. One after another of the rest takes the member that it prefers among
 * those with room. The order and repetition of names in `members` change nothing. Without a member
 * there is no placement: the list is empty.
 */
export const placeShards = (
  shards: number,
  members: readonly string[],
  asked?: AskedPlaces,
): readonly string[] => {
  const owned = new Map(members.map((member) => [member, 0]))
  if (owned.size === 0) return []
  const room = roomOf(shards, owned.size)
  const places = new Map(
    [...(asked ?? [])].filter(([shard, at]) => shard < shards && owned.has(at)),
  )
  for (const member of places.values()) owned.set(member, (owned.get(member) ?? 0) + 1)
  return Array.from({ length: shards }, (_, shard) => {
    const place = places.get(shard)
    if (place !== undefined) return place
    const free = [...owned.keys()].filter((member) => (owned.get(member) ?? 0) < room)
    const [first] = free.map((member) => ({ member, rank: rankOf(shard, member) })).sort(byRank)
    const { member } = first as { readonly member: string }
    owned.set(member, (owned.get(member) ?? 0) + 1)
    return member
  })
}

/**
 * `placeShards` for a caller that asks repeatedly: the result is computed again only after members
 * have come or gone, or an operator has asked for another place.
 */
export const rememberedPlacement = (): typeof placeShards =>
  remembered(placeShards, (shards, members, asked = new Map()) => [shards, members, [...asked]])

/** `shardsToCopy` in the same way. It takes a sum for each shard, and each two of the members. */
export const rememberedCopies = (): typeof shardsToCopy =>
  remembered(shardsToCopy, (shards, seen, copies) => [
    shards,
    seen.self,
    candidates(seen),
    [...(seen.asked ?? [])],
    copies,
  ])

/** A pure function that keeps its last result, for as long as `keyOf` is the same. */
const remembered = <A extends readonly unknown[], R>(
  work: (...given: A) => R,
  keyOf: (...given: A) => unknown,
): ((...given: A) => R) => {
  let last: { readonly of: string; readonly found: R } | undefined
  return (...given) => {
    const of = plainJson(keyOf(...given))
    if (last?.of !== of) last = { of, found: work(...given) }
    return last.found
  }
}

/** Ranks of one shard are compared. They are equal only for one name. */
const rankOf = (shard: number, member: string): string =>
  sha256Hex(Buffer.from(`${shard}/${member}`))

const byRank = (one: { readonly rank: string }, other: { readonly rank: string }): number =>
  one.rank < other.rank ? -1 : 1

/** The other members, as one of them sees them. */
export type SeenMembers = {
  /** All members that are configured, also this one. */
  readonly members: readonly string[]
  readonly self: string
  /** Whose process lives now. */
  readonly alive: ReadonlySet<string>
  /** The members that have lived since this member looks. */
  readonly met: ReadonlySet<string>
  /** Whether a member that has not been met may still be on its way: all begin at about one time. */
  readonly mayCome: boolean
  /** None on a folder. */
  readonly asked?: AskedPlaces
  /** The members that close: they take nothing. None on a folder. */
  readonly closing?: ReadonlySet<string>
}

/**
 * The members that shards are placed at: who lives, and who may still come. A member that has ended
 * since is none, so that its shards are placed at others at once.
 */
export const candidates = ({ members, self, alive, met, mayCome }: SeenMembers): string[] =>
  members.filter((each) => each === self || alive.has(each) || (mayCome && !met.has(each)))

/**
 * The shards that this member should take if they are free, in their order. Members that close get
 * none: such a shard would wait until the member has closed.
 */
export const shardsToClaim = (shards: number, seen: SeenMembers, place = placeShards): number[] => {
  const takers = candidates(seen).filter((member) => !seen.closing?.has(member))
  return place(shards, takers, seen.asked).flatMap((member, shard) =>
    member === seen.self ? [shard] : [],
  )
}

/**
 * The shards that this member should have in its cache: its own ones, and with each further copy
 * the shards that would come to it if the owner of the copy before were gone.
 */
export const shardsToCopy = (
  shards: number,
  seen: SeenMembers,
  copies: number,
): readonly number[] => {
  const placed = new Map<string, readonly string[]>()
  const ownerOf = (shard: number, members: readonly string[]): string | undefined => {
    const of = plainJson(members)
    const places = placed.get(of) ?? placeShards(shards, members, seen.asked)
    placed.set(of, places)
    return places[shard]
  }
  const all = candidates(seen)
  const isHere = (shard: number): boolean => {
    let members = all
    for (let copy = 1; copy <= copies; copy++) {
      const owner = ownerOf(shard, members)
      if (owner === seen.self) return true
      members = members.filter((member) => member !== owner)
    }
    return false
  }
  return Array.from({ length: shards }, (_, shard) => shard).filter(isHere)
}

/** The shards among `own` that another member should own, each with that member. */
export const misplaced = (
  shards: number,
  own: ReadonlySet<number>,
  seen: SeenMembers,
  place = placeShards,
): readonly { readonly shard: number; readonly member: string }[] =>
  place(shards, candidates(seen), seen.asked).flatMap((member, shard) =>
    own.has(shard) && member !== seen.self ? [{ shard, member }] : [],
  )
