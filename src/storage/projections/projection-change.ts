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
  if (!before || !after || isHead(before) === isHead(after)) return [new Change(changed, blob)]
  return [
    new Change({ ...changed, after: undefined }, blob),
    new Change({ ...changed, before: undefined }, blob),
  ]
}

const isHead = ({ value }: Row): boolean => value.tag === rowTags.compound

/**
 * One change. Each projection gets its own: its function may change the values. They are decoded
 * when they are first read, by accessors of the class: an accessor in a literal costs more to make
 * than a value to decode.
 */
class Change implements ProjectionChange {
  readonly kind: ProjectionChange['kind']
  readonly key: string
  readonly field: string | undefined
  readonly existed: boolean
  readonly exists: boolean
  readonly lsn: number
  readonly time: number
  readonly #changed: RowChanged
  readonly #blob: ReadBlob
  #before: unknown
  #after: unknown

  constructor(changed: RowChanged, blob: ReadBlob) {
    const { rowKey, before, after, lsn, time } = changed
    const compound = compoundOf(rowKey)
    const row = after ?? before
    this.kind = compound !== undefined ? 'field' : row && isHead(row) ? 'compound' : 'value'
    this.key = compound ?? rowKey
    this.field = compound === undefined ? undefined : fieldOf(rowKey)
    this.existed = before !== undefined
    this.exists = after !== undefined
    this.lsn = lsn
    this.time = time
    this.#changed = changed
    this.#blob = blob
  }

  get before(): unknown {
    this.#before ??= decodedRow(this.#changed.before, this.#blob)
    return this.#before
  }

  get after(): unknown {
    this.#after ??= decodedRow(this.#changed.after, this.#blob)
    return this.#after
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
