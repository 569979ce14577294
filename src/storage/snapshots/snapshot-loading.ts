/**
 * Fills a projection with the rows of a snapshot, step by step: in the order of keys, in large
 * transactions, each with its place in the file.
 */

import { isSameSnapshot, type LoadPlace } from '../ports/named-snapshot.ts'
import { valueTags } from '../ports/projection-store.ts'
import type { SnapshotFacts } from '../ports/snapshot-host.ts'
import type { SnapshotRecord, SnapshotTarget } from '../ports/snapshot-rows.ts'
import { encodeRecord } from '../values/row-codec.ts'
import { unlistedBlobsKey } from '../values/row-key.ts'
import type { ReadFrom, SnapshotReader } from './snapshot-reader.ts'

/** The bytes of one transaction: its sync costs little beside them, and they fit into memory. */
const transactionBytes = 8 * 1024 * 1024

/** No snapshot has the rows of logged blobs. */
const unlisted = { value: { tag: valueTags.bytes, bytes: new Uint8Array() }, expiresAt: 0 }

/** Whether an interrupted load was of this snapshot. */
export const isLoadOf = ({ walId, snapshot }: LoadPlace, facts: SnapshotFacts): boolean =>
  walId === facts.position.walId && isSameSnapshot(snapshot, facts)

/**
 * Loads the rows after the place of `target`, which is of this snapshot, and yields after each
 * transaction. At the end the projection has the snapshot's position, and a row that says that the
 * rows of logged blobs are missing. After an early return it stays at its place.
 * @throws KeelsonError `CORRUPT`, `NO_SPACE`; DiskError
 */
export function* loadingSnapshot(
  reader: SnapshotReader,
  target: SnapshotTarget,
): Generator<ReadFrom, SnapshotFacts> {
  const { position, lsn, bytes, sum } = reader.facts
  const { walId } = position
  let rows = target.place?.rows ?? 0
  let taken = target.place?.offset ?? 0
  let waiting: SnapshotRecord[] = []
  let marker = target.place ? [] : [encodeRecord(unlistedBlobsKey, unlisted)]
  for (const { next, records } of reader.blocks(target.place)) {
    for (const record of records) waiting.push(record)
    if (next - taken < transactionBytes) continue
    rows += waiting.length
    taken = next
    target.append([...marker, ...waiting], {
      walId,
      snapshot: { lsn, bytes, sum },
      offset: next,
      rows,
    })
    waiting = []
    marker = []
    yield { offset: next, rows }
  }
  target.complete([...marker, ...waiting], position)
  return reader.facts
}
