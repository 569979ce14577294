/** The bounds of what a run is given: durations, texts, limits of branches; and all facts of its events. */
import { describe, expect, test } from 'vitest'
import { argument } from '../../../src/check.ts'
import { type Branch, type Ctx, type FlowEvents, workflow } from '../../../src/flow/index.ts'
import {
  allOptions,
  cancelOptions,
  delay,
  duration,
  listOptions,
  msOf,
  pageOptions,
  priority,
  resultOptions,
  shortText,
  timeAt,
  workflowOptions,
} from '../../../src/flow/runs/options.ts'
import { telemetry } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const codeFor = (check: () => unknown): unknown => {
  try {
    return check()
  } catch (error) {
    return (error as { code: string }).code
  }
}
const bad = 'INVALID_ARGUMENT'

describe('a duration', () => {
  test.each([
    ...([
      [0, 0],
      [1, 1],
      [1.2, 2],
      ['0s', 0],
      ['5ms', 5],
      ['2s', 2_000],
    ] as const),
    ...([
      ['1.5m', 90_000],
      ['3h', 10_800_000],
      ['1d', 86_400_000],
      ['0.0001s', 1],
    ] as const),
    ...([
      ['100000d', 8_640_000_000_000],
      ['100001d', bad],
      [8_640_000_000_001, bad],
    ] as const),
    ...([
      [-1, bad],
      [Number.NaN, bad],
      [Number.POSITIVE_INFINITY, bad],
      ['', bad],
    ] as const),
    ...([
      ['5', bad],
      ['s', bad],
      ['5 s', bad],
      ['x5s', bad],
      ['5sx', bad],
      ['-5s', bad],
    ] as const),
    ...([
      ['5.s', bad],
      ['.5s', bad],
      ['5w', bad],
      [undefined, bad],
      [[5], bad],
    ] as const),
  ])('%j is %j', (given, ms) => {
    expect(codeFor(() => msOf(given as never, 'time'))).toBe(ms)
    expect(codeFor(() => delay(given, argument('a')))).toBe(ms)
  })

  test('of something that is kept or may take time is at least 1 ms', () => {
    expect(
      [0, 1, '0s', '1ms', '0.1ms'].map((one) => codeFor(() => duration(one, argument('a')))),
    ).toEqual([...[bad, 1, bad, 1, 1]])
  })
})

describe('an option', () => {
  const accepts = (check: (given: never, at: never) => unknown, given: unknown): boolean =>
    codeFor(() => check(given as never, argument('a') as never)) !== bad

  test('that is a text has 1 to 256 bytes without NUL', () => {
    const texts = ['a', 'a'.repeat(256), 'é'.repeat(128), '', 'a'.repeat(257), 'é'.repeat(129)]
    expect([...texts, 'a\0', '\ud800', 7].map((text) => accepts(shortText, text))).toEqual([
      ...[true, true, true, false, false, false, false, false, false],
    ])
  })

  test('that is a priority is a whole number from -1,000 to 1,000', () => {
    expect([-1_001, -1_000, 0, 1_000, 1_001, 0.5].map((one) => accepts(priority, one))).toEqual([
      ...[false, true, true, true, false, false],
    ])
  })

  test('of branches is all, any or a number, and how many run at once', () => {
    const waits = ['all', 'any', 0, 3, -1, 0.5, 'some', null].map((wait) =>
      accepts(allOptions, { wait }),
    )
    expect(waits).toEqual([true, true, true, true, false, false, false, false])
    const atOnce = [1, 5, Number.POSITIVE_INFINITY, 0, 1.5].map((one) =>
      accepts(allOptions, { atOnce: one }),
    )
    expect(atOnce).toEqual([true, true, true, false, false])
  })

  test('has its default', () => {
    const at = argument('')
    expect(allOptions({}, at)).toMatchObject({ wait: 'all', onFailure: 'fail' })
    expect(cancelOptions({}, at)).toEqual({ reason: 'it was cancelled', force: false })
    expect(resultOptions({}, at)).toEqual({ timeoutMs: 30_000 })
    expect(pageOptions({}, at)).toMatchObject({ limit: 100 })
    const type = workflow('work', async () => undefined)
    expect(listOptions({ type }, at)).toMatchObject({ since: 0, until: Number.POSITIVE_INFINITY })
    expect(workflowOptions({}, at)).toMatchObject({ version: 1, previous: {}, stepsMax: 10_000 })
  })

  test('of a workflow has bounds', () => {
    const body = async (): Promise<void> => undefined
    const given: readonly (readonly [object, boolean])[] = [
      ...([
        [{ version: 0 }, false],
        [{ version: 1 }, true],
        [{ stepsMax: 0 }, false],
      ] as const),
      ...([
        [{ stepsMax: 1 }, true],
        [{ previous: { 1: body } }, true],
      ] as const),
      ...([
        [{ previous: { 0: body } }, false],
        [{ previous: { '01': body } }, false],
      ] as const),
      ...([
        [{ previous: { 999999999: body } }, true],
        [{ previous: { 1: 2 } }, false],
      ] as const),
      ...([
        [{ previous: { 1000000000: body } }, false],
        [{ previous: 'a' }, false],
      ] as const),
      ...([
        [{ previous: { x1: body } }, false],
        [{ previous: { '1x': body } }, false],
      ] as const),
      ...([
        [{ keep: { completed: 0 } }, false],
        [{ keep: { failed: '1d' } }, true],
      ] as const),
    ]
    for (const [options, isGood] of given)
      expect([options, accepts(workflowOptions, options)]).toEqual([options, isGood])
    expect(accepts(timeAt, { at: 0 })).toBe(true)
    expect(accepts(timeAt, { at: -1 })).toBe(false)
  })
})

describe('branches', () => {
  type Case = readonly [seconds: readonly number[], options: object]
  /** Runs branches of these lengths in seconds; a negative one fails. Gives the ends, and the most that ran at once. */
  const allEnded = async (cases: readonly Case[]) => {
    const seen = cases.map(() => ({ running: 0, most: 0, order: [] as number[] }))
    const all = workflow('all', async (ctx: Ctx, of: number) => {
      const [seconds, options] = cases[of] as Case
      const own = seen[of] as (typeof seen)[number]
      const branches = seconds.map((s, at) => async (branch: Ctx) => {
        own.order.push(at)
        own.most = Math.max(own.most, ++own.running)
        await branch.sleep('work', Math.abs(s) * 100)
        own.running--
        if (s < 0) throw new Error(`no ${at}`)
        return s
      })
      const ends: Branch<unknown>[] = await ctx.all('b', branches, options)
      return ends.map((end) => (end.ok ? end.value : (end.error as Error).message))
    })
    const w = await flowWorld([all])
    const results = cases.map(async (_, of) => {
      const run = await w.flow.start(all, of, { id: `${of}` })
      return run.result().catch((error) => error.cause?.message)
    })
    const ends = await w.during(Promise.all(results))
    return { ends, seen: seen.map(({ most, order }) => [most, order]) }
  }

  test('run so many at once, in their order, the next one at each end', async () => {
    const cases = [2, 1, Number.POSITIVE_INFINITY].map(
      (atOnce) => [[3, 1, 2, 1], { atOnce }] as const,
    )
    const { ends, seen } = await allEnded(cases)
    const order = [0, 1, 2, 3]
    expect(ends).toEqual(Array(3).fill([3, 1, 2, 1]))
    expect(seen).toEqual([
      [2, order],
      [1, order],
      [4, order],
    ])
  })

  test('end with as many successes as are needed, or when no branch is left', async () => {
    const rest = 'the rest was cancelled'
    const collect = { onFailure: 'collect' }
    const cases: readonly (readonly [...Case, ends: unknown])[] = [
      [[3, 1, 2], { wait: 2 }, [rest, 1, 2]],
      [[3, 1], { wait: 2 }, [3, 1]],
      [[3, -1, 2], { wait: 1, ...collect }, [rest, 'no 1', 2]],
      [[-2, -1], { wait: 'any', ...collect }, ['no 0', 'no 1']],
      [[2, -1], {}, 'no 1'],
      [[1, 2], { wait: 0 }, [rest, rest]],
      [[], {}, []],
      [[1], { wait: 2 }, expect.stringContaining('at most the 1 branches')],
    ]
    const { ends } = await allEnded(cases.map(([seconds, options]) => [seconds, options]))
    expect(ends).toEqual(cases.map(([, , wanted]) => wanted))
  })
})

test('the events of a run have its type, its id, the time, and their facts', async () => {
  const told: Record<string, unknown>[] = []
  const flaky = workflow('flaky', async (ctx: Ctx) => {
    await ctx.step(
      'call',
      ({ attempt }) => {
        if (attempt === 1) throw new RangeError('once')
      },
      { retry: { baseMs: 500, jitter: 0 } },
    )
    await ctx.step('stuck', () => new Promise<void>(() => undefined), { repeat: 'once' })
  })
  const w = await flowWorld([flaky])
  const listen = (): void => {
    const bus = telemetry<FlowEvents>(w.s.system)
    for (const name of ['started', 'step', 'failed', 'blocked', 'ended'] as const)
      bus.on(`flow.${name}`, (facts: object) => void told.push({ name, ...facts }))
  }
  listen()
  const begin = w.s.clock.now()
  const run = await w.during(w.flow.start(flaky, undefined, { id: '1' }))
  await w.s.advance(5_000)
  await w.crash()
  listen()
  await w.s.advance(5_000)
  await w.during(w.flow.handle(flaky, '1').cancel({ force: true, reason: 'over' }))
  await w.s.advance(1_000)
  expect(run.id).toBe('1')
  expect(await w.during(codeOf(w.flow.handle(flaky, '1').result()))).toBe('CANCELLED')

  const of = { type: 'flaky', id: '1', at: expect.any(Number) }
  expect(told).toEqual([
    { name: 'started', ...of },
    {
      ...{ name: 'failed', ...of, key: 'call', tries: 1, retryAt: expect.any(Number) },
      error: {
        ...{ name: 'RangeError', message: 'once' },
        stack: expect.stringContaining('bounds.test.ts'),
      },
    },
    { name: 'step', ...of, key: 'call', kind: 'step', tries: 2, outcome: 'ok' },
    { name: 'blocked', ...of, error: expect.objectContaining({ code: 'UNKNOWN_STEP' }) },
    {
      ...{ name: 'ended', ...of, startedAt: expect.any(Number) },
      end: {
        status: 'cancelled',
        error: { name: 'KeelsonError', code: 'CANCELLED', message: 'over' },
      },
    },
  ])
  const [started, failed] = told as { at: number; retryAt: number }[]
  const since = (at = 0) => at - begin
  expect(since(started?.at) >= 0 && since(started?.at) < 100).toBe(true)
  // Its pause begins with the failure, and the event comes when that is recorded.
  const pause = since(failed?.retryAt) - since(failed?.at)
  expect(pause > 400 && pause <= 500).toBe(true)
})
