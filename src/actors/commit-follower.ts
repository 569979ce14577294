/** What the log's writer tells whoever follows it, and what a caller is answered in the end. */
import type { From } from '../runtime/index.ts'
import type { UnitAnswer } from '../storage/index.ts'
import type { Ticket } from './ticket.ts'

/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** Where a frame stands, and what its units answered. */
export type Applied = { readonly position: Position; readonly answer: readonly UnitAnswer[] }

/** A group that has been committed, with those who wait for it. */
export type CommittedGroup = {
  readonly tickets: readonly Ticket[]
  readonly froms: readonly From<Applied>[]
  readonly lsns: readonly number[]
  readonly time: number
}

/** Who takes committed groups: the applier. */
export type CommitFollower = { casts: { committed: (group: CommittedGroup) => void } }

/** Where the log stands when somebody begins to follow it: groups behind `lastLsn` come as messages. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}
