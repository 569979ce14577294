/** Copies the first bytes of a file durably, in bounded memory. */
import { writeAll } from '../disk/disk-failure.ts'
import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'

const pieceBytes = 1024 * 1024

/**
 * Copies `bytes` bytes of `from` to the new file `to`, lets `amend` change the copy, and syncs it.
 * Yields the bytes of each piece.
 * @throws DiskError, also for a file that is shorter
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
        if (count === 0) throw new DiskError('EIO', 'read', from)
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
