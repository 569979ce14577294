/** Checks of values from outside: what passes, what is filled in, and how the rest is refused. */
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import {
  argument,
  type Check,
  config,
  flag,
  folder,
  listOf,
  numberFrom,
  object,
  oneOf,
  optional,
  or,
  orInfinite,
  readOptions,
  recordOf,
  secret,
  text,
  wholeFrom,
} from '../src/check.ts'
import { KeelsonError } from '../src/errors.ts'

const errorOf = (action: () => unknown): KeelsonError => {
  try {
    action()
  } catch (error) {
    if (error instanceof KeelsonError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const known = ['name', 'max']

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
  expect(readOptions(options, known, config())).toEqual({ name: 'n', max: 7 })
  expect(reads).toBe(1)
  expect(readOptions({}, known, config())).toEqual({})
  expect(readOptions(Object.create(null), known, config())).toEqual({})
  expect(readOptions(runInNewContext('({ max: 7 })'), known, config())).toEqual({ max: 7 })
  expect(readOptions({ name: undefined }, known, config())).toHaveProperty('name')
})

const throws = (): never => {
  throw new Error('no')
}

test.each<[string, unknown, string]>([
  ['no object', 7, 'an object'],
  ['null', null, 'an object'],
  ['a list', ['name'], 'an object'],
  ['a Date', new Date(), 'a plain object'],
  ['of a class', new (class Options {})(), 'a plain object'],
  [
    'an object that lists nothing',
    new Proxy({}, { ownKeys: throws }),
    'an object that can be read',
  ],
  [
    'an object with a getter that throws',
    Object.defineProperty({}, 'name', { enumerable: true, get: throws }),
    'an object that can be read',
  ],
])('options that are %s are refused as a whole', (_, options, expected) => {
  const read = () => readOptions(options as object, known, argument('', 'a call'))
  expect(errorOf(read)).toMatchObject({
    ...{ code: 'INVALID_ARGUMENT', details: { path: 'the options of a call', expected } },
  })
})

test.each<[string, Check, readonly unknown[], readonly unknown[]]>([
  ['a flag', flag, [true, false], [undefined, 0, 'true']],
  ['a text', text, ['', 'a'], [undefined, 7]],
  ['a folder', folder, ['/data'], ['', 'a\0', 7]],
  ['a word', oneOf('a', 'b'), ['a', 'b'], ['c', undefined]],
  ['a whole number', wholeFrom(1, 3), [1, 3], [0, 4, 1.5, '1', Number.NaN]],
  ['a number', numberFrom(0, 1), [0, 0.5, 1], [-0.1, 1.1, '1', Number.NaN]],
  ['a number without end', numberFrom(0), [1e300], [Number.POSITIVE_INFINITY]],
  ['a number or Infinity', orInfinite(wholeFrom(1)), [1, Number.POSITIVE_INFINITY], [0]],
  ['an optional flag', optional(flag), [true, undefined], [null]],
])('%s is what it says and nothing else', (_, check, right, wrong) => {
  for (const each of right) expect(check(each, config('it'))).toBe(each)
  for (const each of wrong)
    expect(errorOf(() => check(each, config('it')))).toMatchObject({
      ...{ code: 'CONFIG', details: { path: 'it' } },
    })
})

const inner = object({ size: or(wholeFrom(1), 8), name: optional(text) })

test('an object has its defaults, and no member that is left out', () => {
  expect(inner({}, config())).toEqual({ size: 8 })
  expect(inner({ size: undefined, name: 'n' }, config())).toEqual({ size: 8, name: 'n' })
})

test('a hole of a list is a member that is not there, and is refused as one', () => {
  const holed = Object.assign([1], { 2: 3 })
  const refused = () => listOf(wholeFrom(1), 'a list')(holed, config('it'))
  expect(errorOf(refused)).toMatchObject({ code: 'CONFIG', details: { path: 'it[1]' } })
  expect(listOf(optional(wholeFrom(1)), 'a list')(holed, config())).toEqual([1, undefined, 3])
})

test.each<[string, Check, unknown]>([
  ['a list whose member', listOf(flag, 'a list'), new Proxy([true], { get: throws })],
  [
    'a record whose member',
    recordOf(flag),
    Object.defineProperty({}, 'a', { enumerable: true, get: throws }),
  ],
])('%s cannot be read is refused', (_, check, found) => {
  expect(errorOf(() => check(found, config('it')))).toMatchObject({
    ...{ code: 'CONFIG', details: { path: 'it' } },
  })
})

test('a refusal has the path to the member, as text or as a list', () => {
  const check = object({ list: listOf(inner, 'a list'), by: recordOf(inner) })
  const pathOf = (found: object, at = config()): unknown =>
    errorOf(() => check(found, at)).details.path
  expect(pathOf({ list: [{}, { size: 0 }], by: {} })).toBe('list[1].size')
  expect(pathOf({ list: [], by: { a: { sise: 1 } } })).toBe('by.a.sise')
  expect(pathOf({ list: [{ size: 0 }] }, argument([]))).toEqual(['list', 0, 'size'])
  expect(errorOf(() => check({ list: [{ sise: 1 }] }, config()))).toMatchObject({
    message: 'unknown option `list[0].sise`; did you mean `list[0].size`?',
  })
})

test('a secret is in no refusal', () => {
  const check = secret(object({ url: wholeFrom(1) }))
  const { message } = errorOf(() => check({ url: 'postgres://a:hunter2@b' }, config()))
  expect(message).toBe('url: expected a whole number from 1, found "another text"')
})

test('members that code has added to Object.prototype are no options, known or not', () => {
  const check = object({ size: or(wholeFrom(1), 7), name: optional(text) })
  const visible = { enumerable: true, configurable: true, writable: true }
  const added = { extra: 1, size: 9, name: 'of the prototype' }
  onTestFinished(() => {
    for (const name of Object.keys(added)) Reflect.deleteProperty(Object.prototype, name)
  })
  for (const [name, value] of Object.entries(added))
    Object.defineProperty(Object.prototype, name, { ...visible, value })

  const { size, name } = check({}, config())
  expect([size, name]).toEqual([7, undefined])
  expect(check({ size: 2, name: 'own' }, config())).toMatchObject({ size: 2, name: 'own' })
  expect(check(Object.create({ size: 3 }), config()).size).toBe(3)
  expect(readOptions<{ size?: number }>({}, ['size'], config()).size).toBeUndefined()
  expect(() => check({ extra: 1 } as never, config())).toThrow('unknown option `extra`')
})
