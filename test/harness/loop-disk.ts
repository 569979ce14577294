/**
 * A disk whose power can be cut: ext4 in a file on a loop device. The file system's own shutdown call, without a flush of its
 * journal, makes everything that was not synced vanish, as pulling the plug does; mounting it again replays the journal.
 * Needs root, Linux, loop devices, mkfs.ext4 and python3 (for one ioctl).
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. */
const cutPower = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))
`

/** sync_file_range over the pages that are named, waiting for them: they are on the disk, and no others. */
const keepPages = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
file = os.open(sys.argv[1], os.O_RDWR)
for page in sys.argv[2:]:
    done = libc.sync_file_range(file, ctypes.c_int64(int(page) * 4096), ctypes.c_int64(4096), 7)
    assert done == 0, ctypes.get_errno()
`

/** The cache forgets a file that is synced. */
const forgetPages = `
import os, sys
os.posix_fadvise(os.open(sys.argv[1], os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
`

/** A mounted disk. */
export type LoopDisk = {
  readonly dir: string
  /** Everything unsynced is gone, and every call from now on fails. */
  cutPower(): void
  /** Lets these pages of 4 KiB of a file reach the disk, and no others. */
  keepPages(path: string, pages: readonly number[]): void
  /** Takes a file that is synced out of the cache. */
  forgetPages(path: string): void
  /** The machine comes back. Nobody may have a file open. */
  restart(): void
  remove(): void
}

/** Makes and mounts one. */
export const loopDisk = (megabytes = 192): LoopDisk => {
  const home = mkdtempSync(join(tmpdir(), 'keelson-disk-'))
  const [image, dir] = [join(home, 'image'), join(home, 'mnt')]
  mkdirSync(dir)
  closeSync(openSync(image, 'w'))
  truncateSync(image, megabytes * 1024 * 1024)
  execFileSync('mkfs.ext4', ['-q', '-F', image], { stdio: 'pipe' })
  // By itself ext4 would write everything every 5 s, and a machine may be that slow.
  const options = 'loop,commit=3600'
  const mount = () => execFileSync('mount', ['-o', options, image, dir], { stdio: 'pipe' })
  const unmount = () => execFileSync('umount', [dir], { stdio: 'pipe' })
  const python = (program: string, args: readonly string[]) =>
    execFileSync('python3', ['-c', program, ...args], { stdio: 'pipe' })
  mount()
  return {
    dir,
    cutPower: () => void python(cutPower, [dir]),
    keepPages: (path, pages) => void python(keepPages, [path, ...pages.map(String)]),
    forgetPages: (path) => void python(forgetPages, [path]),
    restart() {
      unmount()
      mount()
    },
    remove() {
      spawnSync('umount', ['-l', dir])
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Why there can be no such disk here; `undefined` when there can. */
export const noLoopDisk = (): string | undefined => {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root'
  for (const tool of ['mkfs.ext4', 'python3', 'mount'])
    if (spawnSync('which', [tool]).status !== 0) return `needs ${tool}`
  try {
    const disk = loopDisk(16)
    try {
      disk.cutPower()
    } finally {
      disk.remove()
    }
    return undefined
  } catch (error) {
    return `no power to cut: ${String(error).split('\n')[0]}`
  }
}
