/**
 * Writes of one file past the system's cache, as far as there is a way. Where there is none, or the file system, the disk
 * or the memory does not go with it, it says so once and leaves everything to whoever writes through the cache: the same bytes come
 * to the same places.
 */

/** A file that was opened to be written past the cache. It throws the system's own errors. */
export type DirectFile = {
  write(bytes: Uint8Array, offset: number): number
  close(): void
}

/** Of fewer bytes than these it is better that the cache gathers them. */
const directBytesMin = 64 * 1024

/** What file systems and disks ask of offsets and lengths, at most. */
const blockBytes = 4096

/** The writes of one file. */
export class DirectWriter {
  #file: DirectFile | undefined

  /** `open` throws, or answers `undefined`, where there is no way. */
  constructor(open: () => DirectFile | undefined) {
    try {
      this.#file = open()
    } catch {
      // The cache takes everything then.
    }
  }

  /** The count that the system took; `undefined`: nothing was written, it is the cache's. @throws as the file */
  write(bytes: Uint8Array, offset: number): number | undefined {
    const isWhole = bytes.length % blockBytes === 0 && offset % blockBytes === 0
    if (!isWhole || bytes.length < directBytesMin) return undefined
    try {
      return this.#file?.write(bytes, offset)
    } catch (error) {
      // Larger blocks than ours, or memory that begins elsewhere: it will not be otherwise next time.
      if (!(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error
      this.close()
      return undefined
    }
  }

  /** Nothing goes this way any more. */
  close(): void {
    this.#file?.close()
    this.#file = undefined
  }
}
