/** Disks on which some files cannot be read, or are something else. */
import { type Disk, type DiskEntry, DiskError } from '../../../src/storage/ports/disk.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

/** `disk` as a plain object, so that a test can replace single functions. */
export const plainDisk = (disk: SimulatedDisk): Disk => ({
  open: (path, mode) => disk.open(path, mode),
  openFolder: (path) => disk.openFolder(path),
  identity: (path) => disk.identity(path),
  entry: (path) => disk.entry(path),
  list: (path) => disk.list(path),
  makeFolder: (path) => disk.makeFolder(path),
  rename: (from, to) => disk.rename(from, to),
  remove: (path) => disk.remove(path),
  syncFolder: (path) => disk.syncFolder(path),
  isVolatile: () => disk.isVolatile(),
  free: () => disk.free(),
  lock: (path, holder) => disk.lock(path, holder),
})

/** `disk` that cannot read byte `at` of the file `path`. */
export const withBadByte = (disk: SimulatedDisk, path: string, at: number): Disk => ({
  ...plainDisk(disk),
  open: (opened, mode) => {
    const file = disk.open(opened, mode)
    if (opened !== path) return file
    return {
      ...file,
      read: (into, offset) => {
        if (offset <= at && at < offset + into.length) throw new DiskError('EIO', 'read', path)
        return file.read(into, offset)
      },
    }
  },
})

/** `disk` on which some paths are other than what they are: a folder, a link to nothing, a device. */
export const withKinds = (
  disk: SimulatedDisk,
  kinds: Readonly<Record<string, DiskEntry['kind'] | undefined>>,
): Disk => ({
  ...plainDisk(disk),
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
