/** Single jobs of a queue: looks at them, their results and logs, changes and removals. */
import { describe, expect, test } from 'vitest'
import {
  flow,
  flows,
  type JobLook,
  type JobTry,
  type Queue,
  type QueueEvents,
  type QueueOptions,
  queue,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor, telemetry } from '../../../src/index.ts'
import type { SimulatedOptions, Simulation } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

/** An instance with one queue, whose handlers are ended by the test. */
const world = async (options: QueueOptions = {}, instance: SimulatedOptions = {}) => {
  const tries = new Map<string, JobTry>()
  const ends = new Map<
    string,
    { resolve: (value: unknown) => void; reject: (why: Error) => void }
  >()
  const names: string[] = []
  const mails = queue(
    'mails',
    (job: string, attempt: JobTry) => {
      names.push(job)
      tries.set(job, attempt)
      return new Promise<unknown>((resolve, reject) => ends.set(job, { resolve, reject }))
    },
    options,
  )
  const app = supervisor('app', {}, [flows({ queues: [mails] })])
  const s = await simulated({ app, ...instance })
  const job = (number: number) => flow(s.app).job(mails, String(number))
  return {
    ...{ s, mails, names, tries, job },
    add: (name: string, given = {}) => s.during(flow(s.app).add(mails, name, given)),
    get: (number: number): Promise<JobLook<string> | undefined> => s.during(job(number).get()),
    state: async (number: number) => (await s.during(job(number).get()))?.state,
    counts: () => s.during(flow(s.app).counts(mails)),
    done: (name: string, value?: unknown) => ends.get(name)?.resolve(value),
    fails: (name: string) => ends.get(name)?.reject(new Error(`no ${name}`)),
  }
}

const restart = async (s: Simulation): Promise<void> => {
  await s.powerCut()
  await s.start()
  await s.advance(100)
}

describe('a look at a job', () => {
  test('shows it wherever it is, from its add to its end', async () => {
    const { s, add, get, state, fails, done } = await world({ concurrency: 1, retry: { max: 2 } })
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
    const { s, add, get, tries, fails } = await world()
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
    const { s, mails, job } = await world()
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

describe('the log of a job', () => {
  test('is kept with each try that fails, over crashes, and a dead job shows it', async () => {
    const { s, add, get, tries, fails } = await world({ retry: { max: 2 } })
    await add('a')
    await s.settle()
    tries.get('a')?.log('first')
    expect((await get(1))?.log).toEqual(['first'])
    fails('a')
    await s.settle()
    await restart(s)
    await s.advance(2_000)
    const { log } = tries.get('a') as JobTry
    log('second')
    log('third')
    fails('a')
    await s.settle()
    await restart(s)
    expect(await get(1)).toMatchObject({ state: 'dead', log: ['first', 'second', 'third'] })
  })

  test('has the last 100 lines, of 32 KiB, each cut off at 1,000 characters', async () => {
    const { s, add, get, tries, fails } = await world({ retry: { max: 1 } })
    await add('a')
    await add('b')
    await s.settle()
    for (let line = 1; line <= 150; line++) tries.get('a')?.log(`line ${line}`)
    for (let line = 1; line <= 50; line++) tries.get('b')?.log(`${line} ${'ä'.repeat(2_000)}`)
    expect(() => tries.get('a')?.log(7 as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    fails('a')
    fails('b')
    await s.settle()
    const [first, second] = [await get(1), await get(2)]
    expect([first?.log.length, first?.log[0], first?.log.at(-1)]).toEqual([
      ...[100, 'line 51', 'line 150'],
    ])
    expect(second?.log.length).toBe(16)
    expect(second?.log.at(-1)).toBe(`50 ${'ä'.repeat(997)}`)
  })
})

describe('the result of a job', () => {
  test('is what its handler returned, for callers that wait and, if it is kept, for later ones', async () => {
    const { s, add, job, get, tries, done } = await world({ keep: { results: '2h' } })
    await add('a', { key: 'k' })
    await s.settle()
    const waiting = job(1).result()
    tries.get('a')?.log('sent')
    done('a', { id: 7, list: [1, null] })
    expect(await s.during(waiting)).toEqual({ id: 7, list: [1, null] })
    await restart(s)
    expect(await s.during(job(1).result())).toEqual({ id: 7, list: [1, null] })
    expect(await get(1)).toMatchObject({
      ...{ state: 'done', key: 'k', tries: 1, log: ['sent'], input: undefined },
      result: { id: 7 },
    })
    await s.advance(3 * 3_600_000)
    expect(await get(1)).toBeUndefined()
    expect(await s.during(codeOf(job(1).result()))).toBe('CONFLICT')
  })

  test('is not kept unless the queue says so: then only those have it that waited', async () => {
    const { s, add, job, state, done } = await world()
    await add('a')
    await s.settle()
    const results = [job(1).result(), job(1).result()]
    done('a', ['x'])
    const [one, other] = await s.during(Promise.all(results))
    expect(one).toEqual(['x'])
    expect(other).not.toBe(one)
    expect(await state(1)).toBeUndefined()
    expect(await s.during(codeOf(job(1).result()))).toBe('CONFLICT')
  })

  test('is there for a caller that asks while the end of the job is being written', async () => {
    const { s, add, job, done } = await world()
    await add('a')
    await s.settle()
    s.syncMs = 50
    done('a', 1)
    await s.advance(10)
    const result = job(1).result()
    expect(await s.during(result)).toBe(1)
  })

  test('is FAILED when the job is dead, also for a caller that comes later', async () => {
    const { s, add, job, fails } = await world({ retry: { max: 1 } })
    await add('a')
    await s.settle()
    const waiting = job(1).result()
    fails('a')
    const failed = { code: 'FAILED', cause: { message: 'no a' } }
    await expect(s.during(waiting)).rejects.toMatchObject(failed)
    await restart(s)
    await expect(s.during(job(1).result())).rejects.toMatchObject(failed)
    await expect(s.during(job(2).result())).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('that cannot be stored fails the try, with the path, if results are kept', async () => {
    const kept = await world({ keep: { results: '1d' }, retry: { max: 1 } })
    await kept.add('a')
    await kept.add('b')
    await kept.s.settle()
    kept.done('a', { list: [{ send: () => 1 }] })
    kept.done('b', 'x'.repeat(960 * 1024 + 1))
    await kept.s.settle()
    const { state, error } = (await kept.get(1)) as JobLook
    expect([state, (error as { code?: string }).code]).toEqual(['dead', 'INVALID_ARGUMENT'])
    expect(error?.message).toMatch(/list\.0\.send/)
    expect(await kept.get(2)).toMatchObject({ state: 'dead', error: { code: 'TOO_LARGE' } })
  })

  test('that cannot be copied is refused to callers that wait, and its job is done', async () => {
    const { s, add, job, counts, done } = await world()
    await add('a')
    await s.settle()
    const waiting = codeOf(job(1).result())
    done('a', () => 1)
    expect(await s.during(waiting)).toBe('INVALID_ARGUMENT')
    expect(await counts()).toMatchObject({ running: 0, dead: 0, delayed: 0 })
  })

  test('is waited for with a time, and until a close', async () => {
    const { s, add, job } = await world()
    await add('a', { delay: '1h' })
    expect(await s.during(codeOf(job(1).result({ timeoutMs: 1_000 })))).toBe('TIMEOUT')
    const waiting = codeOf(job(1).result())
    await s.settle()
    await s.close()
    expect(await waiting).toBe('CLOSED')
  })
})

describe('a removal', () => {
  test('takes a job away that waits, is delayed or dead, and frees its unique text', async () => {
    const { s, mails, add, job, state, names, fails, counts } = await world({
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
    const { s, add, job, names, tries, counts, fails } = await world({ concurrency: 1 })
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

  test('stands when its handler ends while it is being written', async () => {
    const { s, add, job, state, done, names } = await world({ keep: { results: '1d' } })
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
    const { s, add, job, tries, state, done } = await world({ keep: { results: '1d' } })
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
    const { s, add, job, fails } = await world()
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

  test('of a done job removes its result', async () => {
    const { s, add, job, state, done } = await world({ keep: { results: '1h' } })
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
    const { s, mails, add, counts, fails } = await world({ concurrency: 1, retry: { max: 1 } })
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

  test('removes the jobs of a state, a key and a priority alone', async () => {
    const { s, mails, add, state } = await world()
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
    const { s, mails, add, job, get, names, done } = await world({ concurrency: 1 })
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
    const { s, add, job, get } = await world()
    await add('a', { delay: '1h' })
    const before = await get(1)
    await s.during(job(1).update({ priority: 7 }))
    expect(await get(1)).toEqual({ ...before, priority: 7 })
  })

  test('of a job that runs, is dead, is done or is not there is a CONFLICT', async () => {
    const { s, add, job, fails, done } = await world({ retry: { max: 1 }, keep: { results: '1d' } })
    for (const name of ['runs', 'dead', 'done']) await add(name)
    await s.settle()
    fails('dead')
    done('done')
    await s.settle()
    for (const number of [1, 2, 3, 4])
      expect(await s.during(codeOf(job(number).update({ priority: 1 })))).toBe('CONFLICT')
    expect(await codeOf(job(1).update({}))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(job(1).update({ priority: 0.5 }))).toBe('INVALID_ARGUMENT')
  })
})

test('a handle refuses what is no job of a queue with a handler', async () => {
  const { s, mails, job } = await world()
  const dock = queue('dock')
  for (const id of ['0', 'x', '1.5', 7])
    expect(() => flow(s.app).job(mails, id as string)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  expect(() => flow(s.app).job(dock, '1')).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
  expect(await codeOf(flow(s.app).drain(dock))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(flow(s.app).drain(mails, { where: { state: 'running' as never } }))).toBe(
    'INVALID_ARGUMENT',
  )
  expect(await s.during(codeOf(job(1).retry()))).toBe('CONFLICT')
  expect(() => queue('odd', { keep: { results: '1d' } } as never)).toThrow(
    expect.objectContaining({ code: 'CONFIG' }),
  )
})

test('a job whose blob is damaged is CORRUPT to a look and an update, and stays', async () => {
  const { s, mails, job, counts } = await world({}, { blobs: { threshold: 1_000 } })
  await s.during(flow(s.app).pause(mails))
  await s.during(flow(s.app).addMany(mails, ['a', 'x'.repeat(50_000), 'b']))
  await s.close()
  damageBlob(s)
  await s.start()
  expect(await s.during(codeOf(job(2).get()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).result()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).remove()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).update({ priority: 1 })))).toBe('CORRUPT')
  expect(await s.during(flow(s.app).drain(mails))).toBe(2)
  expect(await counts()).toMatchObject({ ready: 0, unreadable: ['2'] })
  expect(await s.during(codeOf(job(2).remove()))).toBe('CORRUPT')
})

const damageBlob = ({ disk }: Simulation): void => {
  const paths = (folder: string): string[] =>
    disk.list(folder).flatMap((name) => {
      const path = `${folder}/${name}`
      return disk.entry(path)?.kind === 'folder' ? paths(path) : [path]
    })
  const [blob] = paths('').filter((path) => /blob/.test(path))
  disk.poke(blob as string, 20_000, new Uint8Array(100))
}

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
