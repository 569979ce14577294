/** Stored values as ropes, and ropes as stored values: a rope without blobs is an ordinary value. Pure. */
import { type RowValue, rowTags, type StoredValue, valueTags } from './projection-store.ts'
import { decodeRope, encodeRope, hasBlob, inlineRope, type Rope } from './rope.ts'

/** Whether a row holds a value of a user, and not what only rows have. */
export const isStoredValue = (value: RowValue): value is StoredValue => value.tag < rowTags.compound

/** The value as a rope: what it is and where its bytes are. @throws KeelsonError `CORRUPT` for a damaged rope */
export const ropeOf = ({ tag, bytes }: StoredValue): Rope =>
  tag === valueTags.blob ? decodeRope(bytes) : inlineRope(tag, bytes)

/** The rope as a value. */
export const storedRope = (rope: Rope): StoredValue => {
  if (hasBlob(rope)) return { tag: valueTags.blob, bytes: encodeRope(rope) }
  const [only] = rope.parts
  return { tag: rope.content, bytes: only?.kind === 'inline' ? only.bytes : new Uint8Array(0) }
}
