/** Limits and damage, which the random histories do not reach. */
import { describe, expect, test } from 'vitest'
import { type Command, noExpiry, type Unit } from '../../../src/storage/commands/command.ts'
import { refusalError } from '../../../src/storage/commands/command-answer.ts'
import type { Row, RowRange, StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { compoundHead, fieldsMax } from '../../../src/storage/rows/field-commands.ts'
import { inlineBytesMax } from '../../../src/storage/values/rope.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const text = (content: string): StoredValue => ({
  tag: 1,
  bytes: new Uint8Array(Buffer.from(content)),
})
const row = (content: string, expiresAt = 0): Row => ({ value: text(content), expiresAt })
const one = (command: Command): Unit => command
const put = (key: string): Command => ({ kind: 'put', key, value: text('v'), expiry: noExpiry })
const marker: readonly [string, Row] = [
  '\0c',
  { value: { tag: 2, bytes: new Uint8Array() }, expiresAt: 0 },
]

const refusalOf = (unit: Unit, rows: MapRows, time = 100) => {
  const { changes, answer } = appliedUnit(unit, rows, time)
  if (answer.kind !== 'refused') throw new Error(`not refused: ${answer.kind}`)
  expect(changes).toEqual([])
  return refusalError(answer)
}

describe('a refusal', () => {
  test('of a lock names its owner, its end, and the command’s index in a batch', () => {
    const rows = new MapRows()
    rows.take(
      appliedUnit(one({ kind: 'lock', keys: ['k'], owner: 'ann', leaseMs: 50 }), rows, 100).changes,
    )
    const batch: Unit = { kind: 'batch', commands: [put('a'), put('k')] }
    expect(refusalOf(batch, rows)).toMatchObject({
      code: 'LOCKED',
      details: { key: 'k', owner: 'ann', until: 150, command: 1 },
    })
    expect(refusalOf(one(put('k')), rows, 149).code).toBe('LOCKED')
    expect(appliedUnit(one(put('k')), rows, 150).answer.kind).toBe('put')
  })

  test('of a lock of several keys locks none of them', () => {
    const rows = new MapRows()
    rows.take(
      appliedUnit(one({ kind: 'lock', keys: ['b'], owner: 'ann', leaseMs: 50 }), rows, 100).changes,
    )
    const lock = one({ kind: 'lock', keys: ['a', 'b'], owner: 'bob', leaseMs: 50 })
    expect(refusalOf(lock, rows).code).toBe('LOCKED')
  })

  test('is TOO_LARGE for a value beyond 16 MiB, also when a gap makes it so long', () => {
    const large: Row = { value: { tag: 2, bytes: new Uint8Array(inlineBytesMax) }, expiresAt: 0 }
    const rows = new MapRows([['k', large]])
    expect(refusalOf(one({ kind: 'append', key: 'k', suffix: text('x') }), rows).code).toBe(
      'TOO_LARGE',
    )
    const gap = one({ kind: 'setRange', key: 'absent', offset: 2 ** 40, patch: text('x') })
    expect(refusalOf(gap, rows).code).toBe('TOO_LARGE')
  })

  test('is TOO_LARGE for a field beyond the limit of a compound; existing fields can change', () => {
    const rows = new MapRows([marker, ['k', compoundHead(fieldsMax, 0)], ['k\0f', row('old')]])
    const field = (name: string) =>
      one({ kind: 'putField', key: 'k', field: name, value: text('v') })
    expect(refusalOf(field('more'), rows).code).toBe('TOO_LARGE')
    expect(appliedUnit(field('f'), rows, 100).changes).toEqual([['k\0f', row('v')]])
  })
})

describe('a field', () => {
  test('writes one row when it changes, whatever the size of the compound', () => {
    const fields = Array.from({ length: 1_000 }, (_, at) => [`k\0f${at}`, row('v')] as const)
    const rows = new MapRows([marker, ['k', compoundHead(1_000, 0)], ...fields])
    const put = one({ kind: 'putField', key: 'k', field: 'f7', value: text('new') })
    expect(appliedUnit(put, rows, 100).changes).toEqual([['k\0f7', row('new')]])
  })

  test('of an expired compound starts a new one, without the old fields', () => {
    const rows = new MapRows([
      marker,
      ['k', compoundHead(2, 50)],
      ['k\0a', row('1')],
      ['k\0b', row('2')],
    ])
    rows.take(
      appliedUnit(one({ kind: 'putField', key: 'k', field: 'a', value: text('new') }), rows, 100)
        .changes,
    )
    expect([...rows.rows]).toEqual([marker, ['k', compoundHead(1, 0)], ['k\0a', row('new')]])
  })
})

describe('clear of the keys without a namespace', () => {
  test('skips each namespace in one step, whatever its size', () => {
    const many = Array.from({ length: 500 }, (_, at) => [`n:${at}`, row('v')] as const)
    const rows = new MapRows([
      ['a', row('1')],
      ...many,
      ['z', row('2')],
      marker,
      ['q', compoundHead(1, 0)],
      ['q\0f:1', row('3')],
    ])
    let read = 0
    const counting = Object.assign(new MapRows(rows.rows), {
      *range(range: RowRange) {
        for (const entry of rows.range(range)) {
          read++
          yield entry
        }
      },
    })
    const { changes, answer } = appliedUnit(
      one({ kind: 'clear', namespace: '_root' }),
      counting,
      100,
    )
    expect(answer).toEqual({ kind: 'clear', removed: 3 })
    expect(changes.map(([key]) => key)).toEqual(['a', 'q', 'q\0f:1', 'z'])
    expect(read).toBeLessThan(10)
  })
})

test('a damaged rope is CORRUPT for a command that reads it, and for no other', () => {
  const rows = new MapRows([
    ['k', { value: { tag: 3, bytes: Uint8Array.of(1, 2, 3) }, expiresAt: 0 }],
  ])
  expect(() => appliedUnit(one({ kind: 'append', key: 'k', suffix: text('x') }), rows, 1)).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
  expect(appliedUnit(one(put('k')), rows, 1).answer.kind).toBe('put')
})

test('only the time stamp of the frame decides: no other clock is read', () => {
  const lock = one({ kind: 'lock', keys: ['k'], owner: 'ann', leaseMs: Number.MAX_SAFE_INTEGER })
  expect(appliedUnit(lock, new MapRows(), 5).answer).toEqual({
    kind: 'lock',
    until: Number.MAX_SAFE_INTEGER,
  })
})
