/** The data folder of a running instance: the parts that fill it, and the holders of its log. */
import { dirname } from 'node:path'
import { TimeSlice } from '../../runtime/index.ts'
import { filesBelow, folderUse } from '../../storage/index.ts'
import type { App, Health } from '../../supervisors/index.ts'
import type { DiskUse, LogHolder } from '../text/disk-text.ts'
import { spaceOf } from './troubles.ts'

/** The use of the folder of an instance that runs. */
export type LiveDiskUse = Required<DiskUse>

/** The folder of this member; its health says what all members need, and what holds their logs. */
export const diskUse = async (
  { shards, system }: Pick<App, 'shards' | 'system'>,
  health: Pick<Health, 'shards' | 'replication'>,
): Promise<LiveDiskUse | undefined> => {
  const [first] = shards
  if (!first) return undefined
  const { disk, folders } = first.parts
  const dir = dirname(dirname(folders.wal))
  // A folder may have very many files: others have a turn between them.
  const slice = new TimeSlice(system.clock)
  const files = []
  for (const file of filesBelow(disk, dir)) {
    files.push(file)
    await slice.spent()
  }
  const { free, needed } = spaceOf(health.shards)
  return {
    ...folderUse(files),
    dir,
    freeBytes: Number.isFinite(free) ? free : undefined,
    neededBytes: needed,
    holders: logHolders(health),
  }
}

/** The log that waits for a snapshot, and the replaced log that a reader or a replica needs. Pure. */
export const logHolders = ({
  shards,
  replication,
}: Pick<Health, 'shards' | 'replication'>): readonly LogHolder[] => {
  const own = shards.flatMap(({ shard, snapshot, journal: { held } }) => [
    { shard, by: 'the next snapshot', bytes: snapshot.logBytes },
    { shard, by: held.by.join(', '), bytes: held.bytes },
  ])
  const replicas = replication.flatMap(({ replica, required, shards: each }) =>
    required
      ? each.map(({ shard, lag }) => ({ shard, by: `replica ${replica}`, bytes: lag.bytes }))
      : [],
  )
  return [...own, ...replicas]
    .filter(({ bytes }) => bytes > 0)
    .sort((one, other) => other.bytes - one.bytes)
}
