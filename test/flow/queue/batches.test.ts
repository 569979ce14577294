/** Queues with batches: which jobs come together, and that each has its own tries, limits and end. */
import { describe, expect, test } from 'vitest'
import {
  type BatchJob,
  type BatchTry,
  flow,
  flows,
  type JobOutcomes,
  type Queue,
  type QueueBatch,
  type QueueEvents,
  type QueueOptions,
  queue,
} from '../../../src/flow/index.ts'
import { supervisor, telemetry } from '../../../src/index.ts'
import { restart } from '../../support/worlds/job-world.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** A call of the handler, which the test ends. */
type Call = {
  readonly jobs: readonly BatchJob<string>[]
  readonly batch: BatchTry
  readonly ends: (outcomes?: unknown) => void
  readonly fails: (error: unknown) => void
}

const done = (value?: unknown) => ({ status: 'fulfilled', value }) as const
const failed = (text: string) => ({ status: 'rejected', reason: new Error(text) }) as const

/** An instance with one queue of texts with batches. `names`: the jobs of each call. */
const batchWorld = async (options: QueueOptions & QueueBatch) => {
  const calls: Call[] = []
  const handler = (jobs: readonly BatchJob<string>[], batch: BatchTry) =>
    new Promise<JobOutcomes>((resolve, reject) =>
      calls.push({ jobs, batch, ends: resolve as Call['ends'], fails: reject }),
    )
  const mails = queue('mails', handler, options)
  const s = await simulated({ app: supervisor('app', {}, [flows({ queues: [mails] })]) })
  const job = (id: number) => flow(s.app).job(mails, String(id))
  return {
    ...{ s, mails, calls, job },
    add: (names: string, given: (name: string) => object = () => ({})) =>
      s.during(flow(s.app).addMany(mails, names.split(' '), given)),
    get: (id: number) => s.during(job(id).get()),
    counts: () => s.during(flow(s.app).counts(mails)),
    names: () => calls.map(({ jobs }) => jobs.map(({ input }) => input).join(' ')),
    call: (at: number) => calls[at] as Call,
  }
}

describe('a batch starts', () => {
  test('as soon as it is full, and the others wait for the next one', async () => {
    const { s, add, names, mails } = await batchWorld({ batch: { max: 3, waitMs: '10s' } })
    await add('a b')
    await s.advance(9_000)
    expect(names()).toEqual([])
    await add('c d')
    await s.settle()
    expect(names()).toEqual(['a b c'])
    const [hold] = await s.during(flow(s.app).holds(mails, [undefined]))
    expect(hold?.reason).toBe('batch')
    const left = (hold?.until ?? 0) - s.clock.now()
    expect([left > 9_900, left <= 10_000]).toEqual([true, true])
    await s.advance(left - 10)
    expect(names()).toEqual(['a b c'])
    await s.advance(20)
    expect(names()).toEqual(['a b c', 'd'])
  })

  test('after the wait of its first job, with those that came in it', async () => {
    const { s, add, names } = await batchWorld({ batch: { max: 10, waitMs: 1_000 } })
    await add('a')
    await s.advance(600)
    await add('b')
    await add('late', () => ({ delay: 300 }))
    await s.advance(350)
    expect(names()).toEqual([])
    await s.advance(100)
    expect(names()).toEqual(['a b late'])
  })

  test('without a wait at once, with the jobs that are there', async () => {
    const { s, add, names } = await batchWorld({ batch: { max: 4 } })
    await add('a')
    await add('b c d e f g')
    await s.settle()
    expect(names()).toEqual(['a', 'b c d e', 'f g'])
  })

  test('with the jobs of the highest priority, in the order in which they would start alone', async () => {
    const { s, mails, add, names } = await batchWorld({ batch: { max: 3, waitMs: 50 } })
    await s.during(flow(s.app).pause(mails))
    await add('a b c d', (name) => ({ priority: name === 'c' ? 5 : name === 'd' ? 9 : 0 }))
    await s.during(flow(s.app).resume(mails))
    await s.settle()
    expect(names()).toEqual(['d c a'])
    await s.advance(60)
    expect(names()).toEqual(['d c a', 'b'])
  })

  test('with jobs of several keys, which take turns', async () => {
    const { s, mails, add, names } = await batchWorld({ batch: { max: 4, waitMs: 50 } })
    await s.during(flow(s.app).pause(mails))
    await add('a1 a2 a3 b1 c1 c2', (name) => ({ key: name[0] }))
    await s.during(flow(s.app).resume(mails))
    await s.settle()
    expect(names()).toEqual(['a1 b1 c1 a2'])
  })

  test('not while the queue is paused, and after that its wait begins again', async () => {
    const { s, mails, add, names } = await batchWorld({ batch: { max: 4, waitMs: 1_000 } })
    await add('a')
    await s.advance(900)
    await s.during(flow(s.app).pause(mails))
    await s.advance(5_000)
    await s.during(flow(s.app).resume(mails))
    await s.advance(900)
    expect(names()).toEqual([])
    await s.advance(200)
    expect(names()).toEqual(['a'])
  })
})

describe('each job of a batch', () => {
  test('has its own end: a result, or another try after its pause', async () => {
    const { s, add, get, job, call, names } = await batchWorld({
      batch: { max: 3 },
      ...{ retry: { max: 2, baseMs: 1_000, jitter: 0 }, keep: { results: '1d' } },
    })
    await add('a b c')
    await s.settle()
    call(0).ends([done('A'), failed('no b'), done()])
    await s.settle()
    expect(await s.during(job(1).result())).toBe('A')
    expect(await s.during(job(3).result())).toBeUndefined()
    const retried = await get(2)
    expect(retried).toMatchObject({ state: 'delayed', tries: 1, error: { message: 'no b' } })
    await s.advance(1_100)
    expect(names()).toEqual(['a b c', 'b'])
    expect(call(1).jobs[0]?.attempt).toBe(2)
    expect(call(1).jobs[0]?.key).toBe(call(0).jobs[1]?.key)
    call(1).ends([failed('never b')])
    await s.settle()
    expect(await get(2)).toMatchObject({ state: 'dead', tries: 2, error: { message: 'never b' } })
  })

  test('is done if the handler returns nothing, and has failed if it throws', async () => {
    const { s, add, get, counts, call } = await batchWorld({
      ...{ batch: { max: 2 }, retry: { max: 1 }, keep: { results: '1d' } },
    })
    await add('a b c d')
    await s.settle()
    call(0).ends()
    call(1).fails(new Error('the bank is away'))
    await s.settle()
    const states = await Promise.all([1, 2, 3, 4].map(async (id) => (await get(id))?.state))
    expect(states).toEqual(['done', 'done', 'dead', 'dead'])
    expect((await get(4))?.error?.message).toBe('the bank is away')
    expect(await counts()).toMatchObject({ running: 0, dead: 2 })
  })

  test.each([
    ['too few', [done(1)], '1 outcomes'],
    ['too many', [done(1), done(2), done(3)], '3 outcomes'],
    ['bare values', ['A', 'B'], "'fulfilled' or 'rejected' as its status"],
    ['holes', [done(1), undefined], "'fulfilled' or 'rejected' as its status"],
    ['another status', [done(1), { status: 'ok' }], "'fulfilled' or 'rejected' as its status"],
    ['a Map', new Map(), 'an outcome'],
    ['a text', 'done', 'an outcome'],
    ['null', null, 'an outcome'],
  ])('has failed by name if the outcomes are %s', async (_, outcomes, text) => {
    const { s, add, get, call } = await batchWorld({ batch: { max: 2 }, retry: { max: 1 } })
    await add('a b')
    await s.settle()
    call(0).ends(outcomes)
    await s.settle()
    for (const id of [1, 2]) {
      const { state, error } = (await get(id)) ?? {}
      expect([state, error?.code]).toEqual(['dead', 'INVALID_ARGUMENT'])
      expect(error?.message).toContain('outcomes')
      expect(error?.message).toContain(text)
    }
  })

  test('fails alone with a result that cannot be kept', async () => {
    const { s, add, get, call } = await batchWorld({
      ...{ batch: { max: 2 }, retry: { max: 1 }, keep: { results: '1d' } },
    })
    await add('a b')
    await s.settle()
    call(0).ends([done(() => 1), done('B')])
    await s.settle()
    expect(await get(1)).toMatchObject({ state: 'dead', error: { code: 'INVALID_ARGUMENT' } })
    expect(await get(2)).toMatchObject({ state: 'done', result: 'B' })
  })

  test('has its own progress and log, and is listed as running', async () => {
    const { s, mails, add, get, call } = await batchWorld({
      ...{ batch: { max: 2 }, keep: { results: '1d' } },
    })
    await add('a b')
    await s.settle()
    const [first, second] = call(0).jobs as [BatchJob<string>, BatchJob<string>]
    first.progress(0.5)
    first.log('half of a')
    // Members that were taken out of it work too.
    const { id, input, ...says } = second
    says.progress('begun')
    expect([id, input, says.key, says.attempt]).toEqual(['2', 'b', second.key, 1])
    expect(await get(1)).toMatchObject({ state: 'running', progress: 0.5, log: ['half of a'] })
    expect(await get(2)).toMatchObject({ state: 'running', progress: 'begun', log: [] })
    const { entries } = await s.during(flow(s.app).read('jobs', mails, { state: 'running' }))
    expect(entries.map(({ id, tries }) => [id, tries])).toEqual([
      ['1', 1],
      ['2', 1],
    ])
    call(0).ends()
    await s.settle()
    expect((await get(1))?.log).toEqual(['half of a'])
  })

  test('has events of its own', async () => {
    const { s, add, call } = await batchWorld({ batch: { max: 2 }, retry: { max: 1 } })
    const heard: unknown[] = []
    const events = ['queue.started', 'queue.ended', 'queue.failed'] as const
    for (const event of events)
      telemetry(s.app.system).on(event, (facts: Parameters<QueueEvents[typeof event]>[0]) =>
        heard.push([event, facts.id, 'outcome' in facts ? facts.outcome : undefined]),
      )
    await add('a b')
    await s.settle()
    call(0).ends([failed('no a'), done()])
    await s.advance(10)
    expect(heard).toEqual([
      ['queue.started', '1', undefined],
      ['queue.started', '2', undefined],
      ['queue.ended', '1', 'failed'],
      ['queue.failed', '1', undefined],
      ['queue.ended', '2', 'done'],
    ])
  })
})

test('a handler cannot sort its list, for each job would have the outcome of another', async () => {
  const sorted = (jobs: readonly BatchJob<string>[]) => {
    const own = jobs as BatchJob<string>[]
    own.sort((a, b) => (a.input < b.input ? 1 : -1))
    return own.map(({ input }) => done(input))
  }
  const names = queue('names', sorted, {
    batch: { max: 2 },
    keep: { results: '1d' },
    retry: { max: 1 },
  })
  const s = await simulated({ app: supervisor('app', {}, [flows({ queues: [names] })]) })
  await s.during(flow(s.app).addMany(names, ['a', 'b'], () => ({})))
  await s.advance(1_000)

  const { entries } = await s.during(flow(s.app).read('dead', names))
  expect(entries.map(({ job, error }) => [job, error?.name])).toEqual([
    ['a', 'TypeError'],
    ['b', 'TypeError'],
  ])
})

describe('the limits of a queue with batches', () => {
  test('count each job', async () => {
    const { s, add, counts, names, call } = await batchWorld({
      ...{ batch: { max: 4, waitMs: 100 }, concurrency: 6 },
    })
    await add('a b c d e f g h')
    await s.settle()
    expect(names()).toEqual(['a b c d'])
    // Two more places: the batch is not full, and waits for other jobs or places.
    await s.advance(110)
    expect(names()).toEqual(['a b c d', 'e f'])
    expect(await counts()).toMatchObject({ running: 6, ready: 2 })
    call(1).ends()
    await s.advance(110)
    expect(names()).toEqual(['a b c d', 'e f', 'g h'])
  })

  test('of a key hold up the jobs of that key alone', async () => {
    const { s, mails, add, names } = await batchWorld({
      ...{ batch: { max: 4, waitMs: 100 }, perKey: 2 },
    })
    await s.during(flow(s.app).pause(mails))
    await add('a1 a2 a3 a4 b1', (name) => ({ key: name[0] }))
    await s.during(flow(s.app).resume(mails))
    await s.advance(90)
    expect(names()).toEqual([])
    await add('c1', () => ({ key: 'c' }))
    await s.settle()
    expect(names()).toEqual(['a1 b1 c1 a2'])
  })

  test('of a rate count the tries of jobs, and not the calls', async () => {
    const { s, add, names } = await batchWorld({
      ...{ batch: { max: 4, waitMs: 100 }, rate: { max: 6, per: '10s' } },
    })
    await add('a b c d e f g h')
    await s.advance(200)
    expect(names()).toEqual(['a b c d', 'e f'])
    await s.advance(9_500)
    expect(names()).toHaveLength(2)
    await s.advance(1_500)
    expect(names()).toEqual(['a b c d', 'e f', 'g h'])
  })

  test('of the rate of each key do, too', async () => {
    const { s, mails, add, names } = await batchWorld({
      ...{ batch: { max: 3, waitMs: 100 }, rate: { max: 1, per: '10s', key: true } },
    })
    await s.during(flow(s.app).pause(mails))
    await add('a1 a2 b1 b2', (name) => ({ key: name[0] }))
    await s.during(flow(s.app).resume(mails))
    await s.advance(200)
    expect(names()).toEqual(['a1 b1'])
    await s.advance(11_000)
    expect(names()).toEqual(['a1 b1', 'a2 b2'])
  })

  test('that are lowered while it runs bound its batches: a batch of so many is full', async () => {
    const { s, mails, add, names } = await batchWorld({ batch: { max: 4, waitMs: '1h' } })
    await s.during(flow(s.app).setLimits(mails, { concurrency: 2 }))
    await add('a b c d')
    await s.settle()
    expect(names()).toEqual(['a b'])
  })

  test('let ten full batches run at once by default', async () => {
    const { s, add, counts } = await batchWorld({ batch: { max: 3 } })
    await add(Array.from({ length: 40 }, (_, at) => `j${at}`).join(' '))
    await s.settle()
    expect(await counts()).toMatchObject({ running: 30, ready: 10 })
  })
})

describe('a job that is removed', () => {
  test('leaves its batch, which goes on for the others', async () => {
    const { s, add, get, job, counts, call } = await batchWorld({
      ...{ batch: { max: 3 }, keep: { results: '1d' } },
    })
    await add('a b c')
    await s.settle()
    const { jobs, batch, ends } = call(0)
    const { signal } = batch
    expect(await s.during(job(2).remove())).toEqual({ removed: true, state: 'running' })
    expect(jobs.map(({ signal: { aborted } }) => aborted)).toEqual([false, true, false])
    expect(jobs[1]?.signal.reason).toMatchObject({ code: 'CANCELLED' })
    expect(signal.aborted).toBe(false)
    expect(await counts()).toMatchObject({ running: 2, overdue: [{ id: '2', attempt: 1 }] })
    ends([done('A'), done('B'), done('C')])
    await s.settle()
    expect(await get(2)).toBeUndefined()
    expect([(await get(1))?.result, (await get(3))?.result]).toEqual(['A', 'C'])
    expect(await counts()).toMatchObject({ running: 0, overdue: [] })
  })

  test('as the last one of its batch aborts the batch', async () => {
    const { s, add, job, call } = await batchWorld({ batch: { max: 2 } })
    await add('a b')
    await s.settle()
    const { signal } = call(0).batch
    await s.during(job(1).remove())
    expect(signal.aborted).toBe(false)
    await s.during(job(2).remove())
    expect(signal.reason).toMatchObject({ code: 'CANCELLED' })
  })

  test('while it waits for others does not start with them', async () => {
    const { s, add, job, names } = await batchWorld({ batch: { max: 2, waitMs: 1_000 } })
    await add('a')
    expect(await s.during(job(1).remove())).toEqual({ removed: true, state: 'waiting' })
    await add('b')
    await s.advance(500)
    expect(names()).toEqual([])
    await add('c')
    await s.settle()
    expect(names()).toEqual(['b c'])
  })
})

test('a batch that takes too long has failed with all its jobs, and its late outcomes count for nothing', async () => {
  const { s, add, get, counts, call } = await batchWorld({
    ...{ batch: { max: 2 }, timeout: '5s', retry: { max: 1 } },
  })
  await add('a b')
  await s.settle()
  const { batch, jobs, ends } = call(0)
  const { signal } = batch
  await s.advance(5_100)
  expect(signal.reason).toMatchObject({ code: 'TIMEOUT' })
  expect(jobs.map(({ signal: each }) => each.reason?.code)).toEqual(['TIMEOUT', 'TIMEOUT'])
  const { overdue, dead, running } = await counts()
  expect([overdue.map(({ id }) => id), dead, running]).toEqual([['1', '2'], 2, 0])
  expect((await get(2))?.error?.message).toBe(
    'job 2, in a batch of 2, has taken longer than 5000 ms',
  )
  ends([done(), done()])
  await s.settle()
  expect(await counts()).toMatchObject({ overdue: [], dead: 2 })
})

describe('the process ends', () => {
  test('while jobs wait for a batch: they wait again, and no try is spent', async () => {
    const { s, add, get, names, call } = await batchWorld({ batch: { max: 3, waitMs: '10m' } })
    await add('a b')
    await s.advance(5 * 60_000)
    await restart(s)
    expect(await get(1)).toMatchObject({ state: 'waiting', tries: 0 })
    await s.advance(7 * 60_000)
    expect(names()).toEqual([])
    await s.advance(4 * 60_000)
    expect(names()).toEqual(['a b'])
    expect(call(0).jobs.map(({ attempt }) => attempt)).toEqual([1, 1])
  })

  test('by a close while jobs wait: none of them starts, and no try is spent', async () => {
    const { s, add, names, call } = await batchWorld({ batch: { max: 3, waitMs: '10s' } })
    await add('a b')
    await s.close()
    await s.start()
    expect(names()).toEqual([])
    await s.advance(11_000)
    expect(names()).toEqual(['a b'])
    expect(call(0).jobs.map(({ attempt }) => attempt)).toEqual([1, 1])
  })

  test('by a close while a batch runs: its jobs run together again, and no try is spent', async () => {
    const { s, add, names, call } = await batchWorld({ batch: { max: 3, waitMs: '10s' } })
    await add('a b c')
    await s.settle()
    const closed = s.close()
    await s.advance(60_000)
    await closed
    await s.start()
    await s.advance(100)
    expect(names()).toEqual(['a b c', 'a b c'])
    expect(call(1).jobs.map(({ attempt }) => attempt)).toEqual([1, 1, 1])
    expect(call(1).jobs.map(({ key }) => key)).toEqual(call(0).jobs.map(({ key }) => key))
  })

  test('by a crash while a batch runs: each of its jobs runs alone, for each may be the reason', async () => {
    const { s, add, names, call } = await batchWorld({ batch: { max: 3, waitMs: '10s' } })
    await add('a b c d')
    await s.settle()
    await restart(s)
    for (const at of [1, 2, 3]) {
      expect(names()[at]).toBe('abc'[at - 1])
      expect(names()).toHaveLength(at + 1)
      expect(call(at).jobs[0]?.attempt).toBe(2)
      call(at).ends()
      await s.advance(10)
    }
    await s.advance(10_100)
    expect(names()).toEqual(['a b c', 'a', 'b', 'c', 'd'])
  })
})

test('a queue may get batches in a new program, and lose them again', async () => {
  const alone: string[] = []
  const batches: string[][] = []
  const single = queue('mails', async (name: string) => void alone.push(name))
  const several = queue(
    'mails',
    async (jobs: readonly BatchJob<string>[]) => {
      batches.push(jobs.map(({ input }) => input))
    },
    { batch: { max: 5, waitMs: 100 } },
  )
  const program = (of: Queue<string>) => ({
    app: supervisor('app', {}, [flows({ queues: [of] })]),
  })
  const s = await simulated(program(single))
  const add = (names: string[]) =>
    s.during(flow(s.app).addMany(single, names, () => ({ delay: 1_000 })))
  await add(['a', 'b'])
  await s.close()
  await s.start(program(several))
  await s.advance(2_000)
  expect([alone, batches]).toEqual([[], [['a', 'b']]])
  await add(['c'])
  await s.close()
  await s.start(program(single))
  await s.advance(2_000)
  expect(alone).toEqual(['c'])
})

describe('the declaration refuses', () => {
  const handler = async () => undefined
  test.each([
    ['no bound', { batch: {} }, 'batch.max'],
    ['a bound of none', { batch: { max: 0 } }, 'batch.max'],
    ['a bound above 1,000', { batch: { max: 1_001 } }, 'batch.max'],
    ['half a job', { batch: { max: 1.5 } }, 'batch.max'],
    ['a negative wait', { batch: { max: 5, waitMs: -1 } }, 'batch.waitMs'],
    ['a wait without a unit', { batch: { max: 5, waitMs: '5' } }, 'batch.waitMs'],
    ['another option', { batch: { max: 5, size: 3 } }, 'batch.size'],
    ['a number', { batch: 5 }, 'batch'],
    ['null', { batch: null }, 'batch'],
    ['more than may run at once', { batch: { max: 5 }, concurrency: 4 }, 'batch.max'],
  ])('%s', (_, options, path) => {
    expect(() => queue('mails', handler, options as never)).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        message: expect.stringContaining(`queue.mails.${path}`),
      }),
    )
  })

  test('batches of a queue without a handler of jobs', () => {
    expect(() => queue('mails', { batch: { max: 5 } } as never)).toThrow(/queue\.mails\.batch/)
  })
})
