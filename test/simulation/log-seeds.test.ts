/**
 * A few hundred seeds of what `npm run simulate -- log --seeds 100000` goes through. A failing one names itself, and
 * `npm run simulate -- log --seed N` lives it again; `KEELSON_SEEDS` sets how many are lived here.
 */
import { expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'
import { liveSeed } from './log-seeds.ts'

test('seeds of lives, writers and betrayals: nothing acknowledged is lost, nothing damaged is believed', {
  tags: ['E35', 'D2', 'D17'],
  timeout: 900_000,
}, async () => {
  const seeds = seedsOf(15, 1_000)
  const sum = sumOf(await liveSeeds(seeds, (seed) => liveSeed(100_000 + seed)))

  // A simulation in which nothing happens proves nothing.
  const mean = (name: string): number => (sum[name] ?? 0) / (sum.lives ?? 1)
  expect(mean('log.acknowledged')).toBeGreaterThan(20)
  expect(mean('log.poisonings')).toBeGreaterThan(0.2)
  expect(mean('log.refusals')).toBeGreaterThan(0.05)
  expect(mean('writers.promised')).toBeGreaterThan(3)
  expect(mean('writers.doubts')).toBeGreaterThan(0.2)
  expect(mean('betrayal.misdirected')).toBeGreaterThan(0.2)
  expect(mean('betrayal.corrupt')).toBeGreaterThan(0.3)
  expect(mean('betrayal.whole')).toBeGreaterThan(0.1)
  expect(mean('betrayal.cut')).toBeGreaterThan(0.02)
})
