/** Where the log of a shard ends, and what a copy of the shard lacks of it. */
import type { EngineLog } from '../../storage/index.ts'
import type { EngineCalls } from './engine-calls.ts'
import { readGroupAt } from './group-reading.ts'

/** The end of a log, or the place in it up to which a copy was applied. */
export type LogEnd = {
  readonly logId: string
  /** The name of the last group. */
  readonly id: string
  readonly lsn: number
  /** The frames up to here were trimmed. */
  readonly trimmedLsn: number
  /** The bytes of all groups before the last one. */
  readonly bytes: number
}

/**
 * The end of the log. `undefined` if it still is at `known`, or nobody has owned the log yet.
 * @throws KeelsonError as `EngineCalls.ask`, and `readGroups`
 */
export const movedEnd = async (
  log: EngineLog,
  calls: EngineCalls,
  known: LogEnd | undefined,
): Promise<LogEnd | undefined> => {
  const { logId, end, trimmed } = await calls.ask(() => log.head())
  const isStill = known ? known.logId === logId && known.id === end.id : end.lsn === 0
  if (isStill) return undefined
  const isEmpty = end.lsn === trimmed.lsn
  const last = isEmpty ? undefined : await readGroupAt({ log, calls, logId }, end.lsn)
  const bytes = last?.content.bytesBefore ?? 0
  return { logId, id: end.id, lsn: end.lsn, trimmedLsn: trimmed.lsn, bytes }
}

/**
 * A copy may lack so much of its log, in bytes: its member reads that when it becomes the owner. A
 * round for less would cost more than it saves: it opens the shard.
 */
const lackMax = 1024 * 1024

/**
 * Whether a copy should be brought up to the end of its log. A log that has become shorter may have
 * lost what the copy has: following it finds that (invariant M7).
 */
export const isOutdated = (copy: LogEnd | undefined, end: LogEnd): boolean => {
  if (copy?.logId !== end.logId || end.lsn < copy.lsn) return true
  return end.trimmedLsn > copy.lsn || end.bytes - copy.bytes > lackMax
}
