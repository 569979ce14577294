/**
 * Commands on the fields of a compound. A compound is a head row, with the number of fields and the
 * expiry, and one row per field. Changing a field writes one row, or two if the number of fields
 * changes. Removing the last field removes the compound.
 */

import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import type { Command, FieldEntry } from '../commands/command.ts'
import { type CommandAnswer, type Refusal, refused } from '../commands/command-answer.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'
import { compoundMarkerKey, fieldRowKey } from '../values/row-key.ts'
import { type ChangedRows, isExpired } from './rows.ts'

/** The greatest number of fields of a compound: it is removed at once, with all of them. */
export const fieldsMax = 1_000_000

/** The head row of a compound. */
export const compoundHead = (fields: number, expiresAt: number): Row => {
  const bytes = new Uint8Array(8)
  writeU64(viewOf(bytes), 0, fields)
  return { value: { tag: rowTags.compound, bytes }, expiresAt }
}

/** The number of fields, from the head row. */
export const fieldCount = ({ value }: Row): number => readU64(viewOf(value.bytes), 0)

const marker: Row = { value: { tag: 2, bytes: new Uint8Array(0) }, expiresAt: 0 }

/** Removes the field rows of a compound. The caller replaces or removes its head. */
export const removeFields = (rows: ChangedRows, key: string): void => {
  for (const rowKey of [...rows.fields(key)]) rows.set(rowKey, undefined)
}

/**
 * The compound under `key`: its head, or a refusal. An absent compound has no head. An
 * expired value or compound is removed, with its fields.
 */
const openCompound = (
  rows: ChangedRows,
  key: string,
  time: number,
): { readonly kind: 'compound'; readonly head: Row | undefined } | Refusal => {
  const head = rows.get(key)
  if (!head) return { kind: 'compound', head }
  if (!isExpired(head, time))
    return head.value.tag === rowTags.compound
      ? { kind: 'compound', head }
      : refused('WRONG_TYPE', key)
  removeFields(rows, key)
  rows.set(key, undefined)
  return { kind: 'compound', head: undefined }
}

/** Puts fields. Answers for each whether it is new. */
export const applyPutFields = (
  rows: ChangedRows,
  key: string,
  entries: readonly FieldEntry[],
  time: number,
): readonly boolean[] | Refusal => {
  const opened = openCompound(rows, key, time)
  if (opened.kind === 'refused') return opened
  const { head } = opened
  if (!head && !rows.get(compoundMarkerKey)) rows.set(compoundMarkerKey, marker)
  const before = head ? fieldCount(head) : 0
  let fields = before
  const created = entries.map(([field, value]) => {
    const rowKey = fieldRowKey(key, field)
    const isNew = !rows.get(rowKey)
    if (isNew) fields++
    rows.set(rowKey, { value, expiresAt: 0 })
    return isNew
  })
  if (fields > fieldsMax) return refused('TOO_LARGE', key)
  if (fields !== before) rows.set(key, compoundHead(fields, head?.expiresAt ?? 0))
  return created
}

/** Removes a field, and with the last field the compound. */
export const applyDeleteField = (
  rows: ChangedRows,
  { key, field }: Extract<Command, { kind: 'deleteField' }>,
  time: number,
): CommandAnswer | Refusal => {
  const opened = openCompound(rows, key, time)
  if (opened.kind === 'refused') return opened
  const rowKey = fieldRowKey(key, field)
  const { head } = opened
  if (!head || !rows.get(rowKey)) return { kind: 'deleteField', existed: false }
  const left = fieldCount(head) - 1
  rows.set(rowKey, undefined)
  rows.set(key, left > 0 ? compoundHead(left, head.expiresAt) : undefined)
  return { kind: 'deleteField', existed: true }
}
