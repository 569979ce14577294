/**
 * What is in a shard's folders and nothing reads: unfinished files of work that was cut off, which
 * the next start removes too, and bytes that were set aside.
 */
import { join } from 'node:path'
import { listBlobs } from '../blobs/blob-folder.ts'
import type { ShardFolders } from '../disk/data-folder.ts'
import type { Disk } from '../ports/disk.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { isSpareName, quarantineName } from '../segments/log-folder.ts'
import { unnamedIn } from '../snapshots/snapshot-folder.ts'

/** The paths of leftovers, and of folders with bytes that were set aside. */
export type Leftovers = {
  readonly temporary: readonly string[]
  readonly quarantines: readonly string[]
}

/** The folder for what a repair sets aside. */
export const quarantineOf = ({ path }: ShardFolders): string => join(path, quarantineName)

/** Lists them. `named`: the snapshots that count. @throws DiskError */
export const leftoversIn = (
  disk: Disk,
  folders: ShardFolders,
  named: readonly NamedSnapshot[],
): Leftovers => {
  const { wal, lmdb, blobs, snapshots } = folders
  const namesIn = (dir: string): string[] =>
    disk.entry(dir)?.kind === 'folder' ? disk.list(dir) : []
  const of = (dir: string, names: readonly string[]): string[] =>
    names.map((name) => join(dir, name))
  const copies = namesIn(snapshots).filter((name) => name.endsWith('.snap.tmp'))
  const quarantines = [join(wal, quarantineName), quarantineOf(folders)]
  return {
    temporary: [
      ...of(wal, namesIn(wal).filter(isSpareName)),
      ...of(
        lmdb,
        namesIn(lmdb).filter((name) => name === 'trial.tmp'),
      ),
      ...of(snapshots, [...unnamedIn(disk, snapshots, named), ...copies]),
      ...of(blobs, listBlobs(disk, blobs).leftovers),
    ],
    quarantines: quarantines.filter((dir) => namesIn(dir).length > 0),
  }
}
