/** What comes after a failed try, as the policy decides it. */
import { describe, expect, test } from 'vitest'
import {
  type AfterTry,
  afterTry,
  failureOf,
  packTries,
  type RetryPolicies,
  unpackTries,
} from '../../../src/actors/turns/retry-policy.ts'
import { errorOf, KeelsonError } from '../../../src/errors.ts'
import { keptText } from '../../../src/failure-record.ts'

const no = new Error('no')

/** After the failure number `tries` of the step `charge`. `drawn`: 1 gives the longest pause. */
const outcomeOf = (
  policies: RetryPolicies | undefined,
  tries: number,
  { thrown = no as unknown, canFail = false, drawn = 1, section = 'continues' as const } = {},
): AfterTry => afterTry(policies, { section, name: 'charge', tries }, thrown, canFail, drawn)

describe('the pause before another try', () => {
  const server = { baseMs: 10, maxMs: 35, factor: 3, jitter: 0 }
  const own = { baseMs: 2, maxMs: 7, factor: 2, jitter: 0.5 }
  const pauses: readonly (readonly [string, RetryPolicies | undefined, number, number[]])[] = [
    ['without a policy', undefined, 1, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]],
    ['without a policy, by chance', undefined, 0, [800, 1_600, 3_200]],
    ['of the server', server, 1, [10, 30, 35, 35]],
    ['of the step', { ...server, continues: { charge: own } }, 1, [2, 4, 7, 7]],
    ['of the step, by chance', { ...server, continues: { charge: own } }, 0, [1, 2, 4, 4]],
    ['of another step', { ...server, continues: { mail: own } }, 1, [10, 30]],
    ['of an alarm of that name', { ...server, alarms: { charge: own } }, 1, [10, 30]],
    ['in whole ms', { baseMs: 9, jitter: 0.5 }, 0, [5]],
  ]

  test.each(pauses)('%s', (_, policies, drawn, expected) => {
    const found = expected.map((__, at) => outcomeOf(policies, at + 1, { drawn }).inMs)
    expect(found).toEqual(expected)
  })
})

describe('the tries', () => {
  const nextOf = (...given: Parameters<typeof outcomeOf>) => outcomeOf(...given).next

  test('have no end without a policy', () => {
    expect(nextOf(undefined, 1e9)).toBe('retry')
    expect(nextOf({ baseMs: 5 }, 1e9)).toBe('retry')
  })

  test('end with the one that `max` counts, and no pause follows', () => {
    expect([nextOf({ max: 3 }, 2), nextOf({ max: 3 }, 3)]).toEqual(['retry', 'unblock'])
    expect(outcomeOf({ max: 3 }, 3).inMs).toBe(0)
    const policies = { max: 3, continues: { charge: { max: 5 } } }
    expect([nextOf(policies, 4), nextOf(policies, 5)]).toEqual(['retry', 'unblock'])
  })

  test('end with `onFailed` where there is one', () => {
    expect(nextOf({ max: 3 }, 2, { canFail: true })).toBe('retry')
    expect(nextOf({ max: 3 }, 3, { canFail: true })).toBe('onFailed')
  })

  test('end at an error for which `unless` is true, of the step before that of the server', () => {
    const isNo = (error: unknown): boolean => error === no
    expect(outcomeOf({ unless: isNo }, 1)).toMatchObject({ next: 'unblock', inMs: 0 })
    expect(nextOf({ unless: isNo }, 1, { thrown: new Error('other') })).toBe('retry')
    expect(nextOf({ unless: isNo, continues: { charge: { unless: () => false } } }, 1)).toBe(
      'retry',
    )
    expect(nextOf({ unless: () => 'yes' as never }, 1)).toBe('retry')
  })

  test('go on after a throw of `unless`, whose error is kept, up to `max`', () => {
    const broken = new Error('broken')
    const unless = () => {
      throw broken
    }
    expect(outcomeOf({ max: 2, unless }, 1)).toMatchObject({ error: broken, next: 'retry' })
    expect(nextOf({ max: 2, unless }, 2)).toBe('unblock')
  })
})

describe('a kept failure', () => {
  const gone = Object.assign(new TypeError('gone'), { code: 'ENOENT' })

  test('says its code, or its name, and its message', () => {
    const textOf = (thrown: unknown): string =>
      keptText(failureOf({ next: 'retry', error: thrown }, 5).error)
    expect(textOf(gone)).toBe('ENOENT: gone')
    expect(textOf(new TypeError('gone'))).toBe('TypeError: gone')
    expect(textOf(Object.assign(new Error('gone'), { code: 20 }))).toBe('Error: gone')
    expect(textOf(`${'x'.repeat(500)}y`)).toBe(`Error: ${'x'.repeat(500)}`)
    expect(textOf(Object.create(null))).toBe('Error: {}')
  })

  test('is an error again, with a code only if it had one', () => {
    const plain = errorOf(failureOf({ next: 'retry', error: new TypeError('gone') }, 5).error)
    expect([plain.name, plain.message, 'code' in plain]).toEqual(['TypeError', 'gone', false])
    expect(errorOf(failureOf({ next: 'retry', error: gone }, 5).error)).toMatchObject({
      name: 'TypeError',
      code: 'ENOENT',
    })
    const ours = errorOf(
      failureOf({ next: 'retry', error: new KeelsonError('CONFLICT', 'gone') }, 5).error,
    )
    expect(ours).toBeInstanceOf(KeelsonError)
  })

  test('takes seven places of a row, and none before the first one', () => {
    const row = (thrown: unknown) => packTries(2, failureOf({ next: 'onFailed', error: thrown }, 5))
    expect(packTries(0, undefined)).toBe(0)
    const more = { since: 5, stack: expect.stringContaining('retry-policy.test.ts') }
    expect(row(gone)).toEqual([2, 1, 5, 'TypeError', 'gone', 'ENOENT', more])
    expect(row(no)).toEqual([2, 1, 5, 'Error', 'no', null, more])
    expect(row('no')).toEqual([2, 1, 5, 'Error', 'no', null, { since: 5 }])
  })

  test('of an earlier build has neither causes nor a stack, nor when it began', () => {
    const error = { name: 'Error', message: 'no' }
    expect(unpackTries([2, 0, 5, 'Error', 'no'])).toEqual({
      ...{ tries: 2, failure: { next: 'retry', at: 5, error } },
    })
  })

  test('keeps since when the work fails, and how many tries it has', () => {
    const first = failureOf({ next: 'retry', error: no, triesMax: 3 }, 5)
    const second = failureOf({ next: 'retry', error: no, triesMax: 3 }, 9, first)
    expect(second).toMatchObject({ at: 9, since: 5, triesMax: 3 })
    expect(unpackTries(packTries(2, second))).toEqual({ tries: 2, failure: second })
  })

  test('of a kind that this program does not know is parked', () => {
    expect(unpackTries([2, 9, 5, 'Error', 'no'])).toEqual({
      tries: 2,
      failure: { next: 'unblock', at: 5, error: { name: 'Error', message: 'no' } },
    })
  })
})
