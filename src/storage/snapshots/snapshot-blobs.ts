/**
 * The blobs that the rows of a snapshot refer to. They stay alive while the snapshot is kept, also
 * those that newer rows have replaced. Pure but for reading.
 */
import { BlobExtents } from '../blobs/blob-extents.ts'
import { recordExtent } from '../blobs/blob-record.ts'
import { refsOf } from '../commands/command-values.ts'
import { decodeRow } from '../lmdb/row-codec.ts'
import type { ReadFrom, SnapshotReader } from './snapshot-reader.ts'

/**
 * Reads the whole snapshot, and yields after each block. @throws KeelsonError `CORRUPT`; DiskError
 */
export function* blobsOfSnapshot(reader: SnapshotReader): Generator<ReadFrom, BlobExtents> {
  const live = new BlobExtents()
  let rows = 0
  for (const { next, records } of reader.blocks()) {
    for (const { key, record } of records)
      for (const ref of refsOf(decodeRow(key, record).value))
        live.add(ref.segment, recordExtent(ref))
    rows += records.length
    yield { offset: next, rows }
  }
  return live
}
