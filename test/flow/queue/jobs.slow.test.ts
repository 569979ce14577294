/** Single jobs of a queue: looks at them, changes and removals. */
import { describe, expect, test } from 'vitest'
import {
  flow,
  flows,
  type JobTry,
  type Queue,
  type QueueEvents,
  queue,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor, telemetry } from '../../../src/index.ts'
import { jobWorld, restart } from '../../support/worlds/job-world.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

describe('a page of jobs', () => {
  const all = ['waiting', 'delayed', 'running', 'dead', 'done'] as const

  test('has those of one state, in its order', async () => {
    const { s, mails, add, fails, done } = await jobWorld({
      ...{ concurrency: 2, retry: { max: 1 }, keep: { results: '1d' } },
    })
    const ids = (): string[] =>
      all.map((state) =>
        flow(s.app)
          .jobs(mails, { state })
          .entries.map(({ id }) => id)
          .join(),
      )
    expect(ids()).toEqual(['', '', '', '', ''])
    await add('a')
    await add('b')
    await add('c', { key: 'y', priority: 1 })
    await add('d', { key: 'x', priority: 1 })
    await add('e', { priority: -1 })
    await add('f', { key: 'x', priority: 1 })
    await add('g', { delay: '2h' })
    await add('h', { delay: '1h' })
    await s.settle()
    expect(ids()).toEqual(['4,6,3,5', '8,7', '1,2', '', ''])
    fails('a')
    done('b')
    // It shows what is durable.
    expect(ids().slice(3)).toEqual(['', ''])
    await s.advance(10)
    const now = ids()
    expect(now.slice(1)).toEqual(['8,7', expect.stringMatching(/^\d,\d$/), '1', '2'])
    expect([...(now[0] as string).split(','), ...(now[2] as string).split(',')].sort()).toEqual([
      ...['3', '4', '5', '6'],
    ])
    const entry = (state: (typeof all)[number]) => flow(s.app).jobs(mails, { state }).entries[0]
    expect(entry('dead')).toMatchObject({ state: 'dead', input: 'a', error: { message: 'no a' } })
    expect(entry('done')).toMatchObject({ state: 'done', input: undefined, tries: 1 })
    expect(entry('running')).toMatchObject({ state: 'running', tries: 1 })
    expect(entry('delayed')).toMatchObject({ input: 'h', tries: 0 })
    await restart(s)
    expect(ids().slice(1, 2)).toEqual(['8,7'])
  })

  test('continues at its cursor, over priorities and running jobs, in every state', async () => {
    const { s, mails, add } = await jobWorld({ concurrency: 3 })
    for (let at = 0; at < 20; at++) await add(`${at}`, { priority: at % 3, key: `${at % 2}` })
    for (let at = 0; at < 7; at++) await add(`late ${at}`, { delay: `${at + 1}h` })
    await s.settle()
    for (const state of all) {
      const whole = flow(s.app).jobs(mails, { state })
      expect([whole.exhausted, whole.cursor]).toEqual([true, undefined])
      for (const limit of [1, 2, 5]) {
        const found: unknown[] = []
        let cursor: string | undefined
        do {
          const page = flow(s.app).jobs(mails, { state, limit, ...(cursor && { cursor }) })
          expect(page.entries.length).toBeLessThanOrEqual(limit)
          found.push(...page.entries)
          expect(page.exhausted).toBe(page.cursor === undefined)
          cursor = page.cursor
        } while (cursor)
        expect(found, `${state} by ${limit}`).toEqual(whole.entries)
      }
      expect(await s.during(flow(s.app).read('jobs', mails, { state }))).toEqual(whole)
    }
    expect(flow(s.app).jobs(mails, { state: 'waiting' }).entries).toHaveLength(17)
    expect(flow(s.app).jobs(mails, { state: 'running' }).entries).toHaveLength(3)
  })

  test('refuses another state, and the cursor of another one', async () => {
    const { s, mails, add } = await jobWorld({ concurrency: 1 })
    for (const label of ['a', 'b', 'c']) await add(label)
    await s.settle()
    const { cursor = '' } = flow(s.app).jobs(mails, { state: 'waiting', limit: 1 })
    for (const options of [
      ...[{}, { state: 'lost' }, { state: 'delayed', cursor }, { state: 'waiting', cursor: 'r/' }],
      ...[
        { state: 'waiting', limit: 0 },
        { state: 'waiting', order: 'id' },
      ],
    ])
      expect(() => flow(s.app).jobs(mails, options as never), JSON.stringify(options)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })
})

describe('a look at a job', () => {
  test('shows it wherever it is, from its add to its end', async () => {
    const { s, add, get, state, fails, done } = await jobWorld({
      concurrency: 1,
      retry: { max: 2 },
    })
    const from = s.clock.now()
    await add('a', { key: 'k', priority: 3 })
    await add('b', { priority: -1 })
    await add('c', { delay: '1h' })
    await s.settle()
    expect(await get(1)).toMatchObject({
      ...{ id: '1', state: 'running', input: 'a', key: 'k', priority: 3, tries: 1 },
      ...{ error: undefined, dueAt: undefined, log: [] },
    })
    const second = await get(2)
    expect(second).toMatchObject({ state: 'waiting', input: 'b', key: undefined, tries: 0 })
    expect((second?.addedAt as number) - from).toBeLessThan(100)
    const third = await get(3)
    expect(third?.state).toBe('delayed')
    expect((third?.dueAt as number) - (third?.addedAt as number)).toBe(3_600_000)

    fails('a')
    await s.settle()
    expect(await get(1)).toMatchObject({ state: 'delayed', tries: 1, error: { message: 'no a' } })
    done('b')
    await s.advance(2_000)
    fails('a')
    await s.settle()
    expect(await get(1)).toMatchObject({ state: 'dead', tries: 2, error: { message: 'no a' } })
    expect(await state(2)).toBeUndefined()
    expect(await state(9)).toBeUndefined()
  })

  test('shows the last progress of its present try, and none of an earlier one', async () => {
    const { s, add, get, tries, fails } = await jobWorld()
    await add('a')
    await s.settle()
    const { progress } = tries.get('a') as JobTry
    progress({ sent: 1 })
    progress({ sent: 2 })
    expect((await get(1))?.progress).toEqual({ sent: 2 })
    expect(() => progress(() => 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    fails('a')
    await s.settle()
    expect((await get(1))?.progress).toBeUndefined()
    progress('late')
    await s.advance(1_100)
    expect((await get(1))?.progress).toBeUndefined()
  })

  test('shows what is durable: a look waits for the end of a turn', async () => {
    const { s, mails, job } = await jobWorld()
    s.syncMs = 50
    const adding = flow(s.app).add(mails, 'a')
    await s.advance(10)
    let seen: unknown = 'nothing'
    const looking = job(1)
      .get()
      .then((look) => {
        seen = look?.state
      })
    await s.advance(30)
    expect(seen).toBe('nothing')
    await s.during(Promise.all([adding, looking]))
    expect(seen).toBe('running')
  })
})

describe('a removal', () => {
  test('takes a job away that waits, is delayed or dead, and frees its unique text', async () => {
    const { s, mails, add, job, state, names, fails, counts } = await jobWorld({
      ...{ concurrency: 1, retry: { max: 1 } },
    })
    await add('dead')
    await s.settle()
    fails('dead')
    await s.settle()
    await s.during(flow(s.app).pause(mails))
    await add('waits', { unique: 'u' })
    await add('later', { delay: '1h', unique: 'v' })
    const removed = []
    for (const number of [1, 2, 3, 4]) removed.push(await s.during(job(number).remove()))
    expect(removed).toEqual([
      { removed: true, state: 'dead' },
      { removed: true, state: 'waiting' },
      { removed: true, state: 'delayed' },
      { removed: false, state: undefined },
    ])
    expect((await add('u', { unique: 'u' })).repeated).toBe(false)
    expect((await add('v', { unique: 'v' })).repeated).toBe(false)
    await restart(s)
    await s.during(flow(s.app).resume(mails))
    await s.advance(7_200_000)
    expect(await counts()).toMatchObject({ ready: 1, delayed: 0, running: 1, dead: 0 })
    expect(names).toEqual(['dead', 'u'])
    expect([await state(1), await state(2), await state(3)]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test('of a job that runs aborts its try, gives its place back, and no other try follows', async () => {
    const { s, add, job, names, tries, counts, fails } = await jobWorld({ concurrency: 1 })
    const seen: unknown[] = []
    const bus = telemetry<QueueEvents>(s.system)
    bus.on('queue.ended', ({ id, outcome }) => seen.push([id, outcome]))
    await add('a', { unique: 'u' })
    await add('b')
    await s.settle()
    const waiting = codeOf(job(1).result())
    expect(await s.during(job(1).remove())).toEqual({ removed: true, state: 'running' })
    await s.settle()
    expect(tries.get('a')?.signal.reason).toMatchObject({ code: 'CANCELLED' })
    expect(await waiting).toBe('CANCELLED')
    expect(names).toEqual(['a', 'b'])
    expect(await counts()).toMatchObject({ running: 1, overdue: [{ id: '1', attempt: 1 }] })
    fails('a')
    await s.advance(60_000)
    expect(await counts()).toMatchObject({ running: 1, delayed: 0, dead: 0, overdue: [] })
    expect(seen).toEqual([['1', 'removed']])
    expect((await add('u', { unique: 'u' })).repeated).toBe(false)
    await restart(s)
    expect(names).toEqual(['a', 'b', 'b'])
  })

  test('of a job with a time-out is the end of its try: the time-out has none to end', async () => {
    const { s, add, job, counts, tries } = await jobWorld({ timeout: '5s' })
    let overdue = 0
    telemetry<QueueEvents>(s.system).on('queue.overdue', () => {
      overdue++
    })
    await add('a')
    await s.settle()
    await s.during(job(1).remove())
    await s.advance(10_000)
    expect([overdue, (await counts()).overdue.length]).toEqual([0, 1])
    expect(tries.get('a')?.signal.reason).toMatchObject({ code: 'CANCELLED' })
  })

  test('stands when its handler ends while it is being written', async () => {
    const { s, add, job, state, done, names } = await jobWorld({ keep: { results: '1d' } })
    await add('a')
    await s.settle()
    s.syncMs = 50
    const removing = job(1).remove()
    await s.advance(10)
    done('a', 1)
    expect(await s.during(removing)).toEqual({ removed: true, state: 'running' })
    await s.advance(500)
    expect(await state(1)).toBeUndefined()
    await add('b')
    await s.settle()
    expect(names).toEqual(['a', 'b'])
  })

  test('that is refused changes nothing: the job runs on', async () => {
    const { s, add, job, tries, state, done } = await jobWorld({ keep: { results: '1d' } })
    await add('a')
    await s.settle()
    failNextSync(s.disk)
    const code = codeOf(job(1).remove())
    await s.advance(3_000)
    await s.during(s.app.control.reopen(0))
    await s.advance(11_000)
    const isGone = (await state(1)) === undefined
    expect([await code, tries.get('a')?.signal.aborted]).toEqual([
      ...(isGone ? [expect.any(String), true] : [expect.not.stringMatching('ok'), false]),
    ])
    done('a', 1)
    await s.advance(100)
    expect(await state(1)).toBe(isGone ? undefined : 'done')
  })

  test('of a job that failed before ends the trouble of it', async () => {
    const { s, add, job, fails } = await jobWorld()
    await add('a')
    await s.settle()
    fails('a')
    await s.settle()
    await s.advance(1_100)
    fails('a')
    await s.settle()
    const failing = () => s.app.health().actors.failing.count
    expect(failing()).toBe(1)
    await s.during(job(1).remove())
    await s.settle()
    expect(failing()).toBe(0)
  })

  test('of a job whose try fails in that moment leaves no trouble of it', async () => {
    const { s, add, job, fails } = await jobWorld()
    await add('a')
    await s.settle()

    fails('a')
    await s.during(job(1).remove())
    await s.settle()

    expect(s.app.health().actors.failing.count).toBe(0)
  })

  test('of a done job removes its result', async () => {
    const { s, add, job, state, done } = await jobWorld({ keep: { results: '1h' } })
    await add('a')
    await s.settle()
    done('a', 1)
    await s.settle()
    expect(await s.during(job(1).remove())).toEqual({ removed: true, state: 'done' })
    expect(await state(1)).toBeUndefined()
    expect(await s.during(job(1).remove())).toEqual({ removed: false, state: undefined })
  })
})

describe('a drain', () => {
  test('removes what waits and is delayed, in pieces, and nothing that runs or is dead', async () => {
    const { s, mails, add, counts, fails } = await jobWorld({ concurrency: 1, retry: { max: 1 } })
    await add('dead')
    await s.settle()
    fails('dead')
    await s.settle()
    await add('runs')
    const many = Array.from({ length: 1_200 }, (_, at) => `j${at}`)
    await s.during(flow(s.app).addMany(mails, many, (job) => ({ key: `k${job.length}` })))
    await s.during(flow(s.app).addMany(mails, many, () => ({ delay: '1h' })))
    expect(await s.during(flow(s.app).drain(mails))).toBe(2_400)
    expect(await counts()).toMatchObject({ ready: 0, delayed: 0, running: 1, dead: 1 })
    expect(await s.during(flow(s.app).drain(mails, { where: { state: 'dead' } }))).toBe(1)
    await restart(s)
    expect(await counts()).toMatchObject({ ready: 0, delayed: 0, running: 1, dead: 0 })
  })

  test('leaves a job that was added after it was asked', async () => {
    const { s, mails, add, counts } = await jobWorld()
    await s.during(flow(s.app).pause(mails))
    await add('before')

    const drained = flow(s.app).drain(mails)
    await add('after')

    expect(await s.during(drained)).toBe(1)
    expect(await counts()).toMatchObject({ ready: 1 })
  })

  test('removes the jobs of a state, a key and a priority alone', async () => {
    const { s, mails, add, state } = await jobWorld()
    await s.during(flow(s.app).pause(mails))
    const drain = (where: object) => s.during(flow(s.app).drain(mails, { where }))
    for (const delay of [0, '1h'])
      for (const key of ['x', 'y'])
        for (const priority of [0, 5]) await add('j', { key, priority, delay })
    expect(await drain({ state: 'delayed', key: 'x', priority: 5 })).toBe(1)
    expect(await drain({ key: 'y', priority: 5 })).toBe(2)
    expect(await drain({ state: 'waiting', key: 'x' })).toBe(2)
    const states = []
    for (let number = 1; number <= 8; number++) states.push(await state(number))
    expect(states.map((state, at) => state && at + 1).filter(Boolean)).toEqual([3, 5, 7])
  })
})

describe('an update', () => {
  test('gives a waiting or delayed job another priority or time, over crashes too', async () => {
    const { s, mails, add, job, get, names, done } = await jobWorld({ concurrency: 1 })
    await s.during(flow(s.app).pause(mails))
    await add('a')
    await add('b')
    await add('c', { delay: '1h' })
    await add('d')
    await s.during(job(2).update({ priority: 5 }))
    await s.during(job(3).update({ delay: 0, priority: 3 }))
    await s.during(job(4).update({ delay: '2h' }))
    expect(await get(2)).toMatchObject({ state: 'waiting', priority: 5 })
    expect(await get(4)).toMatchObject({ state: 'delayed', priority: 0 })
    await restart(s)
    await s.during(flow(s.app).resume(mails))
    for (const name of ['b', 'c', 'a']) {
      await s.advance(10)
      done(name)
    }
    await s.advance(7_190_000)
    expect(names).toEqual(['b', 'c', 'a'])
    await s.advance(20_000)
    expect(names).toEqual(['b', 'c', 'a', 'd'])
  })

  test('keeps the time of a job whose priority alone it changes', async () => {
    const { s, add, job, get } = await jobWorld()
    await add('a', { delay: '1h' })
    const before = await get(1)
    await s.during(job(1).update({ priority: 7 }))
    expect(await get(1)).toEqual({ ...before, priority: 7 })
  })

  test('of a job that a crash has cut off is a CONFLICT: it starts next', async () => {
    const { s, add, job, names, done, state } = await jobWorld({ concurrency: 2 })
    await add('a')
    await add('b')
    await s.settle()
    await restart(s)
    expect([names.at(-1), await state(2)]).toEqual(['a', 'waiting'])
    expect(await s.during(codeOf(job(2).update({ delay: '1h' })))).toBe('CONFLICT')
    done('a')
    await s.advance(10)
    expect([names.at(-1), await state(2)]).toEqual(['b', 'running'])
  })

  test('of a job that runs, is dead, is done or is not there is a CONFLICT', async () => {
    const { s, add, job, fails, done } = await jobWorld({
      retry: { max: 1 },
      keep: { results: '1d' },
    })
    for (const name of ['runs', 'dead', 'done']) await add(name)
    await s.settle()
    fails('dead')
    done('done')
    await s.settle()
    for (const [number, how] of [
      ...[[1, 'is running'] as const, [2, 'is dead'] as const],
      ...[[3, 'is done or removed'] as const, [4, 'is not there'] as const],
    ]) {
      const refused = { code: 'CONFLICT', message: `job ${number} does not wait: it ${how}` }
      await expect(s.during(job(number).update({ priority: 1 }))).rejects.toMatchObject(refused)
    }
    expect(await codeOf(job(1).update({}))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(job(1).update({ priority: 0.5 }))).toBe('INVALID_ARGUMENT')
  })
})

test('a handle refuses what is no job of a queue with a handler', async () => {
  const dock = queue('dock')
  const { s, mails, job } = await jobWorld({}, {}, [dock])
  for (const id of ['0', 'x', '1.5', 7])
    expect(() => flow(s.app).job(mails, id as string)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  const run = flow(s.app).job(dock, '1')
  const calls = [run.get(), run.result(), run.remove(), run.update({ priority: 1 })]
  const codes = [...calls, flow(s.app).drain(dock)].map(codeOf)
  expect(new Set(await s.during(Promise.all(codes)))).toEqual(new Set(['INVALID_ARGUMENT']))
  expect(await codeOf(flow(s.app).drain(mails, { where: { state: 'running' as never } }))).toBe(
    'INVALID_ARGUMENT',
  )
  expect(await s.during(codeOf(job(1).retry()))).toBe('CONFLICT')
  expect(() => queue('odd', { keep: { results: '1d' } } as never)).toThrow(
    expect.objectContaining({ code: 'CONFIG' }),
  )
})

describe('a job of a queue with a workflow', () => {
  test('has the output of its run as its result, and the id of its run', async () => {
    const square = workflow('square', async (ctx, given: number) => {
      await ctx.sleep('rest', '1m')
      return given * given
    })
    const squares: Queue<number, number> = queue('squares', square, { keep: { results: '1d' } })
    const app = supervisor('app', {}, [flows({ workflows: [square], queues: [squares] })])
    const s = await simulated({ app })
    const { id } = await s.during(flow(s.app).add(squares, 7))
    await s.advance(100)
    const look = await s.during(flow(s.app).job(squares, id).get())
    expect(look).toMatchObject({ state: 'running', input: 7, progress: undefined, log: [] })
    expect(flow(s.app).get(square, look?.tryKey as string)?.input).toBe(7)
    expect(await s.during(codeOf(flow(s.app).job(squares, id).remove()))).toBe('CONFLICT')
    await s.advance(61_000)
    expect(await s.during(flow(s.app).job(squares, id).result())).toBe(49)
  })

  test('is removed before its run has begun, and then has none', async () => {
    const nothing = workflow('nothing', async () => undefined)
    const waits = queue('waits', nothing)
    const app = supervisor('app', {}, [flows({ workflows: [nothing], queues: [waits] })])
    const s = await simulated({ app })
    await s.during(flow(s.app).pause(waits))
    await s.during(flow(s.app).add(waits, undefined))
    const job = flow(s.app).job(waits, '1')
    expect(await s.during(job.remove())).toEqual({ removed: true, state: 'waiting' })
    await s.during(flow(s.app).resume(waits))
    await s.advance(1_000)
    expect(flow(s.app).list({ type: nothing }).entries).toEqual([])
  })
})
