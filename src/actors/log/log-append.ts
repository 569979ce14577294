/** How appends get into the log's queue: into the group that fills, or a new one that is handed to the log's writer. */
import type { System } from '../../runtime/index.ts'
import type { Append, AppendGroup } from '../queue/append-group.ts'
import type { Shard } from '../shard/shard.ts'
import * as WalWriter from './wal-writer.ts'

/** Puts an append into the log's queue: it stands there, in the order of the calls, when this returns. */
export const appendToLog = (system: System, shard: Shard, append: Append): void => {
  const group = shard.appends.groupFor(append.length) ?? begun(system, shard)
  group.add(append)
}

/** A group on its way to the writer. Whoever holds its call when he ends leaves it to be told here. */
const begun = (system: System, shard: Shard): AppendGroup => {
  const group = shard.appends.begin()
  const writer = system.to(WalWriter.name(shard.parts.instance, shard.index))
  WalWriter.append(writer, group).catch((failure: unknown) => group.fail(failure))
  return group
}
