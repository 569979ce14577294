/** When a shard makes a snapshot. Pure. */
import type { SnapshotReason } from '../core/storage-events.ts'

/** From how much log on a snapshot is made: `minLogBytes`, or `ratio` times the last one's size. */
export type SnapshotRules = { readonly minLogBytes: number; readonly ratio: number }

/**
 * The log that calls for a snapshot. So at most as much again is written for snapshots as for the
 * log, whatever the size of the shard.
 */
export const dueBytes = ({ minLogBytes, ratio }: SnapshotRules, lastBytes: number): number =>
  Math.max(minLogBytes, Math.ceil(ratio * lastBytes))

/** The facts for the decision. Times in ms of one monotonic clock, sizes in bytes. */
export type SnapshotSituation = {
  readonly isAsked: boolean
  readonly isDamaged: boolean
  readonly isShort: boolean
  readonly logBytes: number
  readonly dueBytes: number
  /** How much log a snapshot must give back to help a full disk. */
  readonly helpfulBytes: number
  /** After a failure, nothing is tried again before this moment unless it is asked for. */
  readonly retryAt: number
  readonly now: number
}

/** Why a snapshot is to be made now; `undefined` if none is. */
export const reasonNow = (situation: SnapshotSituation): SnapshotReason | undefined => {
  const { isAsked, isDamaged, isShort, logBytes, retryAt, now } = situation
  if (isAsked) return 'asked'
  if (now < retryAt) return undefined
  if (isDamaged) return 'damaged'
  if (logBytes >= situation.dueBytes) return 'log'
  return isShort && logBytes >= situation.helpfulBytes ? 'disk' : undefined
}

/** The pauses after failed attempts: from 1 s, doubled up to 10 minutes. */
export const snapshotPauses = { baseMs: 1_000, maxMs: 600_000 }
