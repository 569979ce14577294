/**
 * The port to where the members of an instance see each other, and where it is written which one has
 * a shard. A member tries to open the shards that it has by the directory; the log of a shard, or its
 * lock, decides who writes.
 */
import type { Members } from '../links/members.ts'
import type { SeenMembers } from '../placement/shard-placement.ts'

/** The right to move a shard. Members move one after another. */
export type MovingTurn = { release(): void | Promise<void> }

/** The directory of the members, as one of them uses it. */
export interface MemberDirectory {
  /** The number of shards of the instance. */
  readonly shards: number
  /** Identifies this start of the member: each start has a new value. */
  readonly incarnation: string
  /** The shards that this member has. */
  readonly own: ReadonlySet<number>
  /** All members that may be placed at, the others whose processes live, and the places that are asked for. */
  members(): Pick<SeenMembers, 'members' | 'alive' | 'asked' | 'closing'>
  /** The links of this member are there: they hear of members that come and go. */
  linked(members: Members): void
  /**
   * Whether a shard that this member does not have seems to be at no other member. Reads only what
   * is known here: no request is sent.
   */
  seemsFree(shard: number): boolean
  /**
   * Takes a shard, unless another member has it. True: this member did not have the shard before,
   * and has it from now on.
   */
  take(shard: number): boolean | Promise<boolean>
  /** Gives a shard to the member that takes it next. Its files are closed. */
  give(shard: number): void | Promise<void>
  /**
   * Takes the turn to move a shard. `undefined`: another member has the turn, or its holder is not
   * known after `ms`. Only one shard moves at a time. Otherwise shards a and b leave together, a
   * handler of a calls an actor of b, a handler of b calls an actor of a, and the shards wait for
   * each other.
   */
  turn(ms: number): MovingTurn | undefined | Promise<MovingTurn | undefined>
}
