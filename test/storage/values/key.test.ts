/** Keys: what is refused, how they are ordered, where they belong. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { utf8Length } from '../../../src/bytes/utf8.ts'
import { checkKey, compareKeys, namespaceOf, shardOf } from '../../../src/storage/values/key.ts'
import { anyText } from '../../support/any-text.ts'

const wellFormed = fc.oneof(
  anyText(),
  fc.string({ unit: 'grapheme' }),
  // Around the place where UTF-16 and UTF-8 order differently.
  fc.string({
    unit: fc.constantFrom('a', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
  }),
)

const illFormed = fc
  .tuple(wellFormed, fc.constantFrom('\ud800', '\udbff', '\udc00', '\udfff'), wellFormed)
  .map(([before, lone, after]) => `${before}${lone}${after}`)
  .filter((text) => /\p{Surrogate}/u.test(text))

test('every well-formed string of 1 to 1,024 bytes without NUL is a key, as it is', () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      fc.pre(text.length > 0 && !text.includes('\0') && !text.startsWith('_root:'))
      expect(checkKey(text)).toBe(text)
    }),
  )
  for (const longest of ['k'.repeat(1024), 'é'.repeat(512), '\u{1f600}'.repeat(256)])
    expect(checkKey(longest)).toBe(longest)
})

test('everything else is refused with INVALID_ARGUMENT', () => {
  const others = [
    '',
    '\0',
    'a\0b',
    'k'.repeat(1025),
    `${'é'.repeat(512)}k`,
    `${'\u{1f600}'.repeat(256)}k`,
    'k'.repeat(1e6),
    '_root:',
    '_root:a',
    undefined,
    null,
    7,
    {},
    ['a'],
    Buffer.from('a'),
    Object('a'),
  ]
  for (const other of others)
    expect(() => checkKey(other), String(other)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  fc.assert(
    fc.property(illFormed, (text) => {
      expect(() => checkKey(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }),
  )
})

test('utf8Length is the number of bytes, and -1 for what is ill-formed', () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      expect(utf8Length(text)).toBe(Buffer.byteLength(text))
    }),
  )
  fc.assert(
    fc.property(illFormed, (text) => {
      expect(utf8Length(text)).toBe(-1)
    }),
  )
})

test('compareKeys orders as the UTF-8 bytes do', () => {
  fc.assert(
    fc.property(wellFormed, wellFormed, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b))
      expect(Math.sign(compareKeys(a, b))).toBe(expected)
      expect(Math.sign(compareKeys(b, a)) + expected).toBe(0)
    }),
    { numRuns: 2000 },
  )
  expect(compareKeys('\u{10000}', '\uffff')).toBeGreaterThan(0)
})

test.each([
  ['a', 'a'],
  ['{user}:1', 'user'],
  ['order:{user}:2', 'user'],
  ['{}:a', '{}:a'],
  ['a{b', 'a{b'],
  ['a}b{c}', 'c'],
  ['{{a}}', '{a'],
  ['{é}x', 'é'],
])('the shard of %j is that of %j', (key, hashed) => {
  for (const shards of [2, 3, 7, 16])
    expect(shardOf(key, shards)).toBe(crc32(Buffer.from(hashed)) % shards)
  expect(shardOf(key, 1)).toBe(0)
})

test('the shard of a key never changes: folders are laid out by it', () => {
  expect(['a', 'order:1', '{user}:1', 'ключ'].map((key) => shardOf(key, 16))).toEqual([3, 9, 9, 10])
})

test.each([
  ['a', '_root'],
  ['order:1', 'order'],
  ['order:item:1', 'order'],
  [':a', ''],
  ['{a:b}', '{a'],
])('the namespace of %j is %j', (key, namespace) => {
  expect(namespaceOf(key)).toBe(namespace)
})
