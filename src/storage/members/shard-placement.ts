/**
 * Which member of an instance should own which shard, so that all members agree without asking each
 * other: rendezvous hashing with a bound. Each shard has its order of the members, which depends on
 * nothing but their names. So a member that comes or goes changes little for the others.
 * It is apart from `shard-claims.ts`, because members of two versions have to agree on it. Pure.
 */
import { sha256Hex } from '../../bytes/sha256.ts'

/** No member is to own more than this many times its equal share. */
const unevenness = 1.25

/** The most shards that one of so many members is to own. */
export const roomOf = (shards: number, members: number): number =>
  Math.ceil((unevenness * shards) / members)

/**
 * The member that should own each shard, in the order of the shards. One shard after another takes
 * the member that it prefers among those with room. The order and repetition of names in `members`
 * change nothing. Without a member there is no placement: the list is empty.
 */
export const placeShards = (shards: number, members: readonly string[]): readonly string[] => {
  const owned = new Map(members.map((member) => [member, 0]))
  if (owned.size === 0) return []
  const room = roomOf(shards, owned.size)
  return Array.from({ length: shards }, (_, shard) => {
    const free = [...owned.keys()].filter((member) => (owned.get(member) ?? 0) < room)
    const [first] = free.map((member) => ({ member, rank: rankOf(shard, member) })).sort(byRank)
    const { member } = first as { readonly member: string }
    owned.set(member, (owned.get(member) ?? 0) + 1)
    return member
  })
}

/** Ranks of one shard are compared. They are equal only for one name. */
const rankOf = (shard: number, member: string): string =>
  sha256Hex(Buffer.from(`${shard}/${member}`))

const byRank = (one: { readonly rank: string }, other: { readonly rank: string }): number =>
  one.rank < other.rank ? -1 : 1
