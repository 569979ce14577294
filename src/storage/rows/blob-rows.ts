/**
 * The rows of the blobs that the log refers to: one for each reference in a unit that was not
 * refused, with the LSN of the last such frame. They are written in log order. So a sweep knows
 * which blobs to keep without reading the log, and a row goes when the last frame is released,
 * never before. A snapshot has none of them: after its load they are made from the frames that the
 * log still holds. Pure.
 */

import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { type FrameUnits, unitsIn } from '../commands/command.ts'
import { refsOfUnit } from '../commands/command-values.ts'
import { type Row, type RowChange, rowTags } from '../ports/projection-store.ts'
import type { Extent } from '../values/blob-extents.ts'
import { recordExtent } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { loggedBlobPrefix } from '../values/row-key.ts'

const digits = 16
const rowBytes = 16
const place = new RegExp(`^${loggedBlobPrefix}([0-9a-f]{${digits}})([0-9a-f]{${digits}})$`)

const inOrder = (count: number): string => count.toString(16).padStart(digits, '0')

/** The row of a blob that the frame at `lsn` refers to, and no later one. */
export const loggedBlobRow = (ref: BlobRef, lsn: number): RowChange => {
  const bytes = new Uint8Array(rowBytes)
  writeU64(viewOf(bytes), 0, ref.size)
  writeU64(viewOf(bytes), 8, lsn)
  const key = loggedBlobPrefix + inOrder(ref.segment) + inOrder(ref.offset)
  return [key, { value: { tag: rowTags.loggedBlob, bytes }, expiresAt: 0 }]
}

/** A record of a blob, and the last frame that refers to it. */
export type LoggedBlob = {
  readonly segment: number
  readonly extent: Extent
  readonly lsn: number
}

/**
 * Reads such a row. @throws KeelsonError `CORRUPT` for a row of another kind
 */
export const recordOfLogged = (rowKey: string, { value: { tag, bytes } }: Row): LoggedBlob => {
  const [, segment, offset] = place.exec(rowKey)?.map((part) => Number.parseInt(part, 16)) ?? []
  const isWhole = tag === rowTags.loggedBlob && bytes.length === rowBytes
  if (!isWhole || segment === undefined || offset === undefined)
    throw new KeelsonError('CORRUPT', 'the row of a blob cannot be read', {
      details: { key: rowKey, evidence: `tag ${tag}, ${bytes.length} bytes` },
    })
  const view = viewOf(bytes)
  const extent = recordExtent({ offset, size: readU64(view, 0) })
  return { segment, extent, lsn: readU64(view, 8) }
}

/**
 * The rows of the blobs that a frame at or below the position of a snapshot refers to, to be set in
 * log order after the snapshot's load. Whether a unit was refused is not known there, so its blobs
 * are kept too, until the frame is released, unless a sweep has freed them.
 */
export const blobRowsOfFrame = (
  units: FrameUnits,
  lsn: number,
  isFreed: (ref: BlobRef) => boolean,
): RowChange[] =>
  unitsIn(units)
    .flatMap(refsOfUnit)
    .filter((ref) => !isFreed(ref))
    .map((ref) => loggedBlobRow(ref, lsn))
