/**
 * Frees the dead bytes of a segment. A segment without live bytes is removed. Any other is copied,
 * with its live extents at their old offsets and holes between them, and the copy replaces it by a
 * rename. References stay valid, readers of the old file go on, and a crash leaves one of the two
 * files.
 *
 * The work is done in small steps, so that writes can happen in between: it is apart from
 * `blobs.ts`, whose requests are one step each. It does not read records: live bytes are copied as
 * they are, damaged or not.
 */

import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'
import { attempt, openIfThere, writeAll } from '../ports/disk-failure.ts'
import { type Extent, gapsBetween } from '../values/blob-extents.ts'
import { blobSegmentPath } from './blob-folder.ts'

const stepBytes = 1024 * 1024
const zeros = new Uint8Array(stepBytes)

/**
 * Frees all bytes of a segment but those in `live`, which is in order and disjoint. Yields between
 * steps, and returns the bytes freed: 0 if the dead bytes were holes already. The segment must not
 * be the one being written.
 * @throws DiskError: the segment is unchanged
 */
export function* clearing(
  disk: Disk,
  dir: string,
  segment: number,
  live: readonly Extent[],
): Generator<undefined, number> {
  const path = blobSegmentPath(dir, segment)
  const source = openIfThere(disk, path)
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
    attempt(() => source.close())
  }
}

/**
 * The bytes of the gaps that are not zero. A gap after `end` counts whole, because the file is too
 * long.
 */
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
    attempt(() => disk.remove(temporary))
    throw error
  }
}

/** Copies an extent to the same offset. The bytes before it, which nothing wrote, are a hole. */
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
