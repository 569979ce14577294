/**
 * Copies a snapshot, and verifies the copy. One that is there and sound is left as it is. A copy for
 * a log with another id is written row by row, because the id is under its sums.
 */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { stepsAs } from '../ports/steps.ts'
import { snapshotName } from '../snapshots/snapshot-folder.ts'
import { openSnapshot, type ReadFrom, verifyingFile } from '../snapshots/snapshot-reader.ts'
import { SnapshotWriter } from '../snapshots/snapshot-writer.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { refsOf } from '../values/rope.ts'
import { decodeRow } from '../values/row-codec.ts'
import { copyingBytes } from './file-copy.ts'

/** A snapshot to copy. `walId`: the id that the copy gets, in hex. */
export type SnapshotCopyRequest = {
  readonly from: string
  readonly to: string
  readonly snapshot: NamedSnapshot
  readonly walId: string | undefined
}

/** Gets each blob that a row of the copy refers to. */
export type RefTaker = (ref: BlobRef) => void

/**
 * Copies it, and yields the bytes examined or copied.
 * @throws KeelsonError `CORRUPT` with its LSN as `details.snapshot` if the snapshot is damaged;
 * `UNSUPPORTED_VERSION`; DiskError
 */
export function* copyingSnapshot(
  disk: Disk,
  { from, to, snapshot, walId }: SnapshotCopyRequest,
  take: RefTaker,
): Generator<number, { readonly snapshot: NamedSnapshot; readonly copiedBytes: number }> {
  const name = snapshotName(snapshot.lsn)
  if (walId === undefined && (yield* isThere(disk, to, name, snapshot, take)))
    return { snapshot, copiedBytes: 0 }
  const spare = `${name}.tmp`
  try {
    const copy =
      walId === undefined
        ? yield* copied(disk, from, to, snapshot)
        : yield* rewritten(disk, from, to, snapshot, walId)
    yield* verified(disk, to, spare, copy, take)
    disk.rename(pathIn(to, spare), pathIn(to, name))
    return { snapshot: copy, copiedBytes: copy.bytes }
  } catch (error) {
    throw isKeelsonError(error, 'CORRUPT') ? ofSnapshot(error, snapshot) : error
  }
}

const ofSnapshot = (cause: KeelsonError, { lsn }: NamedSnapshot) =>
  new KeelsonError(cause.code, cause.message, {
    details: { ...cause.details, snapshot: lsn },
    cause,
  })

function* isThere(
  disk: Disk,
  dir: string,
  name: string,
  snapshot: NamedSnapshot,
  take: RefTaker,
): Generator<number, boolean> {
  if (disk.entry(pathIn(dir, name))?.size !== snapshot.bytes) return false
  try {
    yield* verified(disk, dir, name, snapshot, take)
    return true
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}

function* copied(
  disk: Disk,
  from: string,
  to: string,
  snapshot: NamedSnapshot,
): Generator<number, NamedSnapshot> {
  const name = snapshotName(snapshot.lsn)
  // The reader refuses a file that is missing, or not the one that is named.
  openSnapshot(disk, from, snapshot).close()
  yield* copyingBytes(disk, pathIn(from, name), pathIn(to, `${name}.tmp`), snapshot.bytes)
  return snapshot
}

function* rewritten(
  disk: Disk,
  from: string,
  to: string,
  snapshot: NamedSnapshot,
  walId: string,
): Generator<number, NamedSnapshot> {
  const name = snapshotName(snapshot.lsn)
  const reader = openSnapshot(disk, from, snapshot)
  try {
    const file = disk.open(pathIn(to, `${name}.tmp`), 'create')
    try {
      const writer = new SnapshotWriter(file, { ...reader.facts.position, walId })
      yield* counted(reader.walk((record) => writer.add(record)))
      const { lsn, bytes, sum } = writer.end()
      file.sync()
      return { lsn, bytes, sum }
    } finally {
      file.close()
    }
  } finally {
    reader.close()
  }
}

/** Verifies the whole file, and gives the blobs of its rows to `take`. */
const verified = (
  disk: Disk,
  dir: string,
  file: string,
  snapshot: NamedSnapshot,
  take: RefTaker,
): Generator<number, unknown> => {
  const steps = verifyingFile(disk, dir, file, snapshot, ({ key, record }) => {
    for (const ref of refsOf(decodeRow(key, record).value)) take(ref)
  })
  return counted(steps)
}

/** The same steps, each as the bytes that it read. */
const counted = <T>(steps: Generator<ReadFrom, T>): Generator<number, T> => {
  let at = 0
  return stepsAs(steps, ({ offset }) => {
    const bytes = offset - at
    at = offset
    return bytes
  })
}
