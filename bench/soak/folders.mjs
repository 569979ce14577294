/** The bytes on the disk of a data folder, by kind of file. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const kinds = ['wal', 'lmdb', 'snapshot', 'blobs', 'journal']

/** Blocks, as a file with holes takes fewer than its size. */
const bytesBelow = (dir, add) => {
  if (!existsSync(dir)) return
  for (const path of readdirSync(dir, { recursive: true })) {
    // A file may go between the list and the look at it.
    const found = statSync(join(dir, path), { throwIfNoEntry: false })
    if (found?.isFile()) add(path, found.blocks * 512)
  }
}

/** The bytes of a data folder and of its backup. */
export const bytesOf = (data, backup) => {
  const bytes = Object.fromEntries([...kinds, 'other', 'backup'].map((kind) => [kind, 0]))
  bytesBelow(data, (path, size) => {
    const kind = kinds.find((each) => path.split('/')[1]?.startsWith(each)) ?? 'other'
    bytes[kind] += size
  })
  bytesBelow(backup, (_, size) => {
    bytes.backup += size
  })
  return bytes
}
