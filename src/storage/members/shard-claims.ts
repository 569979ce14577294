/**
 * The shards that a member of a folder tries to take. The kernel's locks decide who owns them. Pure.
 */
import { placeShards } from './shard-placement.ts'

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
}

/**
 * The members that shards are placed at: who lives, and who may still come. A member that has ended
 * since is none, so that its shards are placed at others at once.
 */
export const candidates = ({ members, self, alive, met, mayCome }: SeenMembers): string[] =>
  members.filter((each) => each === self || alive.has(each) || (mayCome && !met.has(each)))

/** The shards that this member should own, in their order. */
export const shardsToClaim = (shards: number, seen: SeenMembers): number[] =>
  placeShards(shards, candidates(seen)).flatMap((member, shard) =>
    member === seen.self ? [shard] : [],
  )
