/** The declarations of a new program count from its start, before anything that was due until then. */
import { describe, expect, test } from 'vitest'
import {
  type Ctx,
  flow,
  flows,
  type QueueOptions,
  queue,
  type StepOptions,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000

/** A queue whose jobs take some time, or fail, and one program after another with it. */
const queued = async (options: QueueOptions, { takesMs = 0, fails = false } = {}) => {
  const starts: string[] = []
  const times: number[] = []
  const mails = (given: QueueOptions) =>
    queue(
      'mails',
      async (job: string, { attempt }) => {
        starts.push(`${job}${attempt}`)
        times.push(s.clock.now())
        if (fails) throw new Error(`no ${job}`)
        await new Promise<void>((resolve) => void s.clock.after(takesMs, resolve))
      },
      given,
    )
  const tree = (given: QueueOptions) => ({
    app: supervisor('app', {}, [flows({ queues: [mails(given)] })]),
  })
  const s: Simulation = await simulated(tree(options))
  return {
    ...{ s, starts, times, of: mails(options) },
    add: (jobs: readonly string[], given = {}) =>
      s.during(flow(s.app).addMany(mails(options), jobs, () => given)),
    /** The program is down for `downMs`, and comes again with other options. */
    async becomes(given: QueueOptions, downMs: number) {
      await s.powerCut()
      await s.advance(downMs)
      await s.start(tree(given))
      return s.clock.now()
    },
  }
}

describe('of a queue', () => {
  test('a rate of a shorter time grants as often as it says', { tags: ['W10'] }, async () => {
    const { s, times, add, becomes } = await queued({ rate: { max: 2, per: '1h' } })
    for (const job of ['a', 'b', 'c', 'd', 'e', 'f']) await add([job])
    await s.advance(5_000)
    expect(times).toHaveLength(2)
    const startedAt = await becomes({ rate: { max: 2, per: '1s' } }, 1_000)
    await s.advance(3_000)
    expect(times).toHaveLength(6)
    expect((times.at(-1) as number) - startedAt).toBeLessThan(2_200)
  })

  test('a rate of a longer time counts the starts that the one before has counted', {
    tags: ['W10'],
  }, async () => {
    const { s, times, add, becomes } = await queued({ rate: { max: 2, per: '1s' } })
    await add(['a', 'b', 'c', 'd', 'e', 'f'])
    await s.advance(10)
    expect(times).toHaveLength(2)
    await becomes({ rate: { max: 3, per: '1h' } }, 2_000)
    await s.advance(0.9 * hour)
    expect(times).toHaveLength(3)
    await s.advance(hour)
    expect(times).toHaveLength(6)
  })

  test('a rate of each key begins with its program, and ends with it', async () => {
    const { s, times, add, becomes } = await queued({ rate: { max: 1, per: '1h' } })
    await add(['a', 'b', 'c', 'd'], { key: 'k' })
    await s.advance(10)
    expect(times).toHaveLength(1)
    await becomes({ rate: { max: 2, per: '1h', key: true } }, 1_000)
    await s.advance(10)
    expect(times).toHaveLength(3)
    await becomes({}, 1_000)
    await s.advance(10)
    expect(times).toHaveLength(4)
  })

  test('a lower concurrency holds for the jobs that were cut off too', {
    tags: ['W10'],
  }, async () => {
    const { s, starts, add, becomes } = await queued({ concurrency: 4 }, { takesMs: hour })
    await add(['a', 'b', 'c', 'd', 'e'])
    await s.advance(500)
    expect(starts.splice(0)).toEqual(['a1', 'b1', 'c1', 'd1'])
    await s.close()
    await becomes({ concurrency: 2 }, 0)
    await s.advance(10)
    expect(starts).toEqual(['a1', 'b1'])
    await s.advance(2.5 * hour)
    expect(starts).toEqual(['a1', 'b1', 'c1', 'd1', 'e1'])
  })

  test('fewer tries count before a try that is due: a job that has had them is dead', async () => {
    const retry = { max: 5, baseMs: 60_000, jitter: 0 }
    const { s, starts, of, add, becomes } = await queued({ retry }, { fails: true })
    await add(['a'])
    await s.advance(90_000)
    await add(['b'])
    await s.advance(10)
    expect(starts.splice(0)).toEqual(['a1', 'a2', 'b1'])
    await becomes({ retry: { ...retry, max: 2 } }, hour)
    await s.advance(hour)
    expect(starts).toEqual(['b2'])
    const { entries } = await s.during(flow(s.app).dead(of))
    expect(entries.map(({ job, tries, error }) => [job, tries, error.message])).toEqual([
      ['a', 2, 'no a'],
      ['b', 2, 'no b'],
    ])
  })

  test('jobs beyond their tries leave in turns that fit, and others go on', async () => {
    const retry = { max: 2, baseMs: 60_000, jitter: 0 }
    const { s, starts, of, becomes, add } = await queued({ retry }, { fails: true })
    for (let at = 0; at < 20; at++) await add(['x'.repeat(20_000), 'y'.repeat(20_000)])
    await s.advance(30_000)
    expect(starts.splice(0)).toHaveLength(40)
    await becomes({ retry: { max: 1 } }, hour)
    await add(['late'])
    await s.advance(10_000)
    expect(starts).toEqual(['late1'])
    expect(await s.during(flow(s.app).counts(of))).toMatchObject({
      ready: 0,
      delayed: 0,
      dead: 41,
    })
  })

  test('a pause that has begun ends when it was going to', async () => {
    const retry = { max: 5, baseMs: 60_000, jitter: 0 }
    const { s, starts, add, becomes } = await queued({ retry }, { fails: true })
    await add(['a'])
    await s.advance(10)
    await becomes({ retry: { ...retry, baseMs: 1_000 } }, 0)
    await s.advance(59_000)
    expect(starts).toEqual(['a1'])
    await s.advance(3_100)
    expect(starts).toEqual(['a1', 'a2', 'a3'])
  })

  test('a text is free as it was said when it was taken', async () => {
    const { s, of, add, becomes } = await queued({ unique: 'until-ended' })
    const text = async () => (await add(['a'], { unique: 'x', delay: '1m' }))[0]?.repeated
    expect(await text()).toBe(false)
    await becomes({ unique: '1h' }, 0)
    expect(await text()).toBe(true)
    await s.advance(2 * 60_000)
    expect(await s.during(flow(s.app).counts(of))).toMatchObject({ delayed: 0, unreadable: [] })
    expect(await text()).toBe(false)
    await becomes({ unique: 'until-ended' }, 0)
    await s.advance(2 * 60_000)
    expect(await text()).toBe(true)
    await s.advance(hour)
    expect(await text()).toBe(false)
  })

  test.each([
    ['10d', '1d', 0],
    ['1d', '10d', 1],
  ] as const)(
    'dead jobs are kept for the time of the new program: %s to %s',
    async (dead, next, left) => {
      const retry = { max: 1 }
      const { s, of, add, becomes } = await queued({ retry, keep: { dead } }, { fails: true })
      await add(['a'])
      await s.advance(10)
      await becomes({ retry, keep: { dead: next } }, 48 * hour)
      await add([])
      await s.advance(2 * hour)
      expect((await s.during(flow(s.app).dead(of))).entries).toHaveLength(left)
    },
  )
})

test('runs that have begun in a queue go on beside a lower concurrency, and no other begins', async () => {
  const ship = workflow('ship', (ctx: Ctx) => ctx.sleep('sail', '1h'), { queue: 'dock' })
  const tree = (concurrency: number) => ({
    app: supervisor('app', {}, [
      flows({ workflows: [ship], queues: [queue('dock', { concurrency })] }),
    ]),
  })
  const s = await simulated(tree(3))
  for (const id of ['a', 'b', 'c', 'd', 'e'])
    await s.during(flow(s.app).start(ship, undefined, { id }))
  await s.advance(hour / 2)
  await s.kill()
  await s.start(tree(1))
  const ended = () => flow(s.app).list({ type: ship, status: 'completed' }).entries.length
  await s.advance(0.7 * hour)
  expect(ended()).toBe(3)
  await s.advance(0.9 * hour)
  expect(ended()).toBe(4)
  await s.advance(hour)
  expect(ended()).toBe(5)
})

/** A run whose step has failed once, and waits for its next try; then a program with other options. */
const failing = async (options: StepOptions, next: StepOptions, isLate = true) => {
  const tries: number[] = []
  const make = (given: StepOptions) =>
    workflow('run', (ctx: Ctx) =>
      ctx.step(
        'work',
        ({ attempt }) => {
          tries.push(attempt)
          throw new Error(`no ${attempt}`)
        },
        given,
      ),
    )
  const w = await flowWorld([make(options)])
  await w.during(w.flow.start(make(options), undefined, { id: '1' }))
  await w.s.advance(100)
  expect(tries).toEqual([1])
  await w.s.kill()
  if (isLate) await w.s.advance(hour)
  await w.crash([make(next)])
  await w.s.advance(hour)
  return { tries, error: w.flow.get(make(next), '1')?.error?.message }
}

describe('of a workflow', () => {
  const retry = { max: 5, baseMs: 60_000, jitter: 0 }

  test('fewer tries count before a try of a step that is due', async () => {
    expect(await failing({ retry }, { retry: { ...retry, max: 1 } })).toEqual({
      ...{ tries: [1], error: 'no 1' },
    })
    expect(await failing({ retry }, { retry: { ...retry, max: 2 } })).toEqual({
      ...{ tries: [1, 2], error: 'no 2' },
    })
  })

  test('a step that has failed, and is to run once now, does not run again', {
    tags: ['W3'],
  }, async () => {
    expect(await failing({ retry }, { repeat: 'once' })).toEqual({ tries: [1], error: 'no 1' })
    expect(await failing({ retry }, { repeat: 'once' }, false)).toEqual({
      ...{ tries: [1], error: 'no 1' },
    })
  })

  test('a version without its body blocks the run before its timer, and its own body lets it go on', {
    tags: ['W12'],
  }, async () => {
    const seen: string[] = []
    const make = (version: number) =>
      workflow(
        'run',
        async (ctx: Ctx) => {
          await ctx.sleep('nap', '1h')
          await ctx.step('work', () => void seen.push(`v${version}`))
        },
        { version },
      )
    const w = await flowWorld([make(1)])
    await w.during(w.flow.start(make(1), undefined, { id: '1' }))
    await w.s.advance(10_000)
    await w.s.kill()
    await w.s.advance(2 * hour)
    await w.crash([make(2)])
    await w.s.advance(60_000)
    expect(w.flow.get(make(2), '1')).toMatchObject({
      ...{ status: 'blocked', error: { code: 'UNSUPPORTED_VERSION' } },
    })
    await w.crash([make(1)])
    await w.s.advance(60_000)
    expect([seen, w.status(make(1), '1')]).toEqual([['v1'], 'completed'])
  })

  test('fewer operations count for new ones alone: a record is replayed whole', async () => {
    const make = (stepsMax: number) =>
      workflow(
        'run',
        async (ctx: Ctx) => {
          for (let at = 0; at < 5; at++) await ctx.step(`step ${at}`, () => at)
          await ctx.sleep('nap', '1h')
          await ctx.step('last', () => 1)
        },
        { stepsMax },
      )
    const w = await flowWorld([make(100)])
    await w.during(w.flow.start(make(100), undefined, { id: '1' }))
    await w.s.advance(10_000)
    await w.crash([make(3)])
    await w.s.advance(2 * hour)
    expect(w.flow.get(make(3), '1')).toMatchObject({
      ...{ status: 'failed', error: { code: 'TOO_MANY_STEPS' } },
    })
    expect(w.flow.steps(make(3), '1').entries).toHaveLength(6)
  })

  test('a deadline stays as it was at the start of its run', { tags: ['W7'] }, async () => {
    const make = (deadline: string) =>
      workflow('run', (ctx: Ctx) => ctx.sleep('nap', '9h'), { deadline: deadline as '1h' })
    const w = await flowWorld([make('1h')])
    await w.during(w.flow.start(make('1h'), undefined, { id: '1' }))
    await w.crash([make('20h')])
    await w.s.advance(1.1 * hour)
    expect(w.status(make('20h'), '1')).toBe('cancelled')
  })

  test('the next try of a whole run has begun with the failure of the last one, and comes', async () => {
    let tries = 0
    const make = (max: number) =>
      workflow(
        'run',
        (ctx: Ctx) => ctx.step('work', () => Promise.reject(new Error(`${++tries}`))),
        {
          ...{ retry: { max, baseMs: hour, jitter: 0 }, stepDefaults: { retry: { max: 1 } } },
        },
      )
    const w = await flowWorld([make(5)])
    await w.during(w.flow.start(make(5), undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash([make(1)])
    await w.s.advance(9 * hour)
    expect(w.flow.get(make(1), '1')).toMatchObject({ status: 'failed', error: { message: '2' } })
  })

  test.each([
    ['10d', '1d', 'CONFLICT'],
    ['1d', '10d', 'ok'],
  ] as const)(
    'runs are kept for the time of the new program: %s to %s',
    async (completed, next, code) => {
      const make = (kept: '1d' | '10d') =>
        workflow('run', async () => 1, { keep: { completed: kept } })
      const w = await flowWorld([make(completed)])
      await w.during(w.flow.start(make(completed), undefined, { id: '1' }))
      await w.s.advance(1_000)
      await w.s.kill()
      await w.s.advance(48 * hour)
      await w.crash([make(next)])
      await w.s.advance(2 * hour)
      expect(await w.during(codeOf(w.flow.handle(make(next), '1').result()))).toBe(code)
    },
  )
})
