/**
 * Copies what a folder holds, durably, in bounded memory: for what goes along with a salvaged log and has checksums of its
 * own. Only reads what it copies.
 */
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { writeAll } from './segment-file.ts'

const chunkBytes = 1024 * 1024

/** Copies `from`, which may be missing, to `to`, which must be; pauses with the bytes of each piece. @throws DiskError */
export function* copyingFolder(disk: Disk, from: string, to: string): Generator<number, void> {
  if (disk.entry(from)?.kind !== 'folder') return
  disk.makeFolder(to)
  for (const name of disk.list(from)) {
    const [source, target] = [join(from, name), join(to, name)]
    const kind = disk.entry(source)?.kind
    if (kind === 'folder') yield* copyingFolder(disk, source, target)
    else if (kind === 'file') yield* copyFile(disk, source, target)
  }
  disk.syncFolder(to)
}

function* copyFile(disk: Disk, source: string, target: string): Generator<number, void> {
  const from = disk.open(source, 'read')
  try {
    const to = disk.open(target, 'create')
    try {
      const chunk = new Uint8Array(chunkBytes)
      for (let at = 0; ; at += chunkBytes) {
        const count = from.read(chunk, at)
        if (count > 0) writeAll(to, chunk.subarray(0, count), at, 'ENOSPC')
        yield count
        if (count < chunkBytes) break
      }
      to.sync()
    } finally {
      to.close()
    }
  } finally {
    from.close()
  }
}
