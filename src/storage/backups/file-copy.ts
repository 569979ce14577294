/**
 * Copies files as they are, durably and in bounded memory: the first bytes of one, the parts of a
 * chain of commitments, a whole folder.
 */
import { join } from 'node:path'
import { ChainFiles, chainParts, commitmentsFolder } from '../commitments/chain-files.ts'
import { corruption } from '../frames/log-errors.ts'
import {
  closing,
  type Disk,
  type DiskEntry,
  type DiskFile,
  pathIn,
  readWhole,
} from '../ports/disk.ts'
import { isFileFailure, writeAll } from '../ports/disk-failure.ts'
import { makeFolders } from '../ports/new-folders.ts'

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

/**
 * Copies the parts of the first `count` headers from the log in `from` to that in `to`. A copy that
 * is there and equal is left as it is. Yields and returns the bytes that it wrote.
 * @throws KeelsonError `CORRUPT` if one is missing; DiskError
 */
export function* copyingChain(
  disk: Disk,
  from: string,
  to: string,
  count: number,
): Generator<number, number> {
  refuseMissing(disk, from, count)
  const target = pathIn(to, commitmentsFolder)
  let written = 0
  for (const { name, first } of chainParts(disk, from)) {
    const paths = [from, to].map((dir) => pathIn(pathIn(dir, commitmentsFolder), name))
    const [source = '', copy = ''] = paths
    if (first >= count || isEqual(disk, source, copy)) continue
    makeFolders(disk, target)
    const bytes = disk.entry(source)?.size ?? 0
    yield* copyingBytes(disk, source, `${copy}.tmp`, bytes)
    disk.rename(`${copy}.tmp`, copy)
    written += bytes
  }
  // A part that was there may be of a copy that was killed before this.
  if (disk.entry(target)) disk.syncFolder(target)
  return written
}

const refuseMissing = (disk: Disk, dir: string, count: number): void => {
  const files = new ChainFiles(disk, dir)
  files.close()
  if (files.covers(count)) return
  const evidence = `the parts do not have all of its first ${count} headers`
  throw corruption({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })
}

/** Parts have a few MB at most. */
const isEqual = (disk: Disk, one: string, other: string): boolean =>
  [one, other].every((path) => disk.entry(path)) &&
  Buffer.compare(readWhole(disk, one), readWhole(disk, other)) === 0

/**
 * A place that could not be copied: the bytes of a file from `offset` on, or all of it with
 * `offset` 0.
 */
export type UncopiedPlace = {
  readonly file: string
  readonly offset: number
  readonly evidence: string
}

/**
 * Copies the folder `from`, which may be missing, to `to`, whose parent must exist: files that have
 * checksums of their own. Of a file that the disk cannot read the part before is copied, and the
 * next file follows. Yields the bytes of each piece and returns the places that it could not read.
 * @throws DiskError if `to` cannot be written
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
    else if (found.kind === 'file') uncopied.push(...(yield* copyingFile(disk, source, target)))
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

/** The bytes of the files at `path` and below it that `copyingFolder` can see. */
export const bytesBelow = (disk: Disk, path: string): number => {
  try {
    const { kind, size } = disk.entry(path) ?? { kind: 'other' }
    if (kind !== 'folder') return kind === 'file' ? size : 0
    return disk.list(path).reduce((sum, name) => sum + bytesBelow(disk, join(path, name)), 0)
  } catch (error) {
    if (!isFileFailure(error)) throw error
    return 0
  }
}

/** The result of `look`, or the failure to read `file`. */
const attempted = <T>(file: string, look: () => T): T | UncopiedPlace => {
  try {
    return look()
  } catch (error) {
    if (!isFileFailure(error)) throw error
    return { file, offset: 0, evidence: `the disk cannot read it (${error.code})` }
  }
}

function* copyingFile(
  disk: Disk,
  source: string,
  target: string,
): Generator<number, readonly UncopiedPlace[]> {
  let offset = 0
  try {
    for (const count of copyingBytes(disk, source, target, Number.MAX_SAFE_INTEGER)) {
      offset += count
      yield count
    }
    return []
  } catch (error) {
    if (!isFileFailure(error) || error.path !== source) throw error
    if (offset > 0) closing(disk.open(target, 'write'), (file) => file.sync())
    return [{ file: source, offset, evidence: `the disk cannot read it (${error.code})` }]
  }
}
