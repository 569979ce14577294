/**
 * Gives back what is dead in a segment. One without a live byte is removed; any other is written anew with its live
 * extents at their old offsets and holes between them, and takes the old one's name in one step. So references stay
 * as they are, readers that have the old file open go on, and a crash leaves the one file or the other, never less.
 *
 * It works in small steps, so that writes happen in between, and never looks into a record: what is live is kept byte
 * for byte, damaged or not.
 */

import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'
import { writeAll } from '../segments/segment-file.ts'
import { type Extent, gapsBetween } from './blob-extents.ts'
import { blobSegmentPath, closeQuietly, removeQuietly } from './blob-folder.ts'

const stepBytes = 1024 * 1024
const zeros = new Uint8Array(stepBytes)

/**
 * Clears all of a segment but `live`, extents in order and apart; `undefined` while there is more to do, then how many bytes
 * were given back: 0 when nothing was dead that was not a hole already. The segment is not being written.
 * @throws DiskError: the segment is as it was
 */
export function* clearing(
  disk: Disk,
  dir: string,
  segment: number,
  live: readonly Extent[],
): Generator<undefined, number> {
  const path = blobSegmentPath(dir, segment)
  const source = openSource(disk, path)
  if (!source) return 0
  try {
    const size = source.size()
    if (live.length === 0) {
      disk.remove(path)
      disk.syncFolder(dir)
      return size
    }
    const end = Math.min(size, live[live.length - 1]?.to ?? 0)
    const dead = yield* bytesThatAreDead(source, gapsBetween(live, size), end)
    if (dead > 0) yield* rewritten(disk, dir, source, live, size)
    return dead
  } finally {
    closeQuietly(source)
  }
}

const openSource = (disk: Disk, path: string): DiskFile | undefined => {
  try {
    return disk.open(path, 'read')
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** How many bytes of the gaps hold something; what lies behind `end` counts whatever it holds: the file is too long. */
function* bytesThatAreDead(
  source: DiskFile,
  gaps: readonly Extent[],
  end: number,
): Generator<undefined, number> {
  let dead = 0
  const buffer = new Uint8Array(stepBytes)
  for (const { from, to } of gaps)
    if (from >= end) dead += to - from
    else
      for (let at = from; at < to; at += stepBytes) {
        const wanted = buffer.subarray(0, Math.min(stepBytes, to - at))
        const bytes = wanted.subarray(0, source.read(wanted, at))
        if (Buffer.compare(bytes, zeros.subarray(0, bytes.length)) !== 0) {
          dead += to - from
          break
        }
        yield
      }
  return dead
}

function* rewritten(
  disk: Disk,
  dir: string,
  source: DiskFile,
  live: readonly Extent[],
  size: number,
): Generator<undefined> {
  const temporary = `${source.path}.tmp`
  disk.remove(temporary)
  const target = disk.open(temporary, 'create')
  try {
    try {
      for (const { from, to } of live) yield* copied(source, target, from, Math.min(to, size))
      target.sync()
    } finally {
      target.close()
    }
    disk.rename(temporary, source.path)
    disk.syncFolder(dir)
  } catch (error) {
    removeQuietly(disk, temporary)
    throw error
  }
}

/** Copies an extent to its own offset; what was skipped before it becomes a hole. */
function* copied(
  source: DiskFile,
  target: DiskFile,
  from: number,
  to: number,
): Generator<undefined> {
  for (let at = from; at < to; at += stepBytes) {
    const bytes = new Uint8Array(Math.min(stepBytes, to - at))
    if (source.read(bytes, at) < bytes.length) throw new DiskError('EIO', 'read', source.path)
    writeAll(target, bytes, at, 'ENOSPC')
    yield
  }
}
