/** A file system of a given size, mounted for one test: needs root and Linux. */
import { execFileSync } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { tempFolder } from '../temp-folder.ts'

/** Why `smallDisk` cannot be used here; `undefined` when it can. */
export const noSmallDisk = ((): string | undefined => {
  if (process.platform !== 'linux') return 'tmpfs is mounted on Linux only'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  const dir = '/proc/self/status'
  const capable = execFileSync('grep', ['CapEff', dir], { encoding: 'utf8' })
  const bits = BigInt(`0x${capable.trim().split(/\s+/)[1]}`)
  return (bits >> 21n) & 1n ? undefined : 'mounting needs CAP_SYS_ADMIN'
})()

/** Mounts a tmpfs of `size` (as `mount` takes it) in a temporary folder, and answers its path. */
export const smallDisk = (size: string): string => {
  const dir = tempFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'keelson-test', dir])
  onTestFinished(() => void execFileSync('umount', ['-l', dir]))
  return dir
}

/** Changes the size, or with `ro` makes it read-only. */
export const remount = (dir: string, options: string): void => {
  execFileSync('mount', ['-o', `remount,${options}`, dir])
}
