/** The effect of turns and removals on the rows that entities keep themselves. */
import { describe, expect, test } from 'vitest'
import type { OwnChange, Removal, Turn, Unit } from '../../../src/storage/commands/command.ts'
import { refsOfUnit } from '../../../src/storage/commands/command-values.ts'
import type { StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { recordOfLogged } from '../../../src/storage/rows/blob-rows.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import {
  entityOf,
  isRowBeside,
  ownKeyOf,
  ownRowKey,
  ownRows,
  removalRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { blobRope, storedRope } from '../../../src/storage/values/rope.ts'
import { rowClassOf } from '../../../src/storage/values/row-key.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const entity = 'order/4'
const [first, second] = ['0123456789abcdef', '0123456789abcdff']
const text = (content: string): StoredValue => ({ tag: 1, bytes: Buffer.from(content) })
const blob = storedRope(
  blobRope(1, { size: 9, segment: 2, offset: 4096, sha256: new Uint8Array(32) }),
)

const turn = (birth: string, changes: readonly OwnChange[], more: Partial<Turn> = {}): Turn => ({
  ...{ kind: 'turn', entity, follows: undefined, rows: [], writes: [] },
  row: mainRowOf({ incarnation: birth, seq: 1 }, Buffer.from('state')),
  own: { birth, changes },
  ...more,
})

const removal = (birth: string, keys: readonly string[], isLast = false): Removal => ({
  ...{ kind: 'removal', entity, birth, keys, isLast },
})

const applied = (rows: MapRows, ...units: readonly Unit[]) =>
  applyUnits(units, rows, { lsn: 7, time: 1 }, { set: (key, row) => rows.take([[key, row]]) })

const keysIn = (rows: MapRows, birth: string): string[] =>
  [...rows.range(ownRows(entity, birth))].map(([key]) => ownKeyOf(key))

describe('own rows', () => {
  test('are set by a turn that follows, under their birth, and not by another one', () => {
    const rows = new MapRows()
    applied(
      rows,
      turn(first, [
        ['a', text('1')],
        ['b', text('2')],
      ]),
    )
    const [late] = applied(rows, turn(second, [['c', text('3')]]))
    expect(late).toMatchObject({ kind: 'refused', reason: { code: 'CONFLICT' } })
    expect([keysIn(rows, first), keysIn(rows, second)]).toEqual([['a', 'b'], []])
    expect(rows.get(ownRowKey(entity, first, 'a'))?.value).toEqual(text('1'))
  })

  test('refer to blobs as values of users do: the log notes them', () => {
    const rows = new MapRows()
    const unit = turn(first, [['large', blob]])
    applied(rows, unit)
    expect(refsOfUnit(unit)).toHaveLength(1)
    const noted = [...rows.range({ gt: '\0b', lt: '\0c' })].map(([key, row]) =>
      recordOfLogged(key, row),
    )
    expect(noted).toMatchObject([{ segment: 2, lsn: 7 }])
  })

  test('have keys of a class of their own, of one entity and one birth', () => {
    const key = ownRowKey(entity, first, 'a/b')
    expect([rowClassOf(key), entityOf(key), ownKeyOf(key)]).toEqual(['own', entity, 'a/b'])
    expect(isRowBeside(entity, key)).toBe(false)
    expect(isRowBeside(entity, removalRowKey(entity, first))).toBe(true)
    expect(entityOf(`\0o${entity}\0${first}`)).toBe(undefined)
    expect(entityOf(removalRowKey(entity, 'ABCDEF0123456789'))).toBe(undefined)
    const rows = new MapRows()
    // A birth that another one begins with in all digits but the last, and an id that begins alike.
    applied(rows, turn(first, [['a', text('1')]]), {
      ...turn(first, [['x', text('2')]]),
      entity: 'order/44',
    })
    applied(rows, removal(second, ['a']))
    expect([keysIn(rows, first), keysIn(rows, second)]).toEqual([['a'], []])
  })
})

describe('a removal', () => {
  const ended = (): MapRows => {
    const rows = new MapRows()
    const follows = { incarnation: first, seq: 1 }
    applied(
      rows,
      turn(first, [
        ['a', text('1')],
        ['b', text('2')],
      ]),
    )
    const { own: _, ...end } = turn(first, [], { follows, row: undefined })
    applied(rows, { ...end, rows: [[removalRowKey(entity, first), Buffer.alloc(0)]] })
    applied(rows, turn(second, [['a', text('new')]]))
    return rows
  }

  test('of a birth that has not ended changes nothing', () => {
    const rows = new MapRows()
    applied(rows, turn(first, [['a', text('1')]]))
    expect(applied(rows, removal(first, ['a'], true))).toEqual([{ kind: 'removal' }])
    expect(keysIn(rows, first)).toEqual(['a'])
  })

  test('takes rows of the ended birth alone, the last one its mark too; again it changes nothing', () => {
    const rows = ended()
    for (const unit of [removal(first, ['a']), removal(first, ['a'])]) applied(rows, unit)
    expect([keysIn(rows, first), keysIn(rows, second)]).toEqual([['b'], ['a']])
    expect(rows.get(removalRowKey(entity, first))).toBeDefined()
    for (const unit of [removal(first, ['b'], true), removal(first, ['b'], true)])
      applied(rows, unit)
    expect([keysIn(rows, first), keysIn(rows, second)]).toEqual([[], ['a']])
    expect(rows.get(removalRowKey(entity, first))).toBe(undefined)
  })
})
