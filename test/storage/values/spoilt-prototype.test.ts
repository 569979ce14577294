/** Values that are read in a program whose libraries have given every object a member. */
import { expect, test } from 'vitest'
import { decodeValue, encodeValue } from '../../../src/storage/values/value.ts'

/** Does it while `Object.prototype` has an enumerable member. */
const amid = <T>(member: unknown, work: () => T): T => {
  const visible = { enumerable: true, configurable: true, writable: true }
  Object.defineProperty(Object.prototype, 'extra', { ...visible, value: member })
  try {
    return work()
  } finally {
    Reflect.deleteProperty(Object.prototype, 'extra')
  }
}

test.each([undefined, -0, new Map()])(
  'an enumerable %s on Object.prototype makes no value CORRUPT',
  (member) => {
    const values = [{ a: { b: 1 } }, { name: 'ada', lines: [{ at: new Date(0), size: 1n }] }]
    const stored = values.map((value) => encodeValue(value))
    const [read, again] = amid(member, () => [
      stored.map((each) => decodeValue(each)),
      values.map((value) => encodeValue(value)),
    ])

    expect(read).toEqual(values)
    expect(again).toEqual(stored)
  },
)
