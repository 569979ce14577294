/** Standard Schema: what a schema takes and refuses, and what it may not do. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { config } from '../src/check.ts'
import { KeelsonError } from '../src/errors.ts'
import { type Parse, schema } from '../src/schema.ts'
import { account, asynchronous, orders } from './support/library-schemas.mjs'

const read = (found: unknown): Parse => schema(found, config('workflow.order.input'))

/** A schema with this `validate`. */
const own = (validate: (value: unknown) => unknown) => ({
  '~standard': { version: 1, vendor: 'test', validate },
})

/** The refusal of `act`. */
const refusalOf = (act: () => unknown): KeelsonError => {
  try {
    act()
  } catch (error) {
    if (error instanceof KeelsonError) return error
    throw error
  }
  throw new Error('it was taken')
}

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const throwing = (): never => {
  throw new RangeError('odd')
}

describe('a schema', () => {
  test.each(Object.entries(orders))(
    'of %s parses a value, and names the place of what it refuses',
    (_, given) => {
      const parse = read(given)

      expect(parse({ items: [{ cents: '5' }] }, 'the input')).toEqual({
        items: [{ cents: 5 }],
        at: 3,
      })
      const error = refusalOf(() => parse({ items: [{ cents: '5' }, { cents: {} }] }, 'the input'))
      expect([error.code, error.details.of]).toEqual(['INVALID_ARGUMENT', 'the input'])
      expect(error.details.issues).toMatchObject([{ path: 'items[1].cents' }])
      expect(error.message).toMatch(/^the input: items\[1\]\.cents: ./)
    },
  )

  test('that answers with a promise is refused where it is declared', () => {
    for (const late of [...Object.values(asynchronous), own(async () => throwing())]) {
      const error = refusalOf(() => read(late))
      expect([error.code, error.details.path]).toEqual(['CONFIG', 'workflow.order.input'])
      expect(error.message).toContain('a schema that answers at once')
    }
  })

  test('that answers some values with a promise refuses those, and hears of its rejection', () => {
    const rejecting = own((value) => (value === undefined ? { value } : Promise.reject(value)))
    for (const late of [z.string().refine(async () => true), rejecting])
      expect(refusalOf(() => read(late)('tea', 'the job'))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: 'the job: its schema answers with a promise',
      })
  })

  test.each([
    ['nothing', undefined],
    ['another object', { parse: () => 1 }],
    ['another version', { '~standard': { version: 2, validate: () => ({ value: 1 }) } }],
    ['no function', { '~standard': { version: 1, validate: 1 } }],
    ['a getter that throws', Object.defineProperty({}, '~standard', { get: throwing })],
    ['a revoked proxy', revoked()],
  ])('is refused as %s', (_, found) => {
    expect(refusalOf(() => read(found)).code).toBe('CONFIG')
  })

  test.each([
    ['a throw', throwing, 'its schema has thrown: RangeError: odd'],
    ['nothing', () => undefined, 'its schema answers with no value and no issues'],
    ['a text', () => 'tea', 'its schema answers with no value and no issues'],
    ['an empty object', () => ({}), 'its schema answers with no value and no issues'],
    ['a revoked proxy', revoked, 'its schema has thrown'],
    // biome-ignore lint/suspicious/noThenProperty: a schema may answer with any thenable
    ['a thenable', () => ({ then: throwing }), 'its schema answers with a promise'],
    ['a getter', () => Object.defineProperty({}, 'issues', { get: throwing }), 'has thrown'],
    ['no list', () => ({ issues: true }), 'refused'],
    ['an empty list', () => ({ issues: [] }), 'refused'],
    ['a list that lies', () => ({ issues: { length: 1e9 } }), 'and 999999995 more'],
    ['no issue', () => ({ issues: [null, 3, { message: 3, path: 3 }] }), 'refused'],
    [
      'an odd path',
      () => ({ issues: [{ message: 'no', path: [Symbol('a'), {}, { key: 0 }] }] }),
      '',
    ],
  ])('that answers with %s refuses the value', (_, validate, text) => {
    let isProbe = true
    const parse = read(own((value) => (isProbe ? { value } : validate())))
    isProbe = false

    const error = refusalOf(() => parse(1, 'the input'))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain(text)
  })

  test('says the first issues, cut, and how many more there are', () => {
    const message = 'x'.repeat(1_000)
    const issue = { message, path: Array.from({ length: 1_000 }, (_, at) => `long${at}`) }
    const parse = read(own(() => ({ issues: new Array(100).fill(issue) })))

    const error = refusalOf(() => parse(1, 'the input'))
    expect(error.message.length).toBeLessThan(2_200)
    expect(error.message).toMatch(/; and 95 more$/)
    expect(error.details.issues).toHaveLength(5)
  })

  test('says nothing of what stands under the name of a secret', () => {
    const error = refusalOf(() => read(account)({ name: 'Eve', password: 'hunter2' }, 'the input'))

    expect(error.message).toContain('password: refused')
    expect(error.message).toContain('name: ')
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })

  test('refuses or takes whatever a library answers, and throws nothing else', () => {
    const nasty = fc.anything({ withSparseArray: true, withNullPrototype: true })
    const answer = fc.oneof(
      nasty,
      fc.record({ value: nasty, issues: nasty }, { requiredKeys: [] }),
      fc.record({ issues: fc.array(fc.record({ message: nasty, path: fc.array(nasty) })) }),
    )
    fc.assert(
      fc.property(answer, fc.boolean(), (given, throws) => {
        let isProbe = true
        const act = (): unknown => {
          if (throws) throw given
          return given
        }
        const parse = read(own((value) => (isProbe ? { value } : act())))
        isProbe = false
        try {
          parse(1, 'the input')
        } catch (error) {
          expect(error).toBeInstanceOf(KeelsonError)
          expect((error as KeelsonError).message.length).toBeLessThan(20_000)
        }
      }),
    )
  })
})
