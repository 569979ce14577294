/** Files in pieces that are long in coming or going. */

import type { Disk, DiskFile } from './disk.ts'
import { refusing, writeAll } from './disk-failure.ts'

/** A file is read in pieces of so many bytes. */
const pieceBytes = 256 * 1024

/**
 * Bytes from one sync to the next. The process does nothing else during a sync, so no sync may
 * have much to do.
 */
const syncEvery = 32 * 1024 * 1024

/**
 * The bytes of a file from `from` on, up to `to` or its end, in pieces.
 * @throws KeelsonError as the disk refuses
 */
export function* piecesOf(
  disk: Disk,
  path: string,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): Generator<Uint8Array> {
  const file = refusing(() => disk.open(path, 'read'))
  try {
    for (let offset = from; offset < to; ) {
      const piece = new Uint8Array(Math.min(pieceBytes, to - offset))
      const count = refusing(() => file.read(piece, offset))
      if (count === 0) return
      yield piece.subarray(0, count)
      offset += count
    }
  } finally {
    file.close()
  }
}

/** Writes the pieces one after another from `from` on. The caller syncs the last of them. */
export const filled = async (
  file: DiskFile,
  pieces: AsyncIterable<Uint8Array>,
  from = 0,
): Promise<void> => {
  let [offset, unsynced] = [from, 0]
  for await (const piece of pieces) {
    refusing(() => writeAll(file, piece, offset, 'ENOSPC'))
    offset += piece.length
    unsynced += piece.length
    if (unsynced < syncEvery) continue
    refusing(() => file.sync())
    unsynced = 0
  }
}
