/**
 * A store in a real folder beside a simulated one: random operations in lock step, with flushes, snapshots, sweeps and restarts
 * between them. Each caller overwrites what it gave as soon as its call has returned, and what it got.
 *
 * `KEELSON_SEEDS=1000 npx vitest run test/differentials/store.test.ts`; one schedule: `KEELSON_SEED=123 …`.
 */

import { type App, type Store, start } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { seedsOf, thorough } from '../support/tier.ts'
import {
  blobBytes,
  copied,
  everything,
  type Operation,
  operation,
  outcome,
  overwritten,
} from './store-operations.ts'

const seeds = seedsOf(1, 240)
const rounds = thorough(4, 30)

const options = {
  shards: 2,
  wal: { maxFileSize: 4 << 20 },
  blobs: { threshold: blobBytes, graceMs: 300, sweepMs: 0 },
  snapshot: { minLogBytes: 1 << 20 },
}
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Asks everything at once, and then overwrites everything given. */
const askAll = (store: Store, burst: readonly Operation[], seed: number): Promise<unknown>[] => {
  const random = seededRandom(seed)
  return burst.map(({ ask }) => {
    const given: unknown[] = []
    const answer = outcome(() =>
      ask(store, (value) => {
        const made = copied(value, random)
        given.push(made)
        return made
      }),
    )
    given.forEach(overwritten)
    return answer
  })
}

test.each(seeds)(
  'a real and a simulated store answer alike, in schedule %d',
  {
    tags: ['slow'],
  },
  async (seed) => {
    const random = seededRandom(seed)
    const isNow = (of: number): boolean => random() * of < 1
    const dir = tempFolder()
    const open = (): Promise<App> => start({ dir, logger: silent, ...options })
    let real = await open()
    const simulated = await startSimulated({ seed, ...options })
    const both = async (does: (app: App) => Promise<unknown>): Promise<void> => {
      const [here, there] = [await outcome(() => does(real)), outcome(() => does(simulated.app))]
      expect(await simulated.during(there)).toEqual(here)
    }
    try {
      for (let round = 0; round < rounds; round++) {
        const burst = Array.from({ length: 1 + Math.floor(random() * 25) }, () => operation(random))
        const memories = Math.floor(random() * 2 ** 31)
        const answers = await Promise.all(askAll(real.store, burst, memories))
        const others = Promise.all(askAll(simulated.app.store, burst, memories))
        const named = (given: readonly unknown[]) =>
          given.map((answer, index) => [burst[index]?.name, answer])
        expect(named(await simulated.during(others)), `round ${round}`).toEqual(named(answers))
        if (isNow(4)) await both((app) => app.control.flushAll().then(() => undefined))
        if (isNow(8)) await both((app) => app.control.snapshotAll().then(() => undefined))
        if (isNow(8)) await both((app) => app.control.sweepAll().then(() => undefined))
        if (isNow(5)) {
          await real.close()
          real = await open()
          await simulated.close()
          await simulated.start()
        }
        const whole = await everything(real.store)
        expect(await simulated.during(everything(simulated.app.store)), `round ${round}`).toEqual(
          whole,
        )
      }
    } finally {
      await real.close()
      await simulated.close()
    }
  },
)
