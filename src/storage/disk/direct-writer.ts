/**
 * Writes of one file past the system's page cache (`O_DIRECT`). Many systems, file systems, disks
 * and buffers do not support that. After the first refusal every write goes through the cache, with
 * the same bytes at the same places. It is apart from `node-disk.ts` because it owns the aligned
 * memory that such writes need.
 */
import { keptError } from '../../errors.ts'

/** A file that is open past the cache. It throws the system's own errors. */
export type DirectFile = {
  write(bytes: Uint8Array, offset: number): number
  close(): void
}

/** Smaller writes go through the cache, which gathers them. */
const directBytesMin = 64 * 1024

/** Offsets and lengths must be multiples of a block. No file system asks for larger ones. */
const blockBytes = 4096

/** The writes of one file. */
export class DirectWriter {
  #file: DirectFile | undefined

  /** `open` throws, or returns `undefined`, if the system has no way past the cache. */
  constructor(open: () => DirectFile | undefined) {
    try {
      this.#file = open()
    } catch {
      // All writes go through the cache.
    }
  }

  /**
   * Returns the count that the system took; `undefined`: nothing was written, use the cache.
   * @throws as the file
   */
  write(bytes: Uint8Array, offset: number): number | undefined {
    const isWhole = bytes.length % blockBytes === 0 && offset % blockBytes === 0
    if (!isWhole || bytes.length < directBytesMin) return undefined
    try {
      return this.#file?.write(bytes, offset)
    } catch (error) {
      // The system wants larger blocks or other memory, and will want them next time too.
      if (keptError(error).code !== 'EINVAL') throw error
      this.close()
      return undefined
    }
  }

  /** Sends all later writes through the cache. */
  close(): void {
    this.#file?.close()
    this.#file = undefined
  }
}
