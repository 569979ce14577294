/** Queues: jobs run under limits until they are done or dead, over crashes and closes too. */
import { describe, expect, test } from 'vitest'
import {
  flow,
  flows,
  type Queue,
  type QueueEvents,
  type QueueOptions,
  queue,
  type Try,
} from '../../../src/flow/index.ts'
import { type StorageEvents, supervisor, telemetry } from '../../../src/index.ts'
import type { SimulatedOptions, Simulation } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

const world = (queues: readonly Queue[], options: SimulatedOptions = {}): Promise<Simulation> =>
  simulated({ app: supervisor('app', {}, [flows({ queues })]), ...options })

type Started = { readonly job: string; readonly attempt: number; readonly key: string }

/** A queue whose handlers are ended by the test. */
const handled = (options: QueueOptions = {}) => {
  const starts: Started[] = []
  const ends = new Map<string, { resolve: () => void; reject: (error: unknown) => void }>()
  const signals = new Map<string, AbortSignal>()
  const mails = queue(
    'mails',
    (job: string, { key, attempt, signal }: Try) => {
      starts.push({ job, attempt, key })
      signals.set(job, signal)
      return new Promise<void>((resolve, reject) => ends.set(job, { resolve, reject }))
    },
    options,
  )
  const names = () => starts.map(({ job }) => job)
  const tries = () => starts.map(({ job, attempt }) => `${job}${attempt}`)
  const done = (job: string) => ends.get(job)?.resolve()
  const fails = (job: string) => ends.get(job)?.reject(new Error(`no ${job}`))
  return { mails, starts, signals, names, tries, done, fails }
}

const addAll = (s: Simulation, to: Queue<string>, ...jobs: string[]) =>
  s.during(flow(s.app).addMany(to, jobs))

describe('a job', () => {
  test('runs once it is added, under a key that is the same at each try', {
    tags: ['W1'],
  }, async () => {
    const { mails, starts, tries, done, fails } = handled()
    const s = await world([mails])
    expect(await s.during(flow(s.app).add(mails, 'a'))).toEqual({ id: '1', repeated: false })
    await s.settle()
    expect(tries()).toEqual(['a1'])
    fails('a')
    await s.advance(1_010)
    expect(tries()).toEqual(['a1', 'a2'])
    expect(starts[0]?.key).toMatch(/^queue\/mails\/[0-9a-f]{16}\/1$/)
    expect(starts[1]?.key).toBe(starts[0]?.key)
    done('a')
    await s.advance(10)
    expect(await s.during(flow(s.app).counts(mails))).toEqual({
      ...{ ready: 0, delayed: 0, running: 0, dead: 0, isPaused: false, isFull: false },
      ...{ oldest: undefined, overdue: [], unreadable: [], unreachable: 0 },
    })
  })

  test('starts when its claim is durable, not before', { tags: ['W10'] }, async () => {
    const { mails, names } = handled()
    const s = await world([mails])
    await s.during(flow(s.app).pause(mails))
    await addAll(s, mails, 'a')
    s.syncMs = 50
    const resumed = flow(s.app).resume(mails)
    await s.advance(49)
    expect(names()).toEqual([])
    await s.during(resumed)
    await s.settle()
    expect(names()).toEqual(['a'])
  })

  test('is added, claimed and ended in one turn with those of its turn of the event loop', async () => {
    const { mails, names, done } = handled({ concurrency: 100 })
    const s = await world([mails])
    await addAll(s, mails, 'first')
    let frames = 0
    telemetry<StorageEvents>(s.system).on('wal.commit', (event) => {
      frames += event.frames
    })
    const jobs = Array.from({ length: 60 }, (_, at) => `j${at}`)
    done('first')
    await s.during(Promise.all(jobs.map((job) => flow(s.app).add(mails, job))))
    await s.settle()
    expect([names().length, frames]).toEqual([61, 1])
  })

  test('is tried 3 times, is dead then, and runs again when an operator says so', async () => {
    const { mails, tries, fails, done } = handled()
    const s = await world([mails])
    await addAll(s, mails, 'a')
    for (let attempt = 0; attempt < 3; attempt++) {
      await s.advance(2_010)
      fails('a')
    }
    await s.advance(60_000)
    expect(tries()).toEqual(['a1', 'a2', 'a3'])
    const { entries, cursor } = flow(s.app).dead(mails)
    expect(cursor).toBe(undefined)
    const [dead] = JSON.parse(JSON.stringify(entries))
    const error = { name: 'Error', message: 'no a' }
    expect(dead).toMatchObject({ id: '1', job: 'a', tries: 3, error })
    expect((await s.during(flow(s.app).job(mails, '1').get()))?.error).toMatchObject(error)
    expect(await s.during(codeOf(flow(s.app).retry(mails, '7')))).toBe('CONFLICT')
    await s.during(flow(s.app).retry(mails, '1'))
    await s.settle()
    expect(tries()).toEqual(['a1', 'a2', 'a3', 'a1'])
    done('a')
    await s.advance(10)
    expect(flow(s.app).dead(mails).entries).toEqual([])
  })

  test('is the value that was given to `add`, whatever its caller and its tries do with it', async () => {
    const seen: number[] = []
    const mails = queue('mails', (job: { at: number }) => {
      seen.push(job.at)
      job.at += 10
      if (seen.length < 3) throw new Error('again')
    })
    const s = await world([mails])
    const job = { at: 1 }
    const adding = flow(s.app).addMany(mails, [job])
    job.at = 2
    await s.during(adding)
    await s.advance(10_000)
    expect(seen).toEqual([1, 1, 1])
  })

  test('may be a hole in a list', async () => {
    const seen: unknown[] = []
    const mails = queue('mails', (job: unknown) => void seen.push(job))
    const s = await world([mails])
    const jobs = [1, 2, 3]
    delete jobs[1]
    await s.during(flow(s.app).addMany(mails, jobs))
    await s.advance(10)
    expect(seen).toEqual([1, undefined, 3])
  })

  test('may fail with any text, and the other jobs go on', async () => {
    const done: string[] = []
    const mails = queue(
      'mails',
      (job: string) => {
        if (job === 'a') throw new Error(`x${'😀'.repeat(1_000)}`)
        done.push(job)
      },
      { retry: { max: 1 } },
    )
    const s = await world([mails])
    await addAll(s, mails, 'a')
    await s.advance(10)
    await addAll(s, mails, 'b')
    await s.advance(10)
    expect(done).toEqual(['b'])
    expect(flow(s.app).dead(mails).entries).toMatchObject([{ job: 'a', tries: 1 }])
  })

  test('has no other try after an error that its policy names', async () => {
    const { mails, fails } = handled({ retry: { unless: (error) => error instanceof Error } })
    const s = await world([mails])
    await addAll(s, mails, 'a')
    await s.settle()
    fails('a')
    await s.advance(10)
    expect(flow(s.app).dead(mails).entries).toMatchObject([{ tries: 1 }])
  })

  test('that takes too long has failed, gives its place back, and is named until it ends', {
    tags: ['W10'],
  }, async () => {
    const { mails, names, signals, done } = handled({ concurrency: 1, timeout: '5s' })
    const s = await world([mails])
    await addAll(s, mails, 'slow', 'next')
    await s.advance(5_010)
    expect(names()).toEqual(['slow', 'next'])
    expect(signals.get('slow')?.aborted).toBe(true)
    const { overdue, delayed } = await s.during(flow(s.app).counts(mails))
    expect([overdue, delayed]).toMatchObject([[{ id: '1', attempt: 1 }], 1])
    expect(s.app.health().parts['queue/mails']).toMatchObject({ overdue, delayed: 1, running: 1 })
    done('slow')
    await s.settle()
    expect(await s.during(flow(s.app).counts(mails))).toMatchObject({ overdue: [], delayed: 1 })
    done('next')
    await s.advance(1_010)
    expect(names()).toEqual(['slow', 'next', 'slow'])
  })

  test('with a delay starts no sooner, and that survives a power cut', {
    tags: ['W7'],
  }, async () => {
    const { mails, names } = handled()
    const s = await world([mails])
    await s.during(flow(s.app).add(mails, 'later', { delay: '1h' }))
    await s.powerCut()
    await s.start()
    await s.advance(3_590_000)
    expect(names()).toEqual([])
    await s.advance(10_000)
    expect(names()).toEqual(['later'])
  })

  test('is refused when its value or its options cannot be', async () => {
    const { mails } = handled()
    const s = await world([mails])
    const added = (job: unknown, options = {}) =>
      codeOf(flow(s.app).add(mails, job as string, options))
    expect(await added(() => 1)).toBe('INVALID_ARGUMENT')
    expect(await added('x'.repeat(960 * 1024 + 1))).toBe('TOO_LARGE')
    for (const options of [{ key: '' }, { unique: '\0' }, { priority: 1.5 }, { delay: 'soon' }])
      expect(await added('a', options)).toBe('INVALID_ARGUMENT')
  })

  test('may be a value in a blob', async () => {
    const { mails, names } = handled()
    const s = await world([mails], { blobs: { threshold: 1_000 } })
    const large = 'x'.repeat(500_000)
    await addAll(s, mails, large, 'y'.repeat(500_000), 'z'.repeat(500_000))
    await s.advance(10)
    expect(names()[0]).toBe(large)
    expect(names().length).toBe(3)
  })
})

test('a job whose blob is damaged is named, and other jobs go on', { tags: ['W12'] }, async () => {
  const { mails, names } = handled()
  const s = await world([mails], { blobs: { threshold: 1_000 } })
  await s.during(flow(s.app).pause(mails))
  await addAll(s, mails, 'a', 'x'.repeat(50_000), 'b')
  await s.close()
  const paths = (folder: string): string[] =>
    s.disk.list(folder).flatMap((name) => {
      const path = `${folder}/${name}`
      return s.disk.entry(path)?.kind === 'folder' ? paths(path) : [path]
    })
  const [blob] = paths('').filter((path) => /blob/.test(path))
  s.disk.poke(blob as string, 20_000, new Uint8Array(100))
  await s.start()
  await s.during(flow(s.app).resume(mails))
  await s.advance(1_000)
  expect(names()).toEqual(['a', 'b'])
  expect(s.app.health().parts['queue/mails']).toMatchObject({ ready: 0, unreadable: ['2'] })
})

describe('a queue', () => {
  test('goes on after a power cut: what ran is tried again, one by one', {
    tags: ['W1', 'W10'],
  }, async () => {
    const { mails, tries, done } = handled({ concurrency: 2 })
    const s = await world([mails])
    await addAll(s, mails, 'a', 'b', 'c')
    await s.powerCut()
    await s.start()
    await s.advance(100)
    expect(tries()).toEqual(['a1', 'b1', 'a2'])
    done('a')
    await s.advance(10)
    done('b')
    await s.advance(10)
    expect(tries()).toEqual(['a1', 'b1', 'a2', 'b2', 'c1'])
  })

  test('goes on when its process was killed alone, and late ends count for nothing', {
    tags: ['W10'],
  }, async () => {
    const { mails, tries, signals, done } = handled({ concurrency: 1 })
    const s = await world([mails])
    await addAll(s, mails, 'a', 'b')
    await s.settle()
    const first = signals.get('a')
    const kill = s.app.entity('$queue-mails').ref('queue')
    s.system.kill(kill)
    await s.advance(0)
    done('a')
    expect(first?.aborted).toBe(true)
    await s.advance(1_000)
    expect(tries()).toEqual(['a1', 'a2'])
  })

  test('lets running jobs end before a close, and names those that it cuts off: they count no try', async () => {
    const { mails, tries, done } = handled({ concurrency: 3 })
    const s = await world([mails])
    await addAll(s, mails, 'quick', 'slow', 'stuck', 'next')
    await s.settle()
    const closed = s.app.close({ deadlineMs: 1_000 })
    await s.advance(100)
    done('quick')
    const actor = '$queue-mails/queue'
    expect(await s.during(closed)).toEqual({
      cutOff: ['job 2', 'job 3'].map((what) => ({ part: 'work', actor, what })),
    })
    await s.start()
    await s.advance(100)
    expect(tries()).toEqual(['quick1', 'slow1', 'stuck1', 'slow1', 'stuck1', 'next1'])
  })

  test('that is paused starts nothing, over restarts too', async () => {
    const { mails, names } = handled()
    const s = await world([mails])
    await s.during(flow(s.app).pause(mails))
    await addAll(s, mails, 'a')
    await s.powerCut()
    await s.start()
    await s.advance(1_000)
    expect(await s.during(flow(s.app).counts(mails))).toMatchObject({ ready: 1, isPaused: true })
    expect(names()).toEqual([])
    await s.during(flow(s.app).resume(mails))
    await s.settle()
    expect(names()).toEqual(['a'])
  })

  test('says how old its oldest ready job is', async () => {
    const { mails } = handled()
    const s = await world([mails])
    await s.during(flow(s.app).pause(mails))
    const now = s.clock.now()
    await addAll(s, mails, 'a')
    await s.advance(5_000)
    await addAll(s, mails, 'b')
    const { oldest } = await s.during(flow(s.app).counts(mails))
    expect((oldest as number) - now).toBeLessThan(10)
  })

  test('refuses a job beyond its depth with BUSY, and has one job for a unique text', {
    tags: ['W10'],
  }, async () => {
    const { mails } = handled({ concurrency: 1, depthMax: 2 })
    const s = await world([mails])
    const add = (unique: string) => s.during(flow(s.app).add(mails, 'a', { unique }))
    const health = () => s.app.health().parts['queue/mails']
    expect(health()).toMatchObject({ isFull: false })
    const both = await Promise.all([add('u'), add('u'), add('v')])
    expect(both.map(({ id, repeated }) => [id, repeated])).toEqual([
      ['1', false],
      ['1', true],
      ['2', false],
    ])
    expect(await s.during(codeOf(flow(s.app).add(mails, 'b')))).toBe('BUSY')
    expect(health()).toMatchObject({ isFull: true, ready: 1, running: 1 })
  })

  test('stands still in an instance without its tree, such as a copy that waits', async () => {
    const { mails, names } = handled()
    const s = await world([mails])
    await s.during(flow(s.app).add(mails, 'a', { delay: '1m' }))
    await s.close()
    await s.start({ app: false })
    await s.advance(120_000)
    expect(names()).toEqual([])
    await s.close()
    await s.start()
    await s.advance(100)
    expect(names()).toEqual(['a'])
  })

  test('keeps the ends of its jobs while the disk is full, and refuses new ones', {
    tags: ['slow', 'W1'],
  }, async () => {
    const { mails, names, fails } = handled({ concurrency: 1 })
    const s = await world([mails])
    const first = 'a'.repeat(20_000)
    await addAll(s, mails, first, 'b')
    s.disk.capacityBytes = 700 * 1024
    const codes: unknown[] = []
    let added = 0
    const letter = 'x'.repeat(200)
    while (codes.length < 64) {
      const adds = Array.from({ length: 64 }, () => flow(s.app).add(mails, letter, { delay: '1d' }))
      for (const code of await s.during(Promise.all(adds.map(codeOf))))
        if (code === 'ok') added++
        else codes.push(code)
    }
    expect(new Set(codes)).toEqual(new Set(['NO_SPACE']))
    fails(first)
    await s.advance(5_000)
    expect(names()).toEqual([first])
    s.disk.capacityBytes = Number.POSITIVE_INFINITY
    await s.advance(2_000)
    expect(names()).toEqual([first, 'b'])
    expect(await s.during(flow(s.app).counts(mails))).toMatchObject({
      ...{ delayed: added, running: 1, ready: 1 },
    })
  })

  test('adds jobs one by one that are too large for one turn together', {
    tags: ['W1'],
  }, async () => {
    const { mails, names } = handled({ concurrency: 100 })
    const s = await world([mails], { wal: { maxFileSize: 256 * 1024 } })
    await addAll(s, mails, 'first')
    let refused = 0
    telemetry<QueueEvents>(s.system).on('queue.refused', () => {
      refused++
    })
    const letters = Array.from({ length: 6 }, (_, at) => String(at).repeat(60_000))
    await s.during(Promise.all(letters.map((letter) => flow(s.app).add(mails, letter))))
    await s.settle()
    expect([refused, names()]).toEqual([1, ['first', ...letters]])
  })

  test('writes ends, and makes jobs ready, one by one that are too large for one turn together', {
    tags: ['W1'],
  }, async () => {
    const { mails, names, fails } = handled({ concurrency: 100 })
    const s = await world([mails], { wal: { maxFileSize: 256 * 1024 } })
    const letters = Array.from({ length: 6 }, (_, at) => String(at).repeat(60_000))
    for (const letter of letters) await addAll(s, mails, letter)
    await s.settle()
    expect(names()).toEqual(letters)
    for (const letter of letters) fails(letter)
    await s.advance(500)
    expect(await s.during(flow(s.app).counts(mails))).toMatchObject({ delayed: 6, running: 0 })
    await s.advance(10_000)
    expect(names()).toEqual([...letters, ...names().slice(6)])
    expect(names().slice(6).sort()).toEqual(letters)
  })

  test('removes dead jobs after their time', { tags: ['W11'] }, async () => {
    const { mails, fails } = handled({ retry: { max: 1 }, keep: { dead: '2h' } })
    const s = await world([mails])
    await addAll(s, mails, 'a')
    await s.settle()
    fails('a')
    await s.advance(7_100_000)
    expect(flow(s.app).dead(mails).entries.length).toBe(1)
    await s.advance(3_700_000)
    expect(flow(s.app).dead(mails).entries).toEqual([])
    expect(await s.during(flow(s.app).counts(mails))).toMatchObject({ dead: 0 })
  })

  test('goes on after its shard was down, and forgets no end of that time', {
    tags: ['W1'],
  }, async () => {
    const { mails, tries, done } = handled({ concurrency: 1 })
    const s = await world([mails])
    await addAll(s, mails, 'a', 'b')
    failNextSync(s.disk)
    done('a')
    const adding = codeOf(flow(s.app).add(mails, 'c'))
    await s.advance(3_000)
    await s.during(s.app.control.reopen(0))
    await s.advance(11_000)
    expect(tries()).toEqual(['a1', 'b1'])
    const { ready } = await s.during(flow(s.app).counts(mails))
    expect(ready).toBe((await adding) === 'ok' ? 1 : 0)
  })

  test('emits what happens to its jobs', async () => {
    const { mails, fails } = handled()
    const s = await world([mails])
    const seen: unknown[] = []
    const bus = telemetry<QueueEvents>(s.system)
    bus.on('queue.started', ({ id, attempt }) => seen.push(['started', id, attempt]))
    bus.on('queue.ended', ({ id, outcome }) => seen.push(['ended', id, outcome]))
    await addAll(s, mails, 'a')
    await s.settle()
    fails('a')
    await s.advance(10)
    expect(seen).toEqual([
      ['started', '1', 1],
      ['ended', '1', 'failed'],
    ])
  })
})
