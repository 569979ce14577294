/**
 * The scripts of queues that Keelson and BullMQ both play. A script has the options of its queue and its handler, in words that both
 * have, and the host's part of up to three lives of the process: each is killed. `differs` says why Keelson's outcome is another
 * one, on purpose, and which.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { batches } from './scripts-batches.mjs'
import { singleJobs } from './scripts-jobs.mjs'
import { schedules } from './scripts-schedules.mjs'
import { windows } from './scripts-windows.mjs'

/** Adds these jobs, one after the other, and waits for the end of all. */
const addAndEnd =
  (...jobs) =>
  async (host) => {
    for (const job of jobs) await host.add(job)
    await host.idle()
  }

/** A handler that fails until this run of its job. */
const worksOn =
  (least) =>
  (_, { run }) => {
    if (run < least) throw new Error('the bank is away')
  }
const never = worksOn(Number.POSITIVE_INFINITY)

const orders = [
  { title: 'a job runs once', lives: [addAndEnd('a')] },
  {
    title: 'a job has its value',
    handler: (job, { host }) => host.note('value', job),
    lives: [addAndEnd({ name: 'a', text: 'ä€😀', list: [1, null, { deep: true }] })],
  },
  {
    title: 'jobs start in the order in which they were added',
    options: { concurrency: 1 },
    lives: [
      async (host) => {
        await host.addMany(['a', 'b', 'c', 'd'])
        await host.idle()
        host.note('order', host.started)
      },
    ],
  },
  {
    title: 'a hundred jobs that are added at once run once each',
    lives: [
      async (host) => {
        const ids = await host.addMany(Array.from({ length: 100 }, (_, at) => `j${at}`))
        await host.idle()
        host.note('ids', new Set(ids).size)
      },
    ],
  },
  {
    title: 'a delayed job lets others go first, and does not come early',
    options: { concurrency: 1 },
    lives: [
      async (host) => {
        const added = performance.now()
        await host.add('late', { delayMs: 1_000 })
        await host.add('now')
        await host.idle()
        host.note('order', host.started)
        host.note('isEarly', host.times[1] - added < 999)
      },
    ],
  },
  {
    title: 'of waiting jobs the more urgent one goes first',
    options: { concurrency: 1 },
    lives: [
      async (host) => {
        await host.pause()
        for (const priority of [1, 9, 5]) await host.add(`p${priority}`, { priority })
        await host.resume()
        await host.idle()
        host.note('order', host.started)
      },
    ],
  },
  {
    title: 'a job without a priority beside one with a high one',
    options: { concurrency: 1 },
    lives: [
      async (host) => {
        await host.pause()
        await host.add('plain')
        await host.add('urgent', { priority: 9 })
        await host.resume()
        await host.idle()
        host.note('order', host.started)
      },
    ],
    differs: {
      why: 'A job without a priority has 0, and a higher one goes first. In BullMQ a job without one goes before every job that has one.',
      keelson: { notes: { order: ['urgent', 'plain'] } },
    },
  },
]

const limits = [
  {
    title: 'no more jobs run at once than the concurrency',
    options: { concurrency: 2 },
    handler: () => wait(30),
    lives: [
      async (host) => {
        await host.addMany(['a', 'b', 'c', 'd', 'e'])
        await host.idle()
        host.note('most', host.most)
      },
    ],
  },
  {
    title: 'a queue that says no concurrency',
    handler: () => wait(30),
    lives: [
      async (host) => {
        await host.addMany(Array.from({ length: 20 }, (_, at) => `j${at}`))
        await host.idle()
        host.note('most', host.most)
      },
    ],
    differs: {
      why: 'Ten jobs run at once unless `concurrency` says otherwise. In BullMQ one job runs.',
      keelson: { notes: { most: 10 } },
    },
  },
  {
    title: 'no more jobs start in a time than the rate',
    options: { concurrency: 5, rate: { max: 2, perMs: 1_000 } },
    lives: [
      async (host) => {
        await host.add('a')
        await host.reached(1)
        await wait(700)
        await host.addMany(['b', 'c', 'd'])
        await host.idle()
        const { times } = host
        host.note(
          'isOver',
          times.some((time, at) => times[at + 2] - time < 900),
        )
      },
    ],
    differs: {
      why: 'A rate holds in any time of its length. In BullMQ a time begins with the first job after the last one, so more jobs may start around its end.',
      keelson: { notes: { isOver: false } },
    },
  },
  {
    title: 'a paused queue starts nothing until it is resumed',
    lives: [
      async (host) => {
        await host.pause()
        await host.add('a')
        await wait(150)
        host.note('paused', host.started.length)
        await host.resume()
        await host.idle()
      },
    ],
  },
  {
    title: 'a queue is paused in the next life too',
    lives: [
      async (host) => {
        await host.pause()
        await host.add('a')
      },
      async (host) => {
        await wait(150)
        host.note('paused', host.started.length)
        await host.resume()
        await host.idle()
      },
    ],
  },
]

const failures = [
  {
    title: 'a job that fails twice is tried three times, with growing pauses',
    options: { tries: 3, baseMs: 50 },
    handler: worksOn(3),
    lives: [
      async (host) => {
        await addAndEnd('a')(host)
        const [first, second, third] = host.times
        host.note('pauses', [second - first >= 49, third - second >= 99])
      },
    ],
  },
  {
    title: 'a job without a retry policy',
    options: { baseMs: 5 },
    handler: never,
    lives: [addAndEnd('a')],
    differs: {
      why: 'A job has three tries unless `retry` sets another number. BullMQ tries once unless `attempts` is set.',
      keelson: { runs: { a: 3 }, dead: [{ job: 'a', tries: 3, error: 'the bank is away' }] },
    },
  },
  {
    title: 'a job whose tries are exhausted is dead, with its last error, and others go on',
    options: { tries: 2, baseMs: 5, concurrency: 1 },
    handler: (job, { run }) => {
      if (job === 'bad') throw new Error(`no ${run}`)
    },
    lives: [addAndEnd('bad', 'good')],
  },
  {
    title: 'an error that is not retried ends the job at its first try',
    options: { tries: 3, baseMs: 5 },
    handler: (_, { final }) => {
      throw final('no such customer')
    },
    lives: [addAndEnd('a')],
  },
  {
    title: 'a dead job is retried, and is done',
    options: { tries: 2, baseMs: 5 },
    handler: worksOn(3),
    lives: [
      async (host) => {
        await addAndEnd('a')(host)
        await host.retry()
        await host.idle()
      },
    ],
  },
  {
    title: 'a dead job that is retried fails again',
    options: { tries: 2, baseMs: 5 },
    handler: never,
    lives: [
      async (host) => {
        await addAndEnd('a')(host)
        await host.retry()
        await host.idle()
      },
    ],
    differs: {
      why: 'A dead job that is retried has all its tries again. In BullMQ it has one try.',
      keelson: { runs: { a: 4 }, dead: [{ job: 'a', tries: 2, error: 'the bank is away' }] },
    },
  },
]

const ids = [
  {
    title: 'two adds with one id are one job while it waits',
    lives: [
      async (host) => {
        await host.pause()
        const first = await host.add('a', { unique: 'order-7' })
        host.note('isSame', first === (await host.add('b', { unique: 'order-7' })))
        await host.resume()
        await host.idle()
      },
    ],
  },
  {
    title: 'an add with the id of a job that is done',
    lives: [
      async (host) => {
        for (const job of ['a', 'b']) {
          await host.add(job, { unique: 'order-7' })
          await host.idle()
        }
      },
    ],
    differs: {
      why: 'A `unique` text is free when its job has ended, or after a time. In BullMQ an id is taken while its job is in a set of ended ones.',
      keelson: { runs: { a: 1, b: 1 } },
    },
  },
  {
    title: 'the jobs that wait are removed',
    lives: [
      async (host) => {
        await host.pause()
        await host.addMany(['a', 'b'])
        await host.try('drain', () => host.drain())
        await host.resume()
        await host.idle()
      },
    ],
  },
]

const crashes = [
  {
    title: 'a job whose worker is killed runs again',
    options: { tries: 1 },
    handler: (_, { life, crash }) => life === 1 && crash(),
    lives: [
      async (host) => {
        await host.add('a')
        await host.reached(1)
      },
      (host) => host.idle(),
    ],
  },
  {
    title: 'a job whose worker is killed twice',
    handler: (_, { crash }) => crash(),
    lives: [
      async (host) => {
        await host.add('a')
        await host.reached(1)
      },
      (host) => host.reached(1),
      (host) => host.idle(),
    ],
    differs: {
      why: 'A job is dead when the queue has ended three times while it ran alone. In BullMQ it is dead when it has stalled twice, unless `maxStalledCount` is set.',
      keelson: { runs: { a: 3 }, dead: [] },
    },
  },
  {
    title: 'jobs that wait and jobs that are delayed survive a kill',
    lives: [
      async (host) => {
        await host.pause()
        await host.add('late', { delayMs: 100 })
        await host.add('now')
      },
      async (host) => {
        await host.resume()
        await host.idle()
      },
    ],
  },
  {
    title: 'a job that waits for its next try survives a kill',
    options: { tries: 2, baseMs: 300 },
    handler: (_, { run }) => {
      if (run === 1) throw new Error('the bank is away')
    },
    lives: [
      async (host) => {
        await host.add('a')
        await host.reached(1)
        await wait(100)
      },
      (host) => host.idle(),
    ],
  },
]

/** All scripts. */
export const scripts = [
  ...[...orders, ...limits, ...failures, ...ids, ...crashes],
  ...[...singleJobs, ...schedules, ...windows, ...batches],
]
