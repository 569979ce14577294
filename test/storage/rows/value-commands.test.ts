/** What commands do to values that have expired, to values of another kind, and behind locks. */
import { describe, expect, test } from 'vitest'
import type { Command } from '../../../src/storage/commands/command.ts'
import { type Row, rowTags, type StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { lockRowKey } from '../../../src/storage/values/row-key.ts'
import { appliedUnit } from '../../support/applied-unit.ts'
import { MapRows } from '../../support/map-rows.ts'

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
