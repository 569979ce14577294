/**
 * The scripts about batches. BullMQ has none, but in its paid edition: there its handler gets each job alone, and each job has to come
 * to the same end.
 */
import { setTimeout as wait } from 'node:timers/promises'

/** Scripts as those of `scripts.mjs`. */
export const batches = [
  {
    title:
      'each job of a batch runs once, and the ones that fail are tried again without the others',
    options: { concurrency: 6, batch: { max: 3, waitMs: 50 }, tries: 2, baseMs: 50 },
    handler: (job, { run }) => {
      if (job === 'never') throw new Error('no such row')
      if (job === 'once' && run === 1) throw new Error('the row is locked')
    },
    lives: [
      async (host) => {
        await host.addMany(['a', 'once', 'b', 'never', 'c'])
        await host.idle()
      },
    ],
  },
  {
    title: 'jobs whose batch is killed run again',
    options: { concurrency: 3, batch: { max: 3, waitMs: 5_000 } },
    handler: (_, { life, crash }) => life === 1 && crash(),
    lives: [
      async (host) => {
        await host.addMany(['a', 'b', 'c'])
        await host.reached(3)
      },
      (host) => host.idle(),
    ],
  },
  {
    title: 'no more jobs of batches run at once than the concurrency',
    options: { concurrency: 4, batch: { max: 4 } },
    handler: () => wait(30),
    lives: [
      async (host) => {
        await host.addMany(Array.from({ length: 12 }, (_, at) => `j${at}`))
        await host.idle()
        host.note('most', host.most)
      },
    ],
  },
]
