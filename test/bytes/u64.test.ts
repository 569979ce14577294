import { expect, test } from 'vitest'
import { putU32, putU64, readU64, u32In, u64In, viewOf, writeU64 } from '../../src/bytes/u64.ts'

const numbers = [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 0x1234_5678_9abc, 2 ** 53 - 1]

for (const number of numbers)
  test(`plain bytes and a view hold ${number} alike`, () => {
    const [plain, viewed] = [new Uint8Array(12), new Uint8Array(12)]

    putU64(plain, 3, number)
    writeU64(viewOf(viewed), 3, number)

    expect(plain).toEqual(viewed)
    expect(u64In(plain, 3)).toBe(number)
    expect(readU64(viewOf(plain), 3)).toBe(number)
  })

test('a number of 32 bits is without a sign, and touches no other byte', () => {
  const bytes = new Uint8Array(6).fill(7)

  putU32(bytes, 1, 0xfedc_ba98)

  expect([...bytes]).toEqual([7, 0x98, 0xba, 0xdc, 0xfe, 7])
  expect(u32In(bytes, 1)).toBe(0xfedc_ba98)
})
