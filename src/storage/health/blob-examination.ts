/**
 * The blobs that rows and frames refer to, and which of them are not there. A reference of a row
 * must be good. One of a frame that no row shows yet may be of a command that will be refused.
 */
import { isKeelsonError } from '../../errors.ts'
import { blobSegmentPath } from '../blobs/blob-folder.ts'
import { blobPieces, readBlobRange } from '../blobs/blob-reader.ts'
import { unitsIn } from '../commands/command.ts'
import { decodeFrame } from '../commands/command-decoding.ts'
import { refsOfUnit } from '../commands/command-values.ts'
import type { Disk } from '../ports/disk.ts'
import type { Progress } from '../ports/progress.ts'
import { valueTags } from '../ports/projection-store.ts'
import { blobChunkBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { refsOf } from '../values/rope.ts'
import { decodeRow, rowHeadBytes } from '../values/row-codec.ts'

/** A blob that is missing or damaged, and what refers to it: the key of a row, or an LSN. */
export type BlobFault = {
  readonly file: string
  readonly offset: number
  readonly isMissing: boolean
  readonly evidence: string
  readonly of: string | number
}

/** The references that were met, each place once. */
export class BlobRefs {
  readonly #refs = new Map<string, { readonly ref: BlobRef; readonly of: string | number }>()

  /** Takes those of a row. @throws KeelsonError `CORRUPT` for an unreadable one */
  addRow(key: Uint8Array, record: Uint8Array): void {
    if (record[rowHeadBytes - 1] !== valueTags.blob) return
    const of = Buffer.from(key).toString('utf8')
    for (const ref of refsOf(decodeRow(key, record).value)) this.#add(ref, of)
  }

  /** Takes those of a frame, unless a row has them. */
  addFrame(lsn: number, payload: Uint8Array): void {
    for (const unit of unitsIn(decodeFrame(payload).units))
      for (const ref of refsOfUnit(unit)) this.#add(ref, lsn)
  }

  #add(ref: BlobRef, of: string | number): void {
    const place = `${ref.segment}:${ref.offset}`
    if (typeof of === 'string' || !this.#refs.has(place)) this.#refs.set(place, { ref, of })
  }

  /** The references by segment and offset. */
  get inOrder(): readonly { readonly ref: BlobRef; readonly of: string | number }[] {
    return [...this.#refs.values()].sort(
      (a, b) => a.ref.segment - b.ref.segment || a.ref.offset - b.ref.offset,
    )
  }
}

/**
 * Examines the blobs in `dir` and yields its progress. Without `isDeep` only the beginning and the
 * end of each is read. @throws DiskError
 */
export function* examiningBlobs(
  disk: Disk,
  dir: string,
  refs: BlobRefs,
  isDeep: boolean,
): Generator<Progress, readonly BlobFault[]> {
  const { inOrder } = refs
  const weight = ({ size }: BlobRef): number => (isDeep ? size : Math.min(size, blobChunkBytes))
  const totalBytes = inOrder.reduce((sum, { ref }) => sum + weight(ref), 0)
  const what = 'the blobs'
  const faults: BlobFault[] = []
  let bytes = 0
  for (const { ref, of } of inOrder) {
    try {
      if (isDeep) {
        let done = bytes
        for (const piece of blobPieces(disk, dir, ref)) {
          done += piece.length
          yield { what, bytes: done, totalBytes }
        }
      } else readBlobRange(disk, dir, ref, Math.max(0, ref.size - 1), ref.size)
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) throw error
      const file = blobSegmentPath(dir, ref.segment)
      const evidence = String(error.details.evidence)
      faults.push({ file, offset: ref.offset, isMissing: !disk.entry(file), evidence, of })
    }
    bytes += weight(ref)
    yield { what, bytes, totalBytes }
  }
  return faults
}
