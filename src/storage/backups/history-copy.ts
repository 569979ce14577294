/**
 * Copies the files of a chain of commitments: the parts that the last copied segment names. A copy
 * that is there and equal is left as it is.
 */
import { commitmentsFolder, HistoryFiles, historyParts } from '../commitments/history-files.ts'
import { makeFolders } from '../disk/new-folders.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { corruption } from '../segments/log-errors.ts'
import { copyingBytes } from './raw-copy.ts'

/**
 * Copies the parts of the first `count` headers from the log in `from` to that in `to`, durably.
 * Yields and returns the bytes that it wrote.
 * @throws KeelsonError `CORRUPT` if one is missing; DiskError
 */
export function* copyingHistory(
  disk: Disk,
  from: string,
  to: string,
  count: number,
): Generator<number, number> {
  refuseMissing(disk, from, count)
  const folders = [from, to].map((dir) => pathIn(dir, commitmentsFolder))
  const [source = '', target = ''] = folders
  let written = 0
  for (const { name, first } of historyParts(disk, from)) {
    if (first >= count || isEqual(disk, pathIn(source, name), pathIn(target, name))) continue
    makeFolders(disk, target)
    const bytes = disk.entry(pathIn(source, name))?.size ?? 0
    yield* copyingBytes(disk, pathIn(source, name), pathIn(target, `${name}.tmp`), bytes)
    disk.rename(pathIn(target, `${name}.tmp`), pathIn(target, name))
    written += bytes
  }
  if (written > 0) disk.syncFolder(target)
  return written
}

const refuseMissing = (disk: Disk, dir: string, count: number): void => {
  const files = new HistoryFiles(disk, dir)
  files.close()
  if (files.covers(count)) return
  const evidence = `the parts do not have all of its first ${count} headers`
  throw corruption({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })
}

const isEqual = (disk: Disk, one: string, other: string): boolean => {
  const [first, second] = [one, other].map((path) => contents(disk, path))
  return first !== undefined && second !== undefined && Buffer.compare(first, second) === 0
}

/** The bytes of a part: a few MB at most. */
const contents = (disk: Disk, path: string): Uint8Array | undefined => {
  const size = disk.entry(path)?.size
  if (size === undefined) return undefined
  const file = disk.open(path, 'read')
  try {
    const bytes = new Uint8Array(size)
    return bytes.subarray(0, file.read(bytes, 0))
  } finally {
    file.close()
  }
}
