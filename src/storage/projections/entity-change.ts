/** The change of an entity as the function of a projection gets it. Pure. */

import type { Row } from '../ports/projection-store.ts'
import { valueTags } from '../ports/projection-store.ts'
import { entityOf, isKindOfEntities } from '../values/entity-key.ts'
import { readEntityRow } from '../values/entity-row.ts'
import { decodeValue } from '../values/value.ts'
import type { EntityChange, EntityFields } from './projection.ts'
import type { RowChanged } from './projection-change.ts'

/** The change of a main row; none for rows of durable workers and of the journal. */
export const entityChangesOf = (changed: RowChanged): readonly EntityChange[] => {
  const entity = entityOf(changed.rowKey) ?? ''
  const slash = entity.indexOf('/')
  const kind = entity.slice(0, slash)
  return isKindOfEntities(kind) ? [new Change(changed, kind, entity.slice(slash + 1))] : []
}

/** One change. Its fields are decoded when they are first read. */
class Change implements EntityChange {
  readonly kind = 'entity'
  readonly entityKind: string
  readonly id: string
  readonly existed: boolean
  readonly exists: boolean
  readonly lsn: number
  readonly time: number
  readonly #changed: RowChanged
  #before: EntityFields | undefined
  #after: EntityFields | undefined

  constructor(changed: RowChanged, entityKind: string, id: string) {
    const { before, after, lsn, time } = changed
    this.entityKind = entityKind
    this.id = id
    this.existed = before !== undefined
    this.exists = after !== undefined
    this.lsn = lsn
    this.time = time
    this.#changed = changed
  }

  get before(): EntityFields | undefined {
    this.#before ??= fieldsIn(this.#changed.before)
    return this.#before
  }

  get after(): EntityFields | undefined {
    this.#after ??= fieldsIn(this.#changed.after)
    return this.#after
  }
}

/** The index fields in a main row: the fifth member of its body. @throws KeelsonError `CORRUPT` */
const fieldsIn = (row: Row | undefined): EntityFields | undefined => {
  if (!row) return undefined
  const bytes = readEntityRow(row).body
  const body = decodeValue({ tag: valueTags.structured, bytes }) as readonly unknown[]
  return body[4] as EntityFields
}
