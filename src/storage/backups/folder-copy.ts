/**
 * Copies the content of a folder durably, in bounded memory: for files beside a salvaged log that
 * have checksums of their own. It only reads the source. If the disk cannot read a file, the part
 * before is copied, the file is reported, and the next file follows.
 */
import { join } from 'node:path'
import { isFileFailure, writeAll } from '../disk/disk-failure.ts'
import type { Disk, DiskEntry } from '../ports/disk.ts'

/**
 * A place that could not be copied: the bytes of a file from `offset` on, or all of it with
 * `offset` 0.
 */
export type UncopiedPlace = {
  readonly file: string
  readonly offset: number
  readonly evidence: string
}

const chunkBytes = 1024 * 1024

/**
 * Copies `from`, which may be missing, to `to`, whose parent must exist. Yields the bytes of each
 * piece and returns the places that it could not read. @throws DiskError if `to` cannot be written
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
  evidence: kind ? 'it is no plain file' : 'it is a link to what is not there',
})

/** The result of `look`, or the failure to read `file`. */
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
  const from = attempted(source, () => disk.open(source, 'read'))
  if ('evidence' in from) return [from]
  try {
    const to = disk.open(target, 'create')
    try {
      const chunk = new Uint8Array(chunkBytes)
      for (let at = 0; ; at += chunkBytes) {
        const count = attempted(source, () => from.read(chunk, at))
        if (typeof count !== 'number') {
          to.sync()
          return [{ ...count, offset: at }]
        }
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
  return []
}
