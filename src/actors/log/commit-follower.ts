/** What the log's writer tells whoever follows it, and what a caller is answered in the end. */
import type { From } from '../../runtime/index.ts'
import type { FrameUnits, LogDescription, OpenReport } from '../../storage/index.ts'
import type { AppendGroup } from '../admission/append.ts'

// The log's writer as people look at it.

/** How a writer and its log stand. `level`: what an acknowledgement of it means. */
export type LogWriterDescription = {
  readonly mode: 'recovering' | 'open'
  readonly queued: number
  readonly inFlight: number
  readonly durableLsn: number
  readonly lastLsn: number
  readonly level: 'durable' | 'written'
  readonly report: OpenReport | undefined
  readonly log: LogDescription | undefined
}

export type { Position } from '../admission/append.ts'

/** A group that has been committed. `from` is the call that it came with: who has it owes those who wait for the group their answers. */
export type CommittedGroup = {
  readonly group: AppendGroup
  /** The units of each append. There may be more than LSNs: the log refused the last ones. */
  readonly units: readonly FrameUnits[]
  readonly from: From<void>
  readonly time: number
  /** Up to here the log was durable by then. */
  readonly durableLsn: number
}

/** Who takes committed groups: the applier. */
export type CommitFollower = { casts: { committed: (committed: CommittedGroup) => void } }

/** Where the log stands when somebody begins to follow it: groups behind `lastLsn` come as messages. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}
