/**
 * How writes enter the log: each joins the group that fills. A new group is submitted to the log's
 * writer.
 */
import type { System } from '../../runtime/index.ts'
import type { Append, AppendGroup } from '../admission/appends.ts'
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

/** Begins a group, and hands it to the writer. */
const begun = (system: System, shard: Shard): AppendGroup => {
  const group = shard.appends.begin()
  const ended = new Promise<unknown>((resolve) => hand(system, shard, group, resolve))
  shard.appends.track(group, ended)
  return group
}

/**
 * Hands a group to the writer. A group that a writer had not taken when it died goes to the next
 * one, as soon as the shard is open again; its writes keep their order and their deadlines. `ended`
 * gets the failure of a group that failed.
 */
const hand = (
  system: System,
  shard: Shard,
  group: AppendGroup,
  ended: (failure: unknown) => void,
): void => {
  const again = (): void => hand(system, shard, group, ended)
  const lose = (failure: unknown): void => {
    group.lose(failure)
    ended(failure)
  }
  const { opened, phase } = shard
  if (phase.kind === 'recovering') shard.appends.park(group, again)
  else if (phase.kind !== 'open') lose(shard.unavailable())
  else
    WalWriter.append(writerOf(system, shard), group).then(
      () => ended(undefined),
      (failure: unknown) => {
        if (group.takenAt !== undefined) lose(failure)
        // The writer may be dead while the shard still counts as open: only a later opening helps.
        else if (shard.phase.kind === 'open' && shard.opened === opened)
          shard.appends.park(group, again)
        else again()
      },
    )
}

const writerOf = (system: System, { parts: { instance, index } }: Shard) =>
  system.to(WalWriter.name(instance, index))
