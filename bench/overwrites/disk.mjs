/** What a data folder takes on the disk, by part. */
import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'

const parts = { wal: 'log', lmdb: 'lmdb', snapshot: 'snapshot', blobs: 'blobs' }

/** The bytes of each part: blocks, as a file with holes takes fewer than its size. */
export const diskOf = (dir) => {
  const bytes = { log: 0, lmdb: 0, snapshot: 0, blobs: 0, other: 0 }
  let isMaking = false
  for (const path of readdirSync(dir, { recursive: true })) {
    const part = parts[path.split('/')[1]] ?? 'other'
    if (path.endsWith('.tmp') && part === 'snapshot') isMaking = true
    // A file may go between the list and the look at it.
    const found = statSync(join(dir, path), { throwIfNoEntry: false })
    if (found?.isFile()) bytes[part] += found.blocks * 512
  }
  return { ...bytes, isMaking, all: Object.values(bytes).reduce((sum, each) => sum + each, 0) }
}

/** The bytes that the disk of `dir` has left. */
export const freeBytes = (dir) => {
  const { bavail, bsize } = statfsSync(dir)
  return bavail * bsize
}
