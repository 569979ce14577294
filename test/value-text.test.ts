/** Values as text for reports: readable, bounded while they are walked, and never a throw. */
import { describe, expect, test } from 'vitest'
import { valueText } from '../src/value-text.ts'

class Account {
  readonly owner = 'ada'
  get secret(): string {
    throw new Error('not to be read')
  }
}

const looped: Record<string, unknown> = { n: 1 }
looped.self = looped

const shared = (depth: number): unknown => {
  let value: unknown = 'leaf'
  for (let each = 0; each < depth; each++) value = [value, value]
  return value
}

test.each<[unknown, string]>([
  [undefined, 'undefined'],
  ['a\n"b"', '"a\\n\\"b\\""'],
  [7n, '7n'],
  [Symbol('s'), 'Symbol(s)'],
  [() => 1, '[function]'],
  [{ count: 1, 'a-b': [1, 'two', null] }, '{count: 1, "a-b": [1, "two", null]}'],
  [new Map([['k', new Set([1])]]), 'Map(1) {"k" => Set(1) {1}}'],
  [new Account(), 'Account {owner: "ada"}'],
  [new TypeError('odd'), 'TypeError: odd'],
  [Buffer.alloc(1_000_000), 'Buffer(1000000 bytes)'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [looped, '{n: 1, self: …}'],
  [Object.create(null, { n: { value: 1, enumerable: true } }), '{n: 1}'],
  [Object.defineProperty({}, 'g', { get: () => 1, enumerable: true }), '{g: [getter]}'],
])('%# is shown as it is', (value, text) => {
  expect(valueText(value)).toBe(text)
})

describe('the text', () => {
  test('ends when its budget is spent, with a mark', () => {
    expect(valueText('x'.repeat(100), 10)).toBe('"xxxxxxxxx…')
    expect(valueText([1, 2, 3, 4, 5], 7)).toBe('[1, 2, …')
    expect(valueText([1, 2], 6)).toBe('[1, 2]')
  })

  test('costs no more for a large value: the walk reads no further than its budget', () => {
    let read = 0
    const endless = {
      toJSON: () =>
        new Proxy([], {
          get: (_, key) => {
            if (key === 'length') return 1e9
            if (key === Symbol.iterator)
              return function* () {
                for (;;) yield read++
              }
            return undefined
          },
        }),
    }
    expect(valueText(endless)).toHaveLength(1_001)
    expect(read).toBeLessThan(1_001)
    expect(valueText(shared(60))).toHaveLength(1_001)
  })

  test('marks what throws when it is read, and goes on', () => {
    const throwing = (): never => {
      throw new Error('no')
    }
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    expect(valueText([{ toJSON: throwing }, revoked.proxy, 1])).toBe(
      '[[unreadable], [unreadable], 1]',
    )
  })
})
