/**
 * The rows of the blobs that the log refers to: one for each reference in a unit that was not
 * refused. They are written in log order and can be rebuilt from the log, like all rows. So a sweep
 * knows which blobs to keep without reading the log. A row is never removed before its frame. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import type { Extent } from '../blobs/blob-extents.ts'
import { recordExtent } from '../blobs/blob-record.ts'
import { readU64, viewOf, writeU64 } from '../bytes/u64.ts'
import { type Row, type RowChange, rowTags } from '../ports/projection-store.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { loggedBlobPrefix } from '../values/row-key.ts'

const digits = 16
const sizeBytes = 8
const place = new RegExp(`^${loggedBlobPrefix}([0-9a-f]{${digits}})([0-9a-f]{${digits}})$`)

const inOrder = (count: number): string => count.toString(16).padStart(digits, '0')

/** The row of a blob that the log refers to. */
export const loggedBlobRow = (ref: BlobRef): RowChange => {
  const bytes = new Uint8Array(sizeBytes)
  writeU64(viewOf(bytes), 0, ref.size)
  const key = loggedBlobPrefix + inOrder(ref.segment) + inOrder(ref.offset)
  return [key, { value: { tag: rowTags.loggedBlob, bytes }, expiresAt: 0 }]
}

/**
 * The place of the record in such a row. @throws KeelsonError `CORRUPT` for a row of another kind
 */
export const recordOfLogged = (
  rowKey: string,
  { value: { tag, bytes } }: Row,
): { readonly segment: number; readonly extent: Extent } => {
  const [, segment, offset] = place.exec(rowKey)?.map((part) => Number.parseInt(part, 16)) ?? []
  const isWhole = tag === rowTags.loggedBlob && bytes.length === sizeBytes
  if (!isWhole || segment === undefined || offset === undefined)
    throw new KeelsonError('CORRUPT', 'the row of a blob cannot be read', {
      details: { key: rowKey, evidence: `tag ${tag}, ${bytes.length} bytes` },
    })
  return { segment, extent: recordExtent({ offset, size: readU64(viewOf(bytes), 0) }) }
}
