/** The messages of the log's writer to its follower, and its description. */
import type { From } from '../../runtime/index.ts'
import type { FrameUnits, LogDescription, OpenReport } from '../../storage/index.ts'
import type { AppendGroup } from '../admission/append.ts'

// The state of the log's writer, for `describe`.

/** The state of a writer and its log. `level`: the level of its acknowledgements. */
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

/**
 * A committed group. `from` is the call that it came with: its holder must answer every waiter of
 * the group.
 */
export type CommittedGroup = {
  readonly group: AppendGroup
  /** The units of each append. There may be more than LSNs: the log refused the last ones. */
  readonly units: readonly FrameUnits[]
  readonly from: From<void>
  readonly time: number
  /** The log was durable up to here when the group was committed. */
  readonly durableLsn: number
}

/** The process that takes committed groups: the applier. */
export type CommitFollower = { casts: { committed: (committed: CommittedGroup) => void } }

/** The position of the log at the subscription. Groups after `lastLsn` arrive as messages. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}
