/** The files in the folder of a shard's snapshots. */
import { type Disk, pathIn } from '../ports/disk.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'

/** The snapshot that is being made. */
export const temporaryName = 'snapshot.tmp'

/** The snapshot that is being fetched from an engine. */
export const fetchedName = 'fetched.tmp'

/** The file name of a snapshot: its LSN in hex. */
export const snapshotName = (lsn: number): string => `${lsn.toString(16).padStart(16, '0')}.snap`

const snapshotPattern = /^[0-9a-f]{16}\.snap$/

/**
 * The snapshots in `dir`, finished or not, that are none of `kept`. With nothing to keep, finished
 * ones stay: a lost MANIFEST names none, and they may be the only copy of released frames.
 * @throws DiskError
 */
export const unnamedIn = (disk: Disk, dir: string, kept: readonly NamedSnapshot[]): string[] => {
  const names = new Set(kept.map(({ lsn }) => snapshotName(lsn)))
  return (disk.entry(dir) ? disk.list(dir) : []).filter(
    (name) =>
      name === temporaryName ||
      name === fetchedName ||
      (names.size > 0 && snapshotPattern.test(name) && !names.has(name)),
  )
}

/** Removes every snapshot in `dir` but `kept`, durably. @throws DiskError */
export const removeUnnamed = (
  disk: Disk,
  dir: string,
  kept: readonly NamedSnapshot[],
): { readonly removed: number; readonly removedBytes: number } => {
  const gone = unnamedIn(disk, dir, kept)
  let removedBytes = 0
  for (const name of gone) {
    removedBytes += disk.entry(pathIn(dir, name))?.size ?? 0
    disk.remove(pathIn(dir, name))
  }
  if (gone.length > 0) disk.syncFolder(dir)
  return { removed: gone.length, removedBytes }
}
