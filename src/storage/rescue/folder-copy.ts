/**
 * Copies what a folder holds, durably, in bounded memory: for what goes along with a salvaged log and has checksums of its
 * own. It only reads what it copies, and goes on where the disk cannot read: down to single sectors, which become bytes of
 * 0xff, and past what cannot be opened. Each such place is told.
 */
import { join } from 'node:path'
import type { Disk, DiskEntry } from '../ports/disk.ts'
import { writeAll } from '../segments/segment-file.ts'
import { foundAs } from '../segments/segment-list.ts'
import { isFileFailure, WornDisk } from './worn-disk.ts'

/** What could not be copied: bytes of a file from `offset` on, or, with `offset` 0, all of what is named. */
export type UncopiedPlace = {
  readonly file: string
  readonly offset: number
  readonly evidence: string
}

const chunkBytes = 1024 * 1024

/**
 * Copies `from`, which may be missing, to `to`, whose parent must be there; pauses with the bytes of each piece, and answers
 * what it could not read. @throws DiskError when `to` cannot be written
 */
export function* copyingFolder(
  disk: Disk,
  from: string,
  to: string,
): Generator<number, UncopiedPlace[]> {
  if (disk.entry(from)?.kind !== 'folder') return []
  disk.makeFolder(to)
  const names = attempted(from, () => disk.list(from))
  if (!Array.isArray(names)) return [names]
  const uncopied: UncopiedPlace[] = []
  for (const name of names) {
    const [source, target] = [join(from, name), join(to, name)]
    const found = attempted(source, () => ({ kind: disk.entry(source)?.kind }))
    if ('evidence' in found) uncopied.push(found)
    else if (found.kind === 'folder') uncopied.push(...(yield* copyingFolder(disk, source, target)))
    else if (found.kind === 'file') uncopied.push(...(yield* copyFile(disk, source, target)))
    else uncopied.push(strange(source, found.kind))
  }
  disk.syncFolder(to)
  return uncopied
}

const strange = (file: string, kind: DiskEntry['kind'] | undefined): UncopiedPlace => ({
  file,
  offset: 0,
  evidence: `a file is expected here, and it is ${foundAs(kind)}`,
})

/** What `look` answers, or that `file` cannot be read. */
const attempted = <T>(file: string, look: () => T): T | UncopiedPlace => {
  try {
    return look()
  } catch (error) {
    if (!isFileFailure(error)) throw error
    return { file, offset: 0, evidence: `the disk cannot read it (${error.code})` }
  }
}

function* copyFile(
  disk: Disk,
  source: string,
  target: string,
): Generator<number, readonly UncopiedPlace[]> {
  const worn = new WornDisk(disk)
  const from = attempted(source, () => worn.open(source))
  if ('evidence' in from) return [from]
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
  return worn.unreadable(source).map(({ offset, bytes }) => ({
    file: source,
    offset,
    evidence: `the disk cannot read ${bytes} bytes here`,
  }))
}
