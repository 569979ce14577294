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
  /** How many the instance has. */
  readonly shards: number
  /** Another one for each start of the member. */
  readonly incarnation: string
  /** The shards that this member has. */
  readonly own: ReadonlySet<number>
  /** All members that may be placed at, the others whose processes live, and the places that are asked for. */
  members(): Pick<SeenMembers, 'members' | 'alive' | 'asked' | 'closing'>
  /** The links of this member are there: they hear of members that come and go. */
  linked(members: Members): void
  /** Whether no other member seems to have a shard that this one has not. Asks nobody. */
  seemsFree(shard: number): boolean
  /**
   * Takes a shard, unless another member has it. True: this member has it from now on, and had it not
   * before.
   */
  take(shard: number): boolean | Promise<boolean>
  /** Gives a shard to the member that takes it next. Its files are closed. */
  give(shard: number): void | Promise<void>
  /**
   * Takes the turn to move a shard; `undefined` while another member has it, or if it is not known
   * after `ms`. Two shards that leave at one time could wait for each other: for calls of their
   * handlers to actors of the other one.
   */
  turn(ms: number): MovingTurn | undefined | Promise<MovingTurn | undefined>
}
