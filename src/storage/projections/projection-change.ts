/** The change of a row or an entity as the function of a projection gets it. Pure. */
import { KeelsonError } from '../../errors.ts'
import { type Row, rowTags, valueTags } from '../ports/projection-store.ts'
import { fieldCount } from '../rows/field-commands.ts'
import type { ReadBlob } from '../rows/rows.ts'
import { readEntityBody } from '../values/entity-body.ts'
import { entityOf, isKindOfEntities } from '../values/entity-key.ts'
import { readEntityRow } from '../values/entity-row.ts'
import { isStoredValue, ropeLength, ropeOf } from '../values/rope.ts'
import { compoundOf, fieldOf } from '../values/row-key.ts'
import { decodeValue } from '../values/value.ts'
import type { EntityChange, EntityFields, ProjectionChange } from './projection.ts'

/** A row of a user's key or of an entity that a frame changed. */
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
  if (!before || !after || isHead(before) === isHead(after)) return [new KeyChange(changed, blob)]
  return [
    new KeyChange({ ...changed, after: undefined }, blob),
    new KeyChange({ ...changed, before: undefined }, blob),
  ]
}

/** The change of a main row; none for rows of durable workers and of the journal. */
export const entityChangesOf = (changed: RowChanged): readonly EntityChange[] => {
  const entity = entityOf(changed.rowKey) ?? ''
  const slash = entity.indexOf('/')
  const kind = entity.slice(0, slash)
  return isKindOfEntities(kind) ? [new ChangeOfEntity(changed, kind, entity.slice(slash + 1))] : []
}

const isHead = ({ value }: Row): boolean => value.tag === rowTags.compound

/**
 * One change. Each projection gets its own: its function may change the values. They are decoded
 * when they are first read, by accessors of the class: an accessor in a literal costs more to make
 * than a value to decode.
 */
abstract class Change<Value> {
  readonly existed: boolean
  readonly exists: boolean
  readonly lsn: number
  readonly time: number
  readonly #changed: RowChanged
  #before: Value | undefined
  #after: Value | undefined

  constructor(changed: RowChanged) {
    this.existed = changed.before !== undefined
    this.exists = changed.after !== undefined
    this.lsn = changed.lsn
    this.time = changed.time
    this.#changed = changed
  }

  protected abstract decoded(row: Row): Value

  get before(): Value | undefined {
    const { before } = this.#changed
    if (before) this.#before ??= this.decoded(before)
    return this.#before
  }

  get after(): Value | undefined {
    const { after } = this.#changed
    if (after) this.#after ??= this.decoded(after)
    return this.#after
  }
}

/** A change of a key, or of a field of one. */
class KeyChange extends Change<unknown> implements ProjectionChange {
  readonly kind: ProjectionChange['kind']
  readonly key: string
  readonly field: string | undefined
  readonly #blob: ReadBlob

  constructor(changed: RowChanged, blob: ReadBlob) {
    super(changed)
    const { rowKey, before, after } = changed
    const compound = compoundOf(rowKey)
    const row = after ?? before
    this.kind = compound !== undefined ? 'field' : row && isHead(row) ? 'compound' : 'value'
    this.key = compound ?? rowKey
    this.field = compound === undefined ? undefined : fieldOf(rowKey)
    this.#blob = blob
  }

  protected decoded(row: Row): unknown {
    return decodedRow(row, this.#blob)
  }
}

/** A change of an entity. */
class ChangeOfEntity extends Change<EntityFields> implements EntityChange {
  readonly kind = 'entity'
  readonly entityKind: string
  readonly id: string

  constructor(changed: RowChanged, entityKind: string, id: string) {
    super(changed)
    this.entityKind = entityKind
    this.id = id
  }

  /** The index fields in a main row. @throws KeelsonError as `readEntityBody` */
  protected decoded(row: Row): EntityFields {
    return readEntityBody(readEntityRow(row).body).fields
  }
}

/** @throws KeelsonError `TOO_LARGE` for a value of more than 1 MiB in blobs; `CORRUPT` */
const decodedRow = (row: Row, blob: ReadBlob): unknown => {
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
