/**
 * The effect of a turn on the rows of its durable actor. It takes effect only if the main row has
 * the mark that it follows. So a late unit of a killed incarnation changes nothing. Pure.
 */
import type { Removal, Turn } from '../commands/command.ts'
import { type Refusal, refused } from '../commands/command-answer.ts'
import { ownRowKey, removalRowKey } from '../values/entity-key.ts'
import { entityRow, hasMark, readEntityRow } from '../values/entity-row.ts'
import type { RowSink, Rows } from './rows.ts'

/** The refusal of a turn that follows another main row, at `key`, than the present one. */
export const turnRefusal = (
  { entity, follows }: Turn,
  key: string,
  rows: Rows,
): Refusal | undefined => {
  const row = rows.get(key)
  const isNext = row && follows ? hasMark(row, follows) : !row && !follows
  if (isNext) return undefined
  return refused({ code: 'CONFLICT', present: row && readEntityRow(row).mark }, entity)
}

/** Sets the rows of a turn that was not refused. `key`: of its main row. */
export const setEntityRows = (
  { entity, row, rows, own }: Turn,
  key: string,
  into: RowSink,
): void => {
  into.set(key, row && entityRow(row))
  for (const [rowKey, bytes] of rows) into.set(rowKey, bytes && entityRow(bytes))
  if (own)
    for (const [ownKey, value] of own.changes)
      into.set(ownRowKey(entity, own.birth, ownKey), value && { value, expiresAt: 0 })
}

/** How many rows a turn sets beside the main row. */
export const rowsBeside = ({ rows, own }: Turn): number => rows.length + (own?.changes.length ?? 0)

/**
 * Removes rows of a birth that has ended. Applied again, or while the birth has not ended, it
 * changes nothing.
 */
export const applyRemoval = (
  { entity, birth, keys, isLast }: Removal,
  rows: Rows,
  into: RowSink,
): void => {
  const removal = removalRowKey(entity, birth)
  if (!rows.get(removal)) return
  for (const key of keys) into.set(ownRowKey(entity, birth, key), undefined)
  if (isLast) into.set(removal, undefined)
}
