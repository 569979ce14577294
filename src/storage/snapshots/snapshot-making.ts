/**
 * Makes a snapshot, step by step. It is written under a temporary name, synced, read back and
 * verified whole, renamed, and the folder synced. A crash at any point leaves files that MANIFEST
 * does not name, which the next start removes.
 */
import { KeelsonError } from '../../errors.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { attempt } from '../ports/disk-failure.ts'
import { makeFolder } from '../ports/new-folders.ts'
import type { SnapshotFacts } from '../ports/snapshot-host.ts'
import type { SnapshotSource } from '../ports/snapshot-rows.ts'
import { loggedBlobPrefix, unlistedBlobsKey } from '../values/row-key.ts'
import { snapshotName, temporaryName } from './snapshot-folder.ts'
import { verifyingFile } from './snapshot-reader.ts'
import { SnapshotWriter } from './snapshot-writer.ts'

/** A step of making a snapshot: how much of the file is written, or read back. */
export type MakingStep = {
  readonly phase: 'write' | 'read back'
  readonly rows: number
  readonly bytes: number
}

/**
 * So many bytes are synced at once. One sync at the end would hold up the syncs of the log, because
 * file systems order them.
 */
const syncedBytes = 4 * 1024 * 1024

/**
 * Makes the snapshot of `source` in `dir`, and yields after each block. An early return leaves no
 * file.
 * @throws KeelsonError `CORRUPT` of the source, or of the file that was read back (`details.file`);
 * `BUSY` if the projection's file grew by more than `pinnedBytesMax`; DiskError
 */
export function* makingSnapshot(
  disk: Disk,
  dir: string,
  source: SnapshotSource,
  pinnedBytesMax: number,
): Generator<MakingStep, SnapshotFacts> {
  const temporary = pathIn(dir, temporaryName)
  const { lsn } = source.position
  makeFolder(disk, dir)
  disk.remove(temporary)
  let isRenamed = false
  try {
    const facts = yield* writing(disk, temporary, source, pinnedBytesMax)
    for (const { rows, offset } of verifyingFile(disk, dir, temporaryName, facts))
      yield { phase: 'read back', rows, bytes: offset }
    disk.rename(temporary, pathIn(dir, snapshotName(lsn)))
    isRenamed = true
    disk.syncFolder(dir)
    return facts
  } finally {
    if (!isRenamed) attempt(() => disk.remove(temporary))
  }
}

function* writing(
  disk: Disk,
  path: string,
  source: SnapshotSource,
  pinnedBytesMax: number,
): Generator<MakingStep, SnapshotFacts> {
  const file = disk.open(path, 'create')
  try {
    const writer = new SnapshotWriter(file, source.position)
    let unsynced = 0
    for (const record of source.records()) {
      if (isLoggedBlob(record.key)) continue
      const before = writer.bytes
      if (!writer.add(record)) continue
      refuseGrowth(source.grownBytes(), pinnedBytesMax)
      unsynced += writer.bytes - before
      if (unsynced >= syncedBytes) {
        file.sync()
        unsynced = 0
      }
      yield { phase: 'write', rows: writer.rows, bytes: writer.bytes }
    }
    const facts = writer.end()
    file.sync()
    return facts
  } finally {
    file.close()
  }
}

const letters = [loggedBlobPrefix, unlistedBlobsKey].map((key) => key.charCodeAt(1))

/** Rows of logged blobs are rebuilt from the frames that the log holds, and go with them. */
const isLoggedBlob = (key: Uint8Array): boolean => key[0] === 0 && letters.includes(key[1] ?? 0)

const refuseGrowth = (pinnedBytes: number, pinnedBytesMax: number): void => {
  if (pinnedBytes <= pinnedBytesMax) return
  throw new KeelsonError(
    'BUSY',
    `a snapshot made the projection grow by ${pinnedBytes} bytes, and is given up`,
    { details: { reason: 'pinned', pinnedBytes, pinnedBytesMax } },
  )
}
