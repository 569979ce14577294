/** Bytes from outside: what the codec writes is read, and nothing else reaches msgpackr. */
import fc from 'fast-check'
import { Packr, pack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { decodeFromOutside, encodeStructured } from '../../../src/storage/values/value.ts'
import { expectSame, text } from '../../support/same-values.ts'
import { thorough } from '../../support/tier.ts'

const structured = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    ...[fc.constantFrom(null, -0, NaN, 2 ** 40, -1, 3.5), fc.boolean(), fc.integer(), text],
    ...[fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), fc.date({ noInvalidDate: true })],
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      tie('value'),
      { noNullPrototype: true },
    ),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
    fc.array(tie('value')).map((members) => new Set(members)),
  ),
})).value

/** `'read'`, or the code of the refusal. */
const outcomeOf = (bytes: Uint8Array): string => {
  try {
    decodeFromOutside(bytes)
    return 'read'
  } catch (error) {
    return isKeelsonError(error) ? error.code : String(error)
  }
}

const isRefused = (bytes: Uint8Array): boolean => outcomeOf(bytes) === 'INVALID_ARGUMENT'

describe('bytes from outside', () => {
  test('of any structured value are read, and the value is equal', () => {
    fc.assert(
      fc.property(structured, (value) =>
        expectSame(decodeFromOutside(encodeStructured(value)), value),
      ),
      { numRuns: thorough(300, 10_000) },
    )
  })

  test('of large values are read: long texts, bytes, lists and objects', () => {
    const names = Array.from({ length: 70_000 }, (_, at) => [`name ${at}`, at] as const)
    for (const value of ['x'.repeat(70_000), Buffer.alloc(70_000, 7), names.map(([, at]) => at)])
      expectSame(decodeFromOutside(encodeStructured(value)), value)
    expectSame(
      decodeFromOutside(encodeStructured(Object.fromEntries(names))),
      Object.fromEntries(names),
    )
  })

  test('that end early, or go on, are refused', () => {
    const bytes = encodeStructured([
      { a: new Map([['b', 1]]), c: 'text' },
      Buffer.of(1, 2),
      2 ** 40,
    ])
    expect(isRefused(Buffer.concat([bytes, Buffer.of(0)]))).toBe(true)
    for (let end = 0; end < bytes.length; end++)
      expect(isRefused(bytes.subarray(0, end))).toBe(true)
  })

  test.each([
    ['a record of msgpackr', new Packr({ useRecords: true }).pack({ a: 1 })],
    ['an error', pack(new RangeError('no'))],
    ['a pattern', new Packr({ moreTypes: true }).pack(/a+/)],
    ['a date of msgpack', pack(new Date(0))],
    ['a float of 32 bits', Buffer.from('ca3f800000', 'hex')],
    ['a list that says it has four billion members', Buffer.from('ddffffffff00', 'hex')],
    ['an object that says it has four billion', Buffer.from('dfffffffffa16100', 'hex')],
    ['a text longer than the bytes', Buffer.from('dbffffffff61', 'hex')],
    ['a name that is a number', Buffer.from('810102', 'hex')],
    ['a mark within', Buffer.from('91c1', 'hex')],
    ['no bytes', Buffer.alloc(0)],
    ['a mark of nothing', Buffer.from('c1', 'hex')],
    ['marks that point nowhere', Buffer.concat([Buffer.of(0xc1), pack([1, [['map', 'a']]])])],
    ['marks of no list', Buffer.concat([Buffer.of(0xc1), pack([1, 7])])],
    ['lists within lists beyond the depth of any value', Buffer.alloc(100_000, 0x91)],
  ])('%s is refused', (_, bytes) => {
    expect(isRefused(bytes)).toBe(true)
  })

  test('of chance, and values with a few bytes changed, are read or refused, and do nothing else', () => {
    const random = seededRandom(7)
    const number = (below: number): number => Math.floor(random() * below)
    const value = [{ a: new Map([[1n, new Set(['b'])]]), d: new Date(5), z: -0 }, Buffer.of(1), 'é']
    const written = encodeStructured(value)
    for (let round = 0; round < thorough(20_000, 1_000_000); round++) {
      const bytes = round % 2 ? Buffer.from(written) : Buffer.alloc(number(40))
      if (round % 2)
        for (let flips = 1 + number(3); flips > 0; flips--)
          bytes[number(bytes.length)] = number(256)
      else for (let at = 0; at < bytes.length; at++) bytes[at] = number(256)
      expect(['read', 'INVALID_ARGUMENT']).toContain(outcomeOf(bytes))
    }
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})
