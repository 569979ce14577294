/** The indexes and counters of ledgers against the states that are shown. */
import { fieldCountsIn, kindCountIn } from '../../../src/actors/entities/entity-totals.ts'
import type { App } from '../../../src/index.ts'
import { encodeIndexValue } from '../../../src/storage/index.ts'
import { fieldsOf, type Ledger, type ledgers } from '../lives/ledger-entity.ts'

type Fields = ReturnType<typeof fieldsOf>
type Born = readonly { readonly id: string; readonly fields: Fields }[]

/** Each index has every entity once, with the value that its state gives, and no other row. */
export const indexFaults = (app: App, kind: ReturnType<typeof ledgers>): readonly string[] => {
  const handle = app.entity<unknown, Ledger>(kind.id)
  const born = handle
    .list()
    .entries.map(({ id, state }) => ({ id, fields: fieldsOf(state as Ledger) }))
  return [
    ...bothFaults(app, kind, born),
    ...(['count', 'written'] as const).flatMap((field) => {
      const expected = born
        .sort((a, b) => a.fields[field] - b.fields[field] || (a.id < b.id ? -1 : 1))
        .map(({ id, fields }) => `${id} ${fields[field]}`)
      const values = new Set(born.map(({ fields }) => fields[field]))
      const found = [...values].flatMap((value) =>
        handle.list({ where: { [field]: value } }).entries.map(({ id }) => `${id} ${value}`),
      )
      const all = handle.list({ where: { [field]: { gte: 0 } } }).entries.map(({ id }) => id)
      const isRight = `${found}` === `${expected}` && all.length === expected.length
      const faults = isRight ? [] : [`${field} has ${all}: ${found}, and states say ${expected}`]
      return [...faults, ...counterFaults(app, field, born)]
    }),
  ]
}

/** A list by both fields has the entities whose states have both values, and a page of one at a time has. */
const bothFaults = (app: App, kind: ReturnType<typeof ledgers>, born: Born): readonly string[] => {
  const handle = app.entity<unknown, Ledger>(kind.id)
  const pairs = new Map(born.map(({ fields }) => [`${fields.count} ${fields.written}`, fields]))
  return [...pairs.values()].flatMap(({ count, written }) => {
    const expected = born
      .filter(({ fields }) => fields.count === count && fields.written === written)
      .map(({ id }) => id)
      .sort()
    const found: string[] = []
    for (let cursor: string | undefined, isLast = false; !isLast; ) {
      const where = { count, written: { gte: written, lte: written } }
      const page = handle.list({ where, limit: 1, ...(cursor && { cursor }) })
      found.push(...page.entries.map(({ id }) => id))
      cursor = page.cursor
      isLast = page.exhausted
    }
    const all = handle.list({ where: { written, count } }).entries.map(({ id }) => id)
    const isRight = `${found}` === `${expected}` && `${all}` === `${expected}`
    return isRight
      ? []
      : [`count ${count} and written ${written} find ${found} and ${all}: ${expected}`]
  })
}

/** The counters are those of the states that are shown, once they are built. */
const counterFaults = (app: App, field: keyof Fields, born: Born): readonly string[] => {
  const counts = new Map<string, number>()
  let all = 0
  for (const shard of app.shards) {
    const [values, ofKind] = [fieldCountsIn(shard, 'ledger', field), kindCountIn(shard, 'ledger')]
    if (!values || ofKind === undefined) return []
    all += ofKind
    for (const [value, count] of values) counts.set(value, (counts.get(value) ?? 0) + count)
  }
  const expected = new Map<string, number>()
  for (const { fields } of born) {
    const value = encodeIndexValue(fields[field])
    expected.set(value, (expected.get(value) ?? 0) + 1)
  }
  const [one, other] = [[...counts].sort(), [...expected].sort()]
  const isRight = `${one}` === `${other}` && all === born.length
  return isRight ? [] : [`${field} of ${all} is counted ${one}; ${born.length} states say ${other}`]
}
