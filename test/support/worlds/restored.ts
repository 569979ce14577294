/** Restores backups and replicas on a simulated machine, without the command. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { restore as restoreFrom } from '../../../src/adapters/postgres/postgres.ts'
import {
  type Replica,
  readBackup,
  shardFolder,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import { closing } from '../../../src/storage/ports/disk.ts'
import { writeAll } from '../../../src/storage/ports/disk-failure.ts'
import { restoringShard } from '../../../src/tools/index.ts'
import { tempFolder } from '../temp-folder.ts'
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

/** Restores what a replica has into the folder `to`: on the disk of this machine, and from there on the simulated one. */
export const restoreReplica = async (
  { disk }: Pick<Machine, 'disk'>,
  client: Replica,
  to: string,
): Promise<void> => {
  const dir = join(tempFolder(), 'restored')
  await restoreFrom({ client, dir })
  const copy = (from: string, into: string): void => {
    disk.makeFolder(into)
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      const [source, target] = [join(from, entry.name), `${into}/${entry.name}`]
      if (entry.isDirectory()) copy(source, target)
      else
        closing(disk.open(target, 'create'), (file) => {
          writeAll(file, readFileSync(source), 0)
          file.sync()
        })
    }
    disk.syncFolder(into)
  }
  copy(dir, to)
}
