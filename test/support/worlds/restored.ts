/** Restores a backup on a simulated machine, without the command. */
import {
  readBackup,
  restoringShard,
  shardFolder,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import type { Machine } from './simulated-instance.ts'

/** Restores the backup in `from` into `to`, each shard to its LSN or to that of `lsns`. */
export const restore = (
  { disk }: Pick<Machine, 'disk'>,
  from: string,
  to: string,
  lsns: readonly (number | undefined)[] = [],
): void => {
  const backup = readBackup(disk, from)
  if (!backup) throw new Error(`${from} has no backup`)
  const logs = backup.shards.map((copy, shard) => {
    const walId = `${shard}`.padStart(32, 'ab')
    const folders = { from: shardFolder(from, shard), to: shardFolder(to, shard) }
    const steps = restoringShard(disk, { ...folders, copy, lsn: lsns[shard] ?? copy.lsn, walId })
    while (!steps.next().done);
    return walId
  })
  const { instanceId, shards, created } = backup.facts
  const own = { instanceId: `${instanceId}'`, shards, created, logs }
  writeDataFolder(disk, to, { ...own, waits: true })
}
