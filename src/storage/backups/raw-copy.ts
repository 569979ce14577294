/** Copies the first bytes of a file durably, in bounded memory. */
import { writeAll } from '../disk/disk-failure.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'

const pieceBytes = 1024 * 1024

/**
 * Copies up to `bytes` bytes of `from` to the new file `to`, lets `amend` change the copy, and syncs
 * it. Yields the bytes of each piece. The caller verifies the copy: a file that was cut off is
 * copied as it is. @throws DiskError
 */
export function* copyingBytes(
  disk: Disk,
  from: string,
  to: string,
  bytes: number,
  amend: (file: DiskFile) => void = () => undefined,
): Generator<number, void> {
  disk.remove(to)
  const source = disk.open(from, 'read')
  try {
    const target = disk.open(to, 'create')
    try {
      const piece = new Uint8Array(Math.min(pieceBytes, bytes))
      for (let at = 0; at < bytes; ) {
        const count = source.read(piece.subarray(0, Math.min(piece.length, bytes - at)), at)
        if (count === 0) break
        writeAll(target, piece.subarray(0, count), at, 'ENOSPC')
        at += count
        yield count
      }
      amend(target)
      target.sync()
    } finally {
      target.close()
    }
  } finally {
    source.close()
  }
}
