/** The scripts about single jobs: looks at them, changes and removals. */
import { setTimeout as wait } from 'node:timers/promises'

const away = () => {
  throw new Error('the bank is away')
}

const stateOf = async (host, id) => (await host.look(id)).state

/** Scripts as those of `scripts.mjs`. */
export const singleJobs = [
  {
    title: 'a job that waits is removed, and the others run',
    lives: [
      async (host) => {
        await host.pause()
        const [, second] = await host.addMany(['a', 'b', 'c'])
        await host.remove(second)
        host.note('state', await stateOf(host, second))
        await host.resume()
        await host.idle()
      },
    ],
  },
  {
    title: 'a delayed job is removed, and never runs, in the next life neither',
    lives: [
      async (host) => {
        const id = await host.add('late', { delayMs: 300 })
        await host.remove(id)
        host.note('state', await stateOf(host, id))
      },
      async (host) => {
        await wait(400)
        await host.add('now')
        await host.idle()
      },
    ],
  },
  {
    title: 'a dead job is removed',
    options: { tries: 1 },
    handler: away,
    lives: [
      async (host) => {
        const id = await host.add('a')
        await host.idle()
        host.note('before', await stateOf(host, id))
        await host.remove(id)
        host.note('after', await stateOf(host, id))
      },
    ],
  },
  {
    title: 'a job that runs is removed',
    options: { tries: 2, baseMs: 5 },
    handler: () => wait(300),
    lives: [
      async (host) => {
        const id = await host.add('a')
        await host.reached(1)
        await host.try('remove', () => host.remove(id))
        host.note('state', await stateOf(host, id))
        await host.idle()
      },
    ],
    differs: {
      why: 'A job that runs can be removed: its signal aborts. BullMQ refuses that.',
      keelson: { notes: { remove: 'accepted', state: 'gone' } },
    },
  },
  {
    title: 'the jobs that wait or are delayed are drained',
    lives: [
      async (host) => {
        await host.pause()
        await host.addMany(['a', 'b'])
        await host.add('late', { delayMs: 200 })
        await host.drain()
        await host.add('c')
        await host.resume()
        await host.idle()
        await wait(300)
      },
    ],
  },
  {
    title: 'a job that waits gets a higher priority, and goes first',
    options: { concurrency: 1 },
    lives: [
      async (host) => {
        await host.pause()
        await host.add('first', { priority: 5 })
        const id = await host.add('second', { priority: 1 })
        await host.reprioritize(id, 9)
        await host.resume()
        await host.idle()
        host.note('order', host.started)
      },
    ],
  },
  {
    title: 'a delayed job gets an earlier time, and runs in the next life',
    lives: [
      async (host) => {
        const id = await host.add('a', { delayMs: 600_000 })
        await host.postpone(id, 300)
        host.note('state', await stateOf(host, id))
      },
      (host) => host.idle(),
    ],
  },
  {
    title: 'a job that waits gets a delay',
    lives: [
      async (host) => {
        await host.pause()
        const id = await host.add('a')
        await host.try('postpone', () => host.postpone(id, 100))
        host.note('state', await stateOf(host, id))
        await host.resume()
        await host.idle()
      },
    ],
    differs: {
      why: 'A job that waits can get a delay. BullMQ changes the delay of delayed jobs alone.',
      keelson: { notes: { postpone: 'accepted', state: 'delayed' } },
    },
  },
  {
    title: 'what a handler returned is there when its job is done, in the next life too',
    options: { keepsResults: true },
    handler: () => ({ sent: 7 }),
    lives: [
      async (host) => {
        const id = await host.add('a')
        await host.idle()
        const { state, result } = await host.look(id)
        host.note('now', { state, result })
      },
      async (host) => {
        const { state, result } = await host.look('1')
        host.note('later', { state, result })
      },
    ],
  },
  {
    title: 'a dead job shows the log lines of its tries',
    options: { tries: 2, baseMs: 5 },
    handler: async (_, { log, run }) => {
      await log(`try ${run}`)
      away()
    },
    lives: [
      async (host) => {
        const id = await host.add('a')
        await host.idle()
        const { state, log } = await host.look(id)
        host.note('look', { state, log })
      },
    ],
  },
  {
    title: 'a job that runs shows its progress',
    handler: async (_, { host, progress }) => {
      await progress(40)
      await new Promise((resolve) => {
        host.go = resolve
      })
    },
    lives: [
      async (host) => {
        const id = await host.add('a')
        await host.reached(1)
        while (host.go === undefined) await wait(5)
        const { state, progress } = await host.look(id)
        host.note('look', { state, progress })
        host.go()
        await host.idle()
      },
    ],
  },
]
