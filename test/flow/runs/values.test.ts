/** The values of runs, the pauses of their steps, and what is drawn in them. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { pauseAfter, pauseMs, policyOf } from '../../../src/flow/runs/decide.ts'
import { FailingSteps } from '../../../src/flow/runs/failing-work.ts'
import {
  copied,
  earlierHashOf,
  hashOf,
  hashOfText,
  inputOf,
  isSameInput,
  outcomeOf,
  progressOf,
  updateRow,
} from '../../../src/flow/runs/values.ts'
import { decodeValue, encodeValue } from '../../../src/storage/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

test('a hash is the same in any order of names; that of an earlier build is of the bytes as they are', () => {
  const [one, other] = [
    { a: 1, b: 2 },
    { b: 2, a: 1 },
  ]
  expect(hashOf(one, 'it')).toBe(hashOf(other, 'it'))
  expect(earlierHashOf(other, 'it')).not.toBe(earlierHashOf(one, 'it'))
  // In order the bytes are those of the canonical form.
  expect(earlierHashOf(one, 'it')).toBe(hashOf(one, 'it'))
})

test('an update without a value has none in its row, which could not be stored', () => {
  expect(updateRow('=u', undefined)).toStrictEqual({ update: '=u' })
  expect(updateRow('=u', null)).toStrictEqual({ update: '=u', value: null })
})

describe('a value', () => {
  const values = [undefined, null, 0, Number.NaN, true, false, '', 'a', [1], { a: new Date(5) }]

  test.each(values.map((value) => [value]))('comes as a replay gives it: %j', (value) => {
    expect(copied(value, 'it')).toEqual(value)
    expect(outcomeOf(value, 'it')).toEqual({ kind: 'ok', ...(value !== undefined && { value }) })
    expect(progressOf(value)).toEqual(value)
    expect(inputOf(value).input).toEqual(value)
  })

  test.each([
    ...[0, -0, 1.5, -1, 5e-324, 2 ** 53, 2 ** 64, Number.NaN, Number.NEGATIVE_INFINITY],
    ...[null, true, false],
  ])('comes back from its row as it is, so it is its own copy: %j', (value) => {
    expect(decodeValue(encodeValue(value))).toBe(value)
    expect(copied(value, 'it')).toBe(value)
    expect(outcomeOf(value, 'it')).toEqual({ kind: 'ok', value })
  })

  test('is the same input with its names in another order, and none with another value', () => {
    const { inputHash } = inputOf({ a: 1, b: { c: 2, d: 3 } })
    const again = inputOf({ b: { d: 3, c: 2 }, a: 1 })
    expect(again.inputHash).toBe(inputHash)
    expect(isSameInput(inputHash, again)).toBe(true)
    expect(isSameInput(inputHash, inputOf({ b: { d: 2, c: 3 }, a: 1 }))).toBe(false)
    expect(isSameInput(inputHash, inputOf(undefined))).toBe(false)
    expect(isSameInput('', inputOf(undefined))).toBe(true)
  })

  test('is the same input as that of an earlier build, whose hash was of the order of its names', () => {
    // The hash of { b: 1, a: 2 } as builds before had it.
    const earlier = 'nNlYDEC/TjNxMKGLrr5frQ=='
    const input = { b: 1, a: 2 }
    expect(isSameInput(earlier, inputOf(input))).toBe(true)
    expect(isSameInput(earlier, inputOf({ b: 2, a: 1 }))).toBe(false)
    const sent = { input, inputHash: earlier }
    expect(isSameInput(inputOf(input).inputHash, sent)).toBe(true)
  })

  test('is a copy', () => {
    const value = { list: [1] }
    const all = [copied(value, 'it'), inputOf(value).input, progressOf(value)] as (typeof value)[]
    const { kind, ...outcome } = outcomeOf(value, 'it')
    value.list.push(2)
    for (const each of all) expect(each).toEqual({ list: [1] })
    expect([kind, outcome]).toEqual(['ok', { value: { list: [1] } }])
  })

  test('of more than 16 KiB has a row of its own', () => {
    const lengthOf = (extra: number) => 'x'.repeat(16 * 1024 + extra)
    const isApart = (extra: number) => 'isApart' in outcomeOf(lengthOf(extra), 'it')
    // The text itself may have a few bytes before it.
    expect([isApart(-20), isApart(1)]).toEqual([false, true])
    expect(outcomeOf(lengthOf(1), 'it')).toEqual({ kind: 'ok', value: lengthOf(1), isApart: true })
  })

  test('as progress has at most 64 KiB', () => {
    const max = 64 * 1024
    expect(progressOf('x'.repeat(max - 20))).toHaveLength(max - 20)
    expect(() => progressOf('x'.repeat(max + 1))).toThrow(
      expect.objectContaining({
        ...{ code: 'TOO_LARGE', message: `a progress has at most ${max} bytes` },
        details: { length: expect.any(Number), max },
      }),
    )
  })

  test('as input has a hash, which is that of equal inputs alone', () => {
    const hashes = [undefined, null, 0, 1, '0', 'a', [1], Buffer.from('a')].map(
      (input) => inputOf(input).inputHash,
    )
    expect(new Set(hashes).size).toBe(hashes.length)
    expect(inputOf({ a: 1 }).inputHash).toBe(inputOf({ a: 1 }).inputHash)
    expect(hashes[0]).toBe('')
    for (const hash of hashes.slice(1)) expect(Buffer.from(hash, 'base64')).toHaveLength(16)
    expect(hashOfText('a')).toHaveLength(16)
  })
})

describe('the pause before a try', () => {
  const clock = virtualClock()
  const error = new Error('no')

  test('is as its policy says, of whole ms, and none follows the last try', () => {
    const policy = policyOf({ max: 3, baseMs: 10.5, jitter: 0 })
    const pauses = [1, 2, 3, 4].map((attempt) => pauseAfter(policy, attempt, error, clock))
    expect(pauses).toEqual([11, 21, undefined, undefined])
  })

  test('is none for an error of `unless`, whose own throw decides nothing', () => {
    const pause = (unless: (found: unknown) => boolean) =>
      pauseAfter(policyOf({ baseMs: 10, jitter: 0, unless }), 1, error, clock)
    expect(pause((found) => found === error)).toBe(undefined)
    expect(pause(() => false)).toBe(10)
    expect(pause(() => 'yes' as never)).toBe(10)
    expect(
      pause(() => {
        throw new Error('policy')
      }),
    ).toBe(10)
  })

  test('is by default that of three tries; of work until it succeeds there is always one', () => {
    expect(policyOf().max).toBe(3)
    expect(policyOf({ max: 9 }).max).toBe(9)
    expect(policyOf({ max: 9 }, { max: 2 }).max).toBe(2)
    expect(pauseMs(1, clock)).toBeGreaterThan(0)
    expect(pauseMs(50, clock)).toBeGreaterThanOrEqual(pauseMs(1, clock))
  })
})

describe('the failing steps of a run', () => {
  const failure = { name: 'Error', message: 'busy' }
  const row = (key: string, more: object = {}) => ({
    key,
    at: 3,
    tries: 2,
    failure,
    dueAt: 9,
    ...more,
  })

  const world = () => {
    const calls: unknown[] = []
    const trouble = {
      keeps: (owner: string, keys: Set<string>) => calls.push(['keeps', owner, [...keys]]),
      fails: (...all: unknown[]) => calls.push(['fails', ...all]),
      passes: (...all: unknown[]) => calls.push(['passes', ...all]),
    }
    return { calls, steps: new FailingSteps(trouble as never, 'mail', '7') }
  }
  const owner = 'steps of $flow-mail/7'
  const told = (key: string) => [
    ...['fails', key],
    {
      ...{ entity: '$flow-mail/7', what: `step ${key}`, tries: 2, retryAt: 9 },
      error: expect.stringContaining('busy'),
    },
    ...[3, owner],
  ]

  test('are those whose next try is due, from the rows of each life on', () => {
    const { calls, steps } = world()
    steps.begin([
      ...[row('a'), row('b', { outcome: { kind: 'ok' } }), row('c', { tries: 0 })],
      ...[{ key: 'd', at: 3 }, row('e')],
    ] as never)
    expect(calls).toEqual([['keeps', owner, ['a', 'e']], told('a'), told('e')])
  })

  test('come and go with each try', () => {
    const { calls, steps } = world()
    steps.failed(row('a') as never)
    steps.failed(row('b', { failure: undefined }) as never)
    steps.failed(row('c', { dueAt: undefined }) as never)
    steps.passes({ key: 'a' })
    steps.end()
    expect(calls).toEqual([told('a'), ['passes', 'a', owner], ['keeps', owner, []]])
  })
})

test('numbers that a run draws are from 0 up to 1, all of the range, and uuids are of version 4', async () => {
  const numbers: number[] = []
  const uuids: string[] = []
  const draws = workflow('draws', async (ctx: Ctx) => {
    for (let at = 0; at < 400; at++) {
      numbers.push(ctx.random())
      uuids.push(ctx.uuid())
    }
  })
  const w = await flowWorld([draws])
  await w.during((await w.during(w.flow.start(draws, undefined, { id: '1' }))).result())

  for (const number of numbers) expect(number >= 0 && number < 1).toBe(true)
  expect([Math.min(...numbers) < 0.05, Math.max(...numbers) > 0.95]).toEqual([true, true])
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (const uuid of uuids) expect(uuid).toMatch(form)
  expect(new Set(uuids).size).toBe(400)
})
