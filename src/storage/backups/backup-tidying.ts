/** What an earlier backup or an interrupted one left in the folder, and the present one has not. */
import { blobSegmentPath, listBlobs } from '../blobs/blob-folder.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { CopiedFolders, ShardCopy } from '../ports/shard-copier.ts'
import { parseSegmentName } from '../segments/log-folder.ts'
import { removeUnnamed } from '../snapshots/snapshot-folder.ts'

/**
 * Removes the files of a shard that its copy does not list, durably; foreign files stay. Only after
 * `backup.json` is durable.
 * @throws DiskError
 */
export const tidyShard = (disk: Disk, folders: CopiedFolders, copy: ShardCopy): void => {
  const { wal, snapshots, blobs } = folders
  const names = new Set(copy.segments.map(({ name }) => name))
  const isOver = (name: string): boolean =>
    !names.has(name) && parseSegmentName(name.replace(/\.tmp$/, '')) !== undefined
  for (const name of disk.list(wal)) if (isOver(name)) disk.remove(pathIn(wal, name))
  removeUnnamed(disk, snapshots, copy.snapshots)
  for (const name of disk.list(snapshots))
    if (name.endsWith('.snap.tmp')) disk.remove(pathIn(snapshots, name))
  for (const { segment } of listBlobs(disk, blobs).segments)
    if (!copy.blobs.segments.includes(segment)) disk.remove(blobSegmentPath(blobs, segment))
  for (const dir of [wal, snapshots, blobs]) disk.syncFolder(dir)
}
