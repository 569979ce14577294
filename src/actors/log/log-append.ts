/**
 * How writes enter the log: each joins the group that fills, and the log's writer is notified when
 * it may leave. Groups wait in the `Shard` value, so they need no writer to wait.
 */
import type { System } from '../../runtime/index.ts'
import type { Append } from './appends.ts'
import type { LogShard } from './log-shard.ts'
import * as WalWriter from './wal-writer.ts'

/** Puts an append into the log's queue before it returns, in the order of the calls. */
export const appendToLog = (system: System, shard: LogShard, append: Append): void => {
  const { appends } = shard
  if (shard.isStill) {
    append.failed('refused', shard.unavailable(), undefined)
    return
  }
  const joined = appends.groupFor(append)
  const group = joined ?? appends.begin()
  if (!group.add(append)) return
  if (append.departsAt > 0) appends.departs(group, append)
  // A new group lets the one before it leave.
  if (group.isDue || !joined) WalWriter.leave(writerOf(system, shard))
}

/**
 * Ends the wait of a group, by default of the one that fills: it leaves as soon as the disk is
 * free.
 */
export const leaveNow = (system: System, shard: LogShard, group = shard.appends.last): void => {
  if (!group || group.isDue) return
  group.leave()
  WalWriter.leave(writerOf(system, shard))
}

/**
 * Lets the group that fills leave. Resolves when the waiters of every group so far were answered.
 */
export const flushed = (system: System, shard: LogShard): Promise<void> => {
  leaveNow(system, shard)
  return shard.appends.ended()
}

/** Makes the log durable. A sync that fails takes the shard down before it rejects. */
export const syncLog = async (system: System, shard: LogShard): Promise<void> => {
  await WalWriter.heard(writerOf(system, shard), shard.files.log().run('sync', null))
}

const writerOf = (system: System, { parts: { instance, index } }: LogShard) =>
  system.to(WalWriter.name(instance, index))
