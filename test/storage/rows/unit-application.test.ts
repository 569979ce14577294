/** The effect of units on rows. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Command,
  type Expiry,
  noExpiry,
  type Unit,
} from '../../../src/storage/commands/command.ts'
import type { Row, StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { isExpired } from '../../../src/storage/rows/rows.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const now = 1000

const text = (content: string): StoredValue => ({ tag: 1, bytes: Buffer.from(content) })
const row = (content: string, expiresAt = 0): Row => ({ value: text(content), expiresAt })
const put = (key: string, content: string, expiry: Expiry = noExpiry): Command => ({
  kind: 'put',
  key,
  value: text(content),
  expiry,
})
const remove = (key: string): Command => ({ kind: 'delete', key })
const one = (command: Command): Unit => command
const batch = (...commands: Command[]): Unit => ({ kind: 'batch', commands })

const run = (unit: Unit, rows: Record<string, Row> = {}, time = now) =>
  appliedUnit(unit, new MapRows(Object.entries(rows)), time)

describe('expiry', () => {
  test.each([
    [0, 0, false],
    [0, Number.MAX_SAFE_INTEGER, false],
    [1001, now, false],
    [1000, now, true],
    [999, now, true],
    [1, now, true],
  ])('of a row that ends at %i is, at %i: %j', (expiresAt, at, expired) => {
    expect(isExpired(row('a', expiresAt), at)).toBe(expired)
  })
})

describe('put', () => {
  test.each<[string, Expiry, number]>([
    ['no expiry', noExpiry, 0],
    ['a moment', { kind: 'at', ms: 5000 }, 5000],
    ['the next moment', { kind: 'at', ms: now + 1 }, now + 1],
    ['a time from its stamp on', { kind: 'after', ms: 250 }, 1250],
    ['the longest time', { kind: 'after', ms: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
  ])('replaces value and expiry, with %s', (_, expiry, expiresAt) => {
    const before = { k: row('old', 7000) }
    expect(run(one(put('k', 'new', expiry)), before)).toEqual({
      changes: [['k', row('new', expiresAt)]],
      answer: { kind: 'put' },
    })
  })

  test.each([now, now - 1, 1])(
    'that expires at %i, before its time stamp, removes the row',
    (ms) => {
      expect(run(one(put('k', 'new', { kind: 'at', ms })), { k: row('old') })).toEqual({
        changes: [['k', undefined]],
        answer: { kind: 'put' },
      })
    },
  )

  test('depends on the time stamp alone: a later replay does the same', () => {
    const unit = one(put('k', 'v', { kind: 'after', ms: 10 }))
    expect(run(unit, {}, now)).toEqual(run(unit, { k: row('other') }, now))
  })
})

describe('delete', () => {
  test('removes a row and answers that it existed', () => {
    expect(run(one(remove('k')), { k: row('v') })).toEqual({
      changes: [['k', undefined]],
      answer: { kind: 'delete', existed: true },
    })
  })

  test('changes nothing for an absent key', () => {
    expect(run(one(remove('k')))).toEqual({
      changes: [],
      answer: { kind: 'delete', existed: false },
    })
  })

  test('removes an expired row and answers that there was none', () => {
    expect(run(one(remove('k')), { k: row('v', now) })).toEqual({
      changes: [['k', undefined]],
      answer: { kind: 'delete', existed: false },
    })
    expect(run(one(remove('k')), { k: row('v', now + 1) }).answer).toEqual({
      kind: 'delete',
      existed: true,
    })
  })
})

describe('a batch', () => {
  test('answers each command in order, and each sees those before it', () => {
    const unit = batch(remove('a'), put('a', '1'), remove('a'), remove('a'), put('b', '2'))
    expect(run(unit, { a: row('0') })).toEqual({
      changes: [
        ['a', undefined],
        ['b', row('2')],
      ],
      answer: {
        kind: 'batch',
        answers: [
          { kind: 'delete', existed: true },
          { kind: 'put' },
          { kind: 'delete', existed: true },
          { kind: 'delete', existed: false },
          { kind: 'put' },
        ],
      },
    })
  })

  test('has the same effect as its commands one by one', { tags: ['slow'] }, () => {
    const expiry: fc.Arbitrary<Expiry> = fc.oneof(
      fc.constant(noExpiry),
      fc.record({
        kind: fc.constantFrom('at' as const, 'after' as const),
        ms: fc.integer({ min: 1, max: 2000 }),
      }),
    )
    const key = fc.constantFrom('a', 'b', 'c')
    const command = fc.oneof(
      fc.tuple(key, fc.string({ maxLength: 3 }), expiry).map(([k, v, e]) => put(k, v, e)),
      key.map(remove),
    )
    const rows = fc.dictionary(
      key,
      fc.tuple(fc.string({ maxLength: 3 }), fc.nat(2000)).map(([v, e]) => row(v, e)),
    )
    fc.assert(
      fc.property(fc.array(command, { minLength: 1 }), rows, (commands, before) => {
        const oneByOne = new MapRows(Object.entries(before))
        const answers = commands.map((next) => {
          const { changes, answer } = appliedUnit(one(next), oneByOne, now)
          oneByOne.take(changes)
          return answer
        })
        const atOnce = new MapRows(Object.entries(before))
        const applied = appliedUnit({ kind: 'batch', commands }, atOnce, now)
        atOnce.take(applied.changes)
        expect(applied.answer).toEqual({ kind: 'batch', answers })
        expect([...atOnce.rows].sort()).toEqual([...oneByOne.rows].sort())
        expect(new Set(applied.changes.map(([k]) => k)).size).toBe(applied.changes.length)
      }),
      { numRuns: 1000 },
    )
  })
})

test('applying a unit changes neither the unit nor the rows that it reads', () => {
  const before = Object.freeze({ a: Object.freeze(row('0')) })
  const unit = Object.freeze(
    batch(...[put('a', '1'), remove('a')].map(Object.freeze as <T>(c: T) => T)),
  )
  expect(run(unit, before)).toEqual(run(unit, before))
  expect(before).toEqual({ a: row('0') })
})
