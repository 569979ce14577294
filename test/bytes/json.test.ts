/** JSON that is read back, in a program whose libraries have given prototypes a `toJSON`. */
import { expect, test } from 'vitest'
import { plainJson } from '../../src/bytes/json.ts'

const values = [
  ...[1, 'a "text"', null, [], {}, [1, [undefined, null]], { a: { b: [{}] }, c: undefined }],
  ...[new Date(0), { at: new Date(0) }, Object.assign(Object.create(null), { x: 1 })],
  JSON.parse('{"__proto__": 1, "toJSON": 2}'),
]

const texts = (): string[] => values.map((value) => plainJson(value, 2))

test('is that of JSON.stringify', () => {
  for (const value of values)
    for (const indent of [undefined, 1, 2])
      expect(plainJson(value, indent)).toBe(JSON.stringify(value, undefined, indent))
})

test.each([
  ['Array', Array.prototype],
  ['Object', Object.prototype],
])('is the same after a library has given %s a toJSON', (_, prototype) => {
  const before = texts()
  Object.defineProperty(prototype, 'toJSON', {
    ...{ value: () => 'of a library', configurable: true, enumerable: true },
  })
  let after: string[]
  try {
    after = texts()
  } finally {
    Reflect.deleteProperty(prototype, 'toJSON')
  }

  expect(after).toEqual(before)
})
