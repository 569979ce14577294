/** The scripts about adds under windows, and limits that change while the program runs. */
import { setTimeout as wait } from 'node:timers/promises'

/** Scripts as those of `scripts.mjs`. */
export const windows = [
  {
    title: 'adds of a debounce are one job, made of the last one',
    lives: [
      async (host) => {
        const debounce = { key: 'page', ms: 400 }
        for (const name of ['a', 'b', 'c']) await host.add(name, { debounce })
        await host.add('other', { debounce: { key: 'site', ms: 400 } })
        await host.idle()
        await host.add('d', { debounce })
        await host.idle()
      },
    ],
  },
  {
    title: 'a debounce goes on in the next life',
    lives: [
      async (host) => {
        await host.add('a', { debounce: { key: 'page', ms: 60_000 } })
      },
      async (host) => {
        await host.add('b', { debounce: { key: 'page', ms: 300 } })
        await host.idle()
      },
    ],
  },
  {
    title: 'of the adds of a throttle the first one runs, and one more after its time',
    lives: [
      async (host) => {
        const throttle = { key: 'page', ms: 1_500 }
        for (const name of ['a', 'b', 'c']) await host.add(name, { throttle })
        await host.idle()
        await host.add('d', { throttle })
        await wait(1_600)
        await host.add('e', { throttle })
        await host.idle()
      },
    ],
  },
  {
    title: 'a concurrency that was lowered while the program ran holds in the next life',
    options: { concurrency: 4 },
    handler: () => wait(30),
    lives: [
      async (host) => {
        await host.limitTo(1)
        await host.addMany(['a', 'b', 'c'])
        await host.idle()
        host.note('most', host.most)
      },
      async (host) => {
        await host.addMany(['d', 'e', 'f'])
        await host.idle()
        host.note('next most', host.most)
      },
    ],
  },
]
