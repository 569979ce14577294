/** Options objects are read once, and a misspelt name in them is refused. */
import { expect, test } from 'vitest'
import { readKeys, readOptions } from '../../../src/runtime/process/known-options.ts'

const known = new Set(['name', 'max'])

test('known options are copied, each read once, also inherited ones', () => {
  let reads = 0
  const options = Object.create({ max: 7 })
  Object.defineProperty(options, 'name', {
    enumerable: true,
    get() {
      reads++
      return 'n'
    },
  })
  expect(readKeys(options, known)).toEqual({ copy: { name: 'n', max: 7 } })
  expect(reads).toBe(1)
  expect(readKeys({}, known)).toEqual({ copy: {} })
  expect(readKeys({ name: undefined }, known).copy).toHaveProperty('name')
})

test('a name that is not known is the fault', () => {
  expect(readKeys({ name: 'n', mx: 1 }, known)).toEqual({ fault: { key: 'mx' } })
  expect(() => readOptions('it', { mx: 1 }, known)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      details: expect.objectContaining({ path: 'mx' }),
    }),
  )
})

test.each<[string, unknown]>([
  ['no object', 7],
  ['null', null],
  ['a list', ['name']],
])('options that are %s are the fault', (_, options) => {
  expect(readKeys(options as object, known)).toEqual({
    fault: { expected: 'an object', found: options },
  })
  expect(() => readOptions('it', options as object, known)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})

test('options that throw when they are read are the fault', () => {
  const throws = (): never => {
    throw new Error('no')
  }
  const unlisted = new Proxy({}, { ownKeys: throws })
  const unread = Object.defineProperty({}, 'name', { enumerable: true, get: throws })
  for (const options of [unlisted, unread])
    expect(readKeys(options, known)).toEqual({
      fault: { expected: 'an object that can be read', found: options },
    })
})
