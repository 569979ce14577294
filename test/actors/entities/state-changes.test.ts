/** The differences between two states, as paths. */
import { expect, test } from 'vitest'
import { changesBetween } from '../../../src/actors/entities/state-changes.ts'

test.each<[string, unknown, unknown, unknown[]]>([
  ['equal states', { a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, []],
  ['a member', { a: 1, b: 2 }, { a: 1, b: 3 }, [{ path: 'b', before: 2, after: 3 }]],
  ['a member that comes', {}, { a: 1 }, [{ path: 'a', after: 1 }]],
  ['a member that goes', { a: 1 }, {}, [{ path: 'a', before: 1 }]],
  [
    'a member in a member',
    { a: { b: 1 } },
    { a: { b: 2 } },
    [{ path: 'a.b', before: 1, after: 2 }],
  ],
  ['an item', { a: [1, 2] }, { a: [1, 3] }, [{ path: 'a[1]', before: 2, after: 3 }]],
  ['an item that comes', [1], [1, 2], [{ path: '[1]', after: 2 }]],
  [
    'a member of an item',
    { a: [{ b: 1 }] },
    { a: [{ b: 2 }] },
    [{ path: 'a[0].b', before: 1, after: 2 }],
  ],
  [
    'a name that is no word',
    { 'a b': 1 },
    { 'a b': 2 },
    [{ path: '["a b"]', before: 1, after: 2 }],
  ],
  ['a name of digits', { a: { 7: 1 } }, { a: { 7: 2 } }, [{ path: 'a["7"]', before: 1, after: 2 }]],
  [
    'an object without prototype',
    Object.assign(Object.create(null), { a: 1 }),
    { a: 2 },
    [{ path: 'a', before: 1, after: 2 }],
  ],
  [
    'a list and an object',
    { a: [1] },
    { a: { 0: 1 } },
    [{ path: 'a', before: [1], after: { 0: 1 } }],
  ],
  [
    'other values, which are whole',
    { a: new Date(0) },
    { a: new Date(1) },
    [{ path: 'a', before: new Date(0), after: new Date(1) }],
  ],
  ['null', { a: null }, { a: {} }, [{ path: 'a', before: null, after: {} }]],
  ['the first state', undefined, { a: 1 }, [{ path: '', after: { a: 1 } }]],
])('the differences of %s', (_, before, after, changes) => {
  expect(changesBetween(before, after)).toEqual(changes)
})

test('at most a hundred differences are listed', () => {
  const of = (value: number) =>
    Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`a${at}`, value]))
  expect(changesBetween(of(1), of(2)).map(({ path }) => path)).toEqual(
    Array.from({ length: 100 }, (_, at) => `a${at}`),
  )
})
