/** The change of a row as the function of a projection gets it. Pure. */
import { KeelsonError } from '../../errors.ts'
import { type Row, rowTags, valueTags } from '../ports/projection-store.ts'
import { fieldCount } from '../rows/field-commands.ts'
import type { ReadBlob } from '../rows/rows.ts'
import { isStoredValue, ropeLength, ropeOf } from '../values/rope.ts'
import { compoundOf, fieldOf } from '../values/row-key.ts'
import { decodeValue } from '../values/value.ts'
import type { ProjectionChange } from './projection.ts'

/** A row of a user's key that a frame changed. */
export type RowChanged = {
  readonly rowKey: string
  readonly before: Row | undefined
  readonly after: Row | undefined
  readonly lsn: number
  readonly time: number
}

/** The most bytes that are read from blobs for a change. */
const readBytesMax = 1024 * 1024

/**
 * The changes for a projection. A plain value in the place of a compound, or the other way round,
 * is two: the end of one, and the beginning of the other.
 */
export const changesOf = (changed: RowChanged, blob: ReadBlob): readonly ProjectionChange[] => {
  const { before, after } = changed
  if (!before || !after || isHead(before) === isHead(after)) return [changeOf(changed, blob)]
  return [
    { ...changed, after: undefined },
    { ...changed, before: undefined },
  ].map((each) => changeOf(each, blob))
}

const isHead = ({ value }: Row): boolean => value.tag === rowTags.compound

/** One change. Its values are decoded when they are read. */
const changeOf = (
  { rowKey, before, after, lsn, time }: RowChanged,
  blob: ReadBlob,
): ProjectionChange => {
  const compound = compoundOf(rowKey)
  const row = after ?? before
  const kind = compound !== undefined ? 'field' : row && isHead(row) ? 'compound' : 'value'
  return {
    kind,
    key: compound ?? rowKey,
    field: compound === undefined ? undefined : fieldOf(rowKey),
    existed: before !== undefined,
    exists: after !== undefined,
    get before() {
      return decodedRow(before, blob)
    },
    get after() {
      return decodedRow(after, blob)
    },
    lsn,
    time,
  }
}

/** @throws KeelsonError `TOO_LARGE` for a value of more than 1 MiB in blobs; `CORRUPT` */
const decodedRow = (row: Row | undefined, blob: ReadBlob): unknown => {
  if (!row) return undefined
  if (row.value.tag === rowTags.compound) return fieldCount(row)
  if (!isStoredValue(row.value) || row.value.tag !== valueTags.blob) return decodeValue(row.value)
  const rope = ropeOf(row.value)
  const length = ropeLength(rope)
  if (length > readBytesMax)
    throw new KeelsonError('TOO_LARGE', `a change has values of at most ${readBytesMax} bytes`, {
      details: { length, lengthMax: readBytesMax },
    })
  const parts = rope.parts.map((part) =>
    part.kind === 'inline' ? part.bytes : blob(part.ref, part.from, part.to),
  )
  return decodeValue({ tag: rope.content, bytes: Buffer.concat(parts) })
}
