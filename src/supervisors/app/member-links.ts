/**
 * The links of this member to the others, as an instance needs them: processes there by their names,
 * and who hears which shards are here. This is a port: `src/members` has the links. It is apart from
 * `app-context.ts`, which makes handles for users.
 */
import type { ChildSpec, Name, Ref } from '../../runtime/index.ts'

/** The messages that every process takes. */
export type AnyMessages = {
  calls: Record<string, (payload: unknown) => unknown>
  casts: Record<string, (payload: unknown) => void>
  infos: Record<string, (payload: unknown) => void>
}

/** The process that another member means by a name; `undefined` for one that it must not reach. */
export type Reach = (name: string) => Ref<AnyMessages> | undefined

/** A member of the instance: another one, or this one. */
export type Member = {
  readonly name: string
  /**
   * The ref of the process that has a name there, looked up there at each use. Payloads and answers
   * must be values that can be stored. A call rejects as one to a process here does, and with
   * `NO_PROCESS` (`details.reason`: `noconnection`) while the members are not connected: with
   * `waitForName` it waits for that within its time. `BUSY`: too much waits to be sent there.
   * `UNKNOWN_OUTCOME`: the connection ended before the answer came; a call with an `id` is repeated
   * instead. `NOT_SUBMITTED`: it ended before the call left, and there was no other one in time.
   * Monitors and links end with `noconnection` when the connection does.
   * @throws KeelsonError `INVALID_ARGUMENT` for a name that is not text of 1 to 1,024 characters
   */
  ref<M = unknown, S = unknown>(name: Name<M> | string): Ref<M, S>
}

/** The links of this member to the others. */
export interface MemberLinks {
  /**
   * A member by its name, whether it runs or not.
   * @throws KeelsonError `INVALID_ARGUMENT` for a text that is no name of a member
   */
  at(name: string): Member
  /** Says to the others whether this member has the shard. */
  own(shard: number, has: boolean): void
  /** Resolves when the others have heard it. It may stay pending if a link ends before that. */
  exchanged(): Promise<unknown>
  /** Resolves when the calls of the others are answered. */
  answered(): Promise<unknown>
  /** The tree of the links. */
  childSpec(): ChildSpec
}
