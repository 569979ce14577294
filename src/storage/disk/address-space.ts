/**
 * The address space that this process may still take. Linux has it in `/proc`; on other systems a
 * limit is not known before it is met.
 */
import { closing, type Disk } from '../ports/disk.ts'

/**
 * Bytes that may still be mapped; `Infinity` without a limit, or where none is known. @throws
 * DiskError, `EMFILE` for example
 */
export const addressSpaceLeft = (disk: Pick<Disk, 'entry' | 'open'>): number => {
  const [limits, status] = ['/proc/self/limits', '/proc/self/status'].map((path) =>
    textAt(disk, path),
  )
  return limits === undefined || status === undefined
    ? Number.POSITIVE_INFINITY
    : spaceLeft(limits, status)
}

/** The same from the texts of `/proc/self/limits` and `/proc/self/status`. */
export const spaceLeft = (limits: string, status: string): number => {
  const limit = /^Max address space +(\d+)/m.exec(limits)?.[1]
  const usedKib = /^VmSize:\s+(\d+) kB/m.exec(status)?.[1]
  if (limit === undefined || usedKib === undefined) return Number.POSITIVE_INFINITY
  return Math.max(0, Number(limit) - Number(usedKib) * 1024)
}

/** These files are short, and report no size. */
const bytesMax = 16 * 1024

const textAt = (disk: Pick<Disk, 'entry' | 'open'>, path: string): string | undefined => {
  if (disk.entry(path)?.kind !== 'file') return undefined
  return closing(disk.open(path, 'read'), (file) => {
    const bytes = new Uint8Array(bytesMax)
    return new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)))
  })
}
