/** The judge of the histories of keys that members of a cluster write: it must see what it is there for. */
import { expect, test } from 'vitest'
import { type RegisterOperation, registerFault } from '../support/models/register-history.ts'

const never = Number.POSITIVE_INFINITY
const write = (value: string, begin: number, end: number): RegisterOperation => ({
  ...{ kind: 'write', value, begin, end },
})
const read = (value: string | undefined, begin: number, end: number): RegisterOperation => ({
  ...{ kind: 'read', value, begin, end },
})

test.each([
  ['an empty one', []],
  ['reads of nothing before the first write', [read(undefined, 0, 1), write('a', 2, 3)]],
  ['one after another', [write('a', 0, 1), read('a', 2, 3), write('b', 4, 5), read('b', 6, 7)]],
  [
    'a read during a write, of either value',
    [write('a', 0, 1), write('b', 2, 9), read('a', 3, 4), read('b', 5, 6)],
  ],
  [
    'an unknown write that is read much later',
    [write('a', 0, never), write('b', 1, 2), read('b', 3, 4), read('a', 5, 6)],
  ],
  ['an unknown write that nobody reads', [write('a', 0, never), write('b', 1, 2), read('b', 3, 4)]],
  ['writes side by side in either order', [write('a', 0, 5), write('b', 1, 4), read('a', 6, 7)]],
])('%s is linearizable', (_, history) => {
  expect(registerFault(history)).toBeUndefined()
})

test.each([
  ['a value that nobody wrote', [read('x', 0, 1)]],
  ['a read before its write', [read('a', 0, 1), write('a', 2, 3)]],
  ['a lost write', [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)]],
  ['nothing after a write', [write('a', 0, 1), read(undefined, 2, 3)]],
  [
    'a value that comes back',
    [write('a', 0, 1), write('b', 2, 9), read('b', 3, 4), read('a', 5, 6)],
  ],
  [
    'an unknown write that goes away again',
    [write('a', 0, 1), write('b', 2, never), read('b', 3, 4), read('a', 5, 6)],
  ],
])('%s is not', (_, history) => {
  expect(registerFault(history)).toBeDefined()
})
