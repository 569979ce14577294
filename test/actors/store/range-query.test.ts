import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cursorAt } from '../../../src/actors/store/page-cursor.ts'
import { type RangeOptions, rangeQuery } from '../../../src/actors/store/range-query.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { codeOf } from '../../support/error-codes.ts'

describe('a range query', () => {
  test('refuses what it does not know', () => {
    const wrong: unknown[] = [
      null,
      'a',
      { limit: 0 },
      { limit: 1.5 },
      { gt: 'a', gte: 'b' },
      { lt: 'a', lte: 'b' },
      { gte: 7 },
      { unknown: 1 },
      { reverse: 'yes' },
      { values: 1 },
    ]
    expect(wrong.map((options) => codeOf(() => rangeQuery(options as RangeOptions)))).toEqual(
      wrong.map(() => 'INVALID_ARGUMENT'),
    )
  })

  test('goes on behind its cursor, forwards and backwards', () => {
    const forwards = rangeQuery({ gte: 'a', lt: 'x' })
    expect(
      rangeQuery({ gte: 'a', lt: 'x', cursor: cursorAt(forwards.fingerprint(), 'k') }).range,
    ).toEqual({
      gt: 'k',
      lt: 'x',
      reverse: false,
    })

    const backwards = rangeQuery({ gte: 'a', lt: 'x', reverse: true })
    const options = {
      gte: 'a',
      lt: 'x',
      reverse: true,
      cursor: cursorAt(backwards.fingerprint(), 'k'),
    }
    expect(rangeQuery(options).range).toEqual({ gte: 'a', lt: 'k', reverse: true })
  })

  test('refuses the cursor of another query, and what is no cursor', () => {
    const cursor = cursorAt(rangeQuery({ gte: 'a' }).fingerprint(), 'k')

    expect(codeOf(() => rangeQuery({ gte: 'b', cursor }))).toBe('BAD_CURSOR')
    expect(codeOf(() => rangeQuery({ gte: 'a', reverse: true, cursor }))).toBe('BAD_CURSOR')
    expect(codeOf(() => rangeQuery({ gte: 'a', cursor: 'nonsense' }))).toBe('BAD_CURSOR')
    expect(codeOf(() => rangeQuery({ gte: 'a', cursor: 7 as unknown as string }))).toBe(
      'BAD_CURSOR',
    )
  })

  test('takes of a prefix exactly the keys that begin with it', () => {
    const key = fc.string({ unit: 'grapheme-composite', minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(key, fc.array(key), (prefix, keys) => {
        const { gte = '', lt } = rangeQuery({ prefix }).range
        const inside = (each: string) =>
          compareKeys(each, gte) >= 0 && (lt === undefined || compareKeys(each, lt) < 0)
        for (const each of [...keys, `${prefix}x`, `${prefix}\u{10ffff}`, prefix])
          expect(inside(each), JSON.stringify([prefix, each])).toBe(each.startsWith(prefix))
      }),
    )
  })
})
