/** The rows of a snapshot, piece by piece, packed so that they cross to another thread at once. */
import type { SnapshotPlace, SnapshotProtocol } from '../ports/snapshot-host.ts'
import type { SnapshotReader } from './snapshot-reader.ts'

/**
 * About `maxBytes` of rows from `from` on, in whole blocks.
 * @throws KeelsonError `CORRUPT`; DiskError
 */
export const rowsFrom = (
  reader: SnapshotReader,
  maxBytes: number,
  from?: SnapshotPlace,
): SnapshotProtocol['rows']['answer'] => {
  const pieces: Uint8Array[] = []
  const lengths: number[] = []
  let rows = from?.rows ?? 0
  let size = 0
  let at = from?.offset ?? 0
  const answer = () => ({ position: reader.facts.position, bytes: Buffer.concat(pieces), lengths })
  for (const { next, records } of reader.blocks(from)) {
    // The block before was not the last one.
    if (size >= maxBytes) return { ...answer(), next: { offset: at, rows } }
    for (const { key, record } of records) {
      pieces.push(key, record)
      lengths.push(key.length, record.length)
      size += key.length + record.length
    }
    rows += records.length
    at = next
  }
  return answer()
}
