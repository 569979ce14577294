/**
 * How writes enter the log: each joins the group that fills. A new group is submitted to the log's
 * writer.
 */
import type { System } from '../../runtime/index.ts'
import type { Append, AppendGroup } from '../admission/append.ts'
import type { Shard } from '../shard/shard.ts'
import * as WalWriter from './wal-writer.ts'

/** Puts an append into the log's queue before it returns, in the order of the calls. */
export const appendToLog = (system: System, shard: Shard, append: Append): void => {
  const joined = shard.appends.groupFor(append)
  const group = joined ?? begun(system, shard)
  if (!group.add(append)) return
  if (append.departsAt > 0) shard.appends.departs(group, append)
  // A new group is on its way to the writer already, which sees that it is due.
  if (group.isDue && joined) WalWriter.leave(writerOf(system, shard))
}

/**
 * Ends the wait of a group, by default of the one that fills: it leaves as soon as the disk is
 * free.
 */
export const leaveNow = (system: System, shard: Shard, group = shard.appends.last): void => {
  if (!group || group.isDue) return
  group.leave()
  WalWriter.leave(writerOf(system, shard))
}

/**
 * Lets the group that fills leave. Resolves when the waiters of every group so far were answered.
 */
export const flushed = (system: System, shard: Shard): Promise<void> => {
  leaveNow(system, shard)
  return shard.appends.ended()
}

/**
 * Submits a new group to the writer. If the process that holds its call dies, its waiters are
 * failed here.
 */
const begun = (system: System, shard: Shard): AppendGroup => {
  const group = shard.appends.begin()
  const ended = WalWriter.append(writerOf(system, shard), group).catch((failure: unknown) => {
    group.lose(failure)
    return failure
  })
  shard.appends.track(group, ended)
  return group
}

const writerOf = (system: System, { parts: { instance, index } }: Shard) =>
  system.to(WalWriter.name(instance, index))
