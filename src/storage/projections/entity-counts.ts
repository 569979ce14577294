/**
 * The counters of entities: how many a kind has, and how many have each value of an index field.
 * They are rows of a projection of the package's own. So they change in the transaction of the rows
 * that they count, and they are built and rebuilt like those of users. Pure.
 */
import { rowsOf } from '../values/row-key.ts'
import type { ProjectedOperation } from './projection.ts'
import type { RowChanged } from './projection-change.ts'

/** Counts main rows and index rows. No user's projection has a `$` in its name. */
export const entityCounts = {
  name: '$entities',
  version: 1,
  keeps: false,
  walks: [rowsOf('entity'), rowsOf('index')],
  changes: (changed: RowChanged): readonly RowChanged[] => [changed],
  project: ({ rowKey, before, after }: RowChanged): readonly ProjectedOperation[] => {
    const by = Number(after !== undefined) - Number(before !== undefined)
    return by === 0 ? [] : [{ kind: 'add', key: counterOf(rowKey), by }]
  },
}

/** The key of the counter of all entities of a kind. A length of a field takes its second slash. */
export const kindCounter = (kind: string): string => `${kind}//`

/** The keys of the counters of a field's values begin so. The encoded value follows. */
export const fieldCounters = (kind: string, field: string): string =>
  `${kind}/${field.length}/${field}`

const counterOf = (rowKey: string): string => {
  const [, head = '', field, value] = rowKey.split('\0')
  if (field === undefined) return kindCounter(head.slice(1, head.indexOf('/')))
  return fieldCounters(head.slice(1), field) + value
}
