/**
 * The rows of the journal's ids: the place of the first entry with an id, and the digest of its
 * content. They are written by the entries themselves, so they are right after a restart, and in a
 * snapshot. Pure.
 */

import { putU32, putU64 } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import type { EntryUnit } from '../commands/command.ts'
import {
  type EntryAnswer,
  type EntryPlace,
  type Refusal,
  refused,
} from '../commands/command-answer.ts'
import {
  earlierDigest,
  entryDigestBytes,
  entryRowBytes,
  readEntryRow,
} from '../commands/journal-entry.ts'
import { type Row, rowTags, valueTags } from '../ports/projection-store.ts'
import { appendedMarkerKey, entryIdRowKey } from '../values/row-key.ts'
import type { RowSink, Rows } from './rows.ts'

/**
 * Keeps the id of an entry at `place`. An id that is there already keeps its entry: an equal one is
 * answered with its place, another one is refused.
 * @throws KeelsonError `CORRUPT` for a damaged row
 */
export const applyEntry = (
  { id, digest, body }: EntryUnit,
  place: EntryPlace,
  rows: Rows,
  into: RowSink,
): EntryAnswer | Refusal => {
  const key = entryIdRowKey(id)
  const row = rows.get(key)
  if (!row) {
    into.set(key, entryRow(digest, place))
    const { lsn, index, time } = place
    return { kind: 'entry', lsn, index, time, repeated: false }
  }
  const first = readEntryRow(row)
  return hasDigest(row, digest) || hasDigest(row, earlierDigest(body))
    ? { kind: 'entry', ...first, repeated: true }
    : refused({ code: 'CONFLICT', entry: first }, id)
}

const hasDigest = ({ value }: Row, digest: Uint8Array): boolean =>
  asBuffer(value.bytes).compare(digest, 0, entryDigestBytes, 0, entryDigestBytes) === 0

/** As `applyEntry`, for an entry that is appended by itself, and notes that there was one. */
export const applyAppendedEntry = (
  entry: EntryUnit,
  place: EntryPlace,
  rows: Rows,
  into: RowSink,
): EntryAnswer | Refusal => {
  if (!rows.get(appendedMarkerKey)) into.set(appendedMarkerKey, marker)
  return applyEntry(entry, place, rows, into)
}

const marker: Row = { value: { tag: valueTags.bytes, bytes: new Uint8Array(0) }, expiresAt: 0 }

const entryRow = (digest: Uint8Array, { lsn, index, time }: EntryPlace): Row => {
  const bytes = Buffer.allocUnsafe(entryRowBytes)
  bytes.set(digest)
  putU64(bytes, entryDigestBytes, lsn)
  putU32(bytes, entryDigestBytes + 8, index)
  putU64(bytes, entryDigestBytes + 12, time)
  return { value: { tag: rowTags.entryId, bytes }, expiresAt: 0 }
}

/**
 * Whether the entry at a place counts: the row of its id has that place. A reader of the log leaves
 * out every other entry: it was a repeat, or was refused.
 * @throws KeelsonError `CORRUPT` for a damaged row
 */
export const entryCounts = (row: Row | undefined, { lsn, index }: EntryPlace): boolean => {
  if (!row) return false
  const first = readEntryRow(row)
  return first.lsn === lsn && first.index === index
}
