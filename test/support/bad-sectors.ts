/** A disk that cannot read some sectors, however often it is asked, as real ones are before they go. */
import {
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type OpenMode,
} from '../../src/storage/ports/disk.ts'
import type { SimulatedDisk } from '../../src/testing/simulated/simulated-disk.ts'

/** Bytes of one file. */
export type BadExtent = { readonly path: string; readonly from: number; readonly to: number }

/** What happens on it. `reads`: every read that reached `disk` or failed, as `path offset bytes`. */
export type BadDisk = Disk & { readonly reads: string[] }

/** `disk` with bad sectors. */
export const withBadSectors = (
  disk: SimulatedDisk,
  bad: readonly BadExtent[],
  code = 'EIO',
): BadDisk => {
  const reads: string[] = []
  const reading =
    (path: string, file: DiskFile): DiskFile['read'] =>
    (into, offset) => {
      reads.push(`${path} ${offset} ${into.length}`)
      const isBad = bad.some(
        (each) => each.path === path && each.from < offset + into.length && offset < each.to,
      )
      if (isBad) throw new DiskError(code, 'read', path)
      return file.read(into, offset)
    }
  return {
    reads,
    open: (path: string, mode: OpenMode): DiskFile => {
      const file = disk.open(path, mode)
      return { ...file, read: reading(path, file) }
    },
    identity: (path) => disk.identity(path),
    entry: (path) => disk.entry(path),
    list: (path) => disk.list(path),
    makeFolder: (path) => disk.makeFolder(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (path) => disk.syncFolder(path),
    isVolatile: () => disk.isVolatile(),
    lock: (path, holder) => disk.lock(path, holder),
  }
}

/** `disk` on which some paths are other than what they are: a folder, a link to nothing, a device. */
export const withKinds = (
  disk: SimulatedDisk,
  kinds: Readonly<Record<string, DiskEntry['kind'] | undefined>>,
): Disk => ({
  ...withBadSectors(disk, []),
  entry: (path) => {
    if (!(path in kinds)) return disk.entry(path)
    const kind = kinds[path]
    return kind && { kind, size: 0 }
  },
  open: (path, mode) => {
    if (path in kinds) throw new DiskError('ENXIO', 'open', path)
    return disk.open(path, mode)
  },
})
