/** Plain data is plain msgpack, and bytes that no value has are CORRUPT. */
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { decodeValue, encodeValue } from '../../../src/storage/values/value.ts'
import { expectSame, text } from '../../support/same-values.ts'

const hex = (value: unknown): string => Buffer.from(encodeValue(value).bytes).toString('hex')

describe('the encoding', () => {
  // These bytes are in people's logs: a change here is a change of the format.
  test.each([
    [null, 'c0'],
    [true, 'c3'],
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [65536, 'ce00010000'],
    [-1, 'ff'],
    [-33, 'd0df'],
    [-0, 'c192009191a96d696e75735a65726f'],
    [1.5, 'cb3ff8000000000000'],
    [2 ** 32, 'cb41f0000000000000'],
    [5n, 'd30000000000000005'],
    [2n ** 63n, 'cf8000000000000000'],
    [['a', 'é'], '92a161a2c3a9'],
    [{ a: 1 }, '81a16101'],
    [[Buffer.of(1, 2)], '91c4020102'],
    [new Map([[1, 2]]), 'c192919201029191a36d6170'],
    [new Set([1, 'a']), 'c1929201a1619191a3736574'],
    [new Date(1500), 'c192cd05dc9191a464617465'],
    [{ a: [new Date(-1)] }, 'c19281a16191ff9193a464617465a16100'],
  ])('of %o is %s', (value, bytes) => {
    expect(hex(value)).toBe(bytes)
    expectSame(decodeValue({ tag: 0, bytes: Buffer.from(bytes, 'hex') }), value)
  })

  const plain = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, false),
      fc.integer(),
      fc.double().filter((number) => !Object.is(number, -0)),
      text,
      fc.array(tie('value')),
      fc.dictionary(
        text.filter((name) => name !== '__proto__'),
        tie('value'),
        { noNullPrototype: true },
      ),
    ),
  })).value

  test('of plain data is plain msgpack, which any reader reads', () => {
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(typeof value !== 'string')
        expectSame(unpack(encodeValue(value).bytes), value)
      }),
      { numRuns: 500 },
    )
  })
})

/** What decoding did: a value, or a code; anything else is a fault of ours. */
const outcome = (bytes: Uint8Array): { value: unknown } | { code: unknown } => {
  try {
    return { value: decodeValue({ tag: 0, bytes }) }
  } catch (error) {
    return { code: isKeelsonError(error) ? error.code : error }
  }
}

describe('bytes that no value has', () => {
  test.each([
    ['no bytes', ''],
    ['the type that msgpack never uses, alone', 'c1'],
    ['two values', 'c0c0'],
    ['a string that ends too early', 'a361'],
    ['a RegExp of msgpackr', 'd4780092a178a0'],
    ['an extension of msgpackr for sets', 'd473009101'],
    ['a date of msgpack', 'd6ff00000001'],
    ['a property that is undefined', '81a161d40000'],
    ['marks that are none', 'c192c0c0'],
    ['a mark that points nowhere', 'c19280919 2a36d6170a161'.replace(' ', '')],
    ['a mark that does not fit', 'c192c09191a36d6170'],
    ['a mark of an unknown kind', 'c192909191a3666f6f'],
  ])('are CORRUPT: %s', (_, bytes) => {
    expect(outcome(Buffer.from(bytes, 'hex'))).toEqual({ code: 'CORRUPT' })
  })

  test('are CORRUPT as text that is not UTF-8', () => {
    const decode = () => decodeValue({ tag: 1, bytes: Buffer.from('c328', 'hex') })
    expect(decode).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

test('a blob reference has no value of its own', () => {
  const decode = () => decodeValue({ tag: 3, bytes: Buffer.alloc(60) })
  expect(decode).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
