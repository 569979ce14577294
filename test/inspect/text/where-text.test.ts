/** Conditions of a list of runs, as a person writes them. */
import { expect, test } from 'vitest'
import { entityWhereIn, whereIn } from '../../../src/inspect/text/where-text.ts'

test.each([
  ['', {}],
  ['customer=c-7', { customer: 'c-7' }],
  ['customer=c-7,status=failed', { customer: 'c-7', status: 'failed' }],
  [' customer = c-7 , tier=2  isLate=true ', { customer: 'c-7', tier: 2, isLate: true }],
  ['a=-1.5 b=1e3 c=false', { a: -1.5, b: 1_000, c: false }],
  ['a="2" b="x, y" c="say \\"so\\""', { a: '2', b: 'x, y', c: 'say "so"' }],
  ['order=007 url=a=b', { order: '007', url: 'a=b' }],
])('%j are these conditions', (text, where) => {
  expect(whereIn(text)).toEqual(where)
})

test.each(['customer', 'customer=', '=c', 'customer="c', 'a=1,,b=2', ',', 'a=1,a=2'])(
  '%j is refused',
  (text) => {
    expect(() => whereIn(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  },
)

test('a field of an entity may be null, and a text of that name is written as one', () => {
  const text = 'owner=null, name="null", __proto__=1'
  expect(Object.entries(entityWhereIn(text))).toEqual([
    ['owner', null],
    ['name', 'null'],
    ['__proto__', 1],
  ])
})
