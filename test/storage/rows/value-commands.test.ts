/** What commands do to values that have expired, to values of another kind, and behind locks. */
import { describe, expect, test } from 'vitest'
import { type Command, type Expiry, noExpiry } from '../../../src/storage/commands/command.ts'
import { type Row, rowTags, type StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { ChangedRows } from '../../../src/storage/rows/rows.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import { lockRowKey } from '../../../src/storage/values/row-key.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const now = 1_000
const text = (content: string): StoredValue => ({ tag: 1, bytes: Buffer.from(content) })
const row = (content: string, expiresAt = 0): Row => ({ value: text(content), expiresAt })
const run = (command: Command, rows: Record<string, Row>) =>
  appliedUnit(command, new MapRows(Object.entries(rows)), now)

describe('a value that has expired', () => {
  const set = (condition: 'absent' | 'present'): Command => ({
    kind: 'set',
    key: 'a',
    value: text('new'),
    expiry: { kind: 'keep' },
    condition,
    get: true,
  })

  test('is absent for the condition of a set', () => {
    const written = (['absent', 'present'] as const).map(
      (condition) => run(set(condition), { a: row('old', now) }).answer,
    )
    expect(written).toMatchObject([
      { kind: 'set', written: true, previous: undefined },
      { kind: 'set', written: false, previous: undefined },
    ])
  })

  test('has no expiry to keep', () => {
    expect(run(set('absent'), { a: row('old', now) }).changes).toEqual([['a', row('new')]])
  })
})

describe('compareAndSet', () => {
  const swap = (expected: StoredValue | undefined, expiry: Expiry = noExpiry): Command => ({
    ...{ kind: 'compareAndSet', key: 'a', expected, value: text('new'), expiry },
  })

  test('swaps an equal value, and shows another one', () => {
    expect(run(swap(text('old')), { a: row('old') })).toEqual({
      answer: { kind: 'compareAndSet', swapped: true, current: undefined },
      changes: [['a', row('new')]],
    })
    expect(run(swap(text('else')), { a: row('old') })).toEqual({
      answer: { kind: 'compareAndSet', swapped: false, current: text('old') },
      changes: [],
    })
  })

  test('of a value that has expired already removes the one before, and nothing where there is none', () => {
    const past = { kind: 'at', ms: now } as const
    expect(run(swap(undefined, past), {}).changes).toEqual([])
    expect(run(swap(text('old'), past), { a: row('old') }).changes).toEqual([['a', undefined]])
  })
})

test('a field that is removed leaves the others, and the last one takes the compound with it', () => {
  const rows = new ChangedRows(new MapRows())
  const apply = (command: Command) =>
    applyUnits(command, rows, { lsn: 1, time: now }, rows) as readonly unknown[]
  const entries = ['x', 'y'].map((field) => [field, text(field)] as const)
  apply({ kind: 'putFields', key: 'a', fields: entries })
  const remove = (field: string) => apply({ kind: 'deleteField', key: 'a', field })
  apply({ kind: 'putFields', key: 'a', fields: entries })
  expect([...rows.fields('a')]).toHaveLength(2)
  expect(remove('x')).toEqual([{ kind: 'deleteField', existed: true }])
  expect([...rows.fields('a')]).toHaveLength(1)
  expect(remove('x')).toEqual([{ kind: 'deleteField', existed: false }])
  expect(remove('y')).toEqual([{ kind: 'deleteField', existed: true }])
  expect([[...rows.fields('a')], rows.get('a')]).toEqual([[], undefined])
})

test('a value or a compound that is to expire at once is removed, with all its fields', () => {
  const rows = new ChangedRows(new MapRows())
  const apply = (command: Command) =>
    applyUnits(command, rows, { lsn: 1, time: now }, rows) as readonly unknown[]
  const fields = ['x', 'y'].map((field) => [field, text(field)] as const)
  apply({ kind: 'putFields', key: 'a', fields })
  apply({ kind: 'put', key: 'b', value: text('b'), expiry: noExpiry })
  const expire = (key: string, ms: number) =>
    apply({ kind: 'expire', key, expiry: { kind: 'at', ms } })

  for (const key of ['a', 'b']) {
    expect(expire(key, now + 1)).toEqual([{ kind: 'expire', existed: true }])
    expect(rows.get(key)?.expiresAt).toBe(now + 1)
    expect(expire(key, now)).toEqual([{ kind: 'expire', existed: true }])
    expect([rows.get(key), [...rows.fields(key)]]).toEqual([undefined, []])
    expect(expire(key, now + 1)).toEqual([{ kind: 'expire', existed: false }])
  }
})

test('a put alone in its frame is answered as that', () => {
  const put: Command = { kind: 'put', key: 'a', value: text('v'), expiry: noExpiry }
  const rows = new ChangedRows(new MapRows())
  expect(applyUnits(put, rows, { lsn: 1, time: now }, rows)).toEqual([{ kind: 'put' }])
})

test('a suffix that is no bytes is WRONG_TYPE, also behind text', () => {
  const suffix = { tag: 0 as const, bytes: Buffer.from([0xc0]) }
  for (const rows of [{}, { a: row('text') }])
    expect(run({ kind: 'append', key: 'a', suffix }, rows)).toMatchObject({
      answer: { kind: 'refused', reason: { code: 'WRONG_TYPE' } },
      changes: [],
    })
})

test('a clear of the root is refused by a lock on a key without a colon, and by no other lock', () => {
  const lock: Row = { value: { tag: rowTags.lock, bytes: Buffer.from('me') }, expiresAt: now + 5 }
  const clear: Command = { kind: 'clear', namespace: '_root' }
  const values = { a: row('a'), 'n:a': row('n') }

  expect(run(clear, { ...values, [lockRowKey('n:a')]: lock })).toMatchObject({
    answer: { kind: 'clear', removed: 1 },
    changes: [['a', undefined]],
  })
  expect(run(clear, { ...values, [lockRowKey('b')]: lock }).answer).toMatchObject({
    kind: 'refused',
    reason: { code: 'LOCKED' },
  })
})

test('a removal of expired keys counts what it removed, and leaves values and locks that were renewed', () => {
  const lock = (key: string, expiresAt: number) => [lockRowKey(key), row('owner', expiresAt)]
  const rows = Object.fromEntries([
    ['gone', row('v', now)],
    ['renewed', row('v', now + 1)],
    ['kept', row('v')],
    lock('gone', now),
    lock('renewed', now + 1),
  ])
  const keys = ['gone', 'renewed', 'kept', 'absent']
  expect(run({ kind: 'removeExpired', keys }, rows)).toEqual({
    answer: { kind: 'removeExpired', removed: 2 },
    changes: [
      ['gone', undefined],
      [lockRowKey('gone'), undefined],
    ],
  })
})
