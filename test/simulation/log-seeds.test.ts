/**
 * Seeds of what `npm run simulate -- log --seeds 100000` goes through. A failing one names itself, and
 * `npm run simulate -- log --seed N` lives it again; `KEELSON_SEEDS` sets how many are lived here.
 */
import { expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'
import { liveSeed } from './log-seeds.ts'

/** Each kind of event happens more often in a life than this, on average: else the lives prove nothing. */
const averages = {
  log: {
    ...{ openings: 4, acknowledged: 40, lost: 1, rolls: 2, poisonings: 0.5, tornTails: 0.2 },
    ...{ refusals: 0.1, harms: 0.2, closes: 1, spares: 1, markers: 0.5, checkpoints: 0.5 },
    ...{ names: 0.5, removals: 0.2 },
  },
  writers: {
    ...{ openings: 3, promised: 15, doubts: 1, kept: 0.1, failures: 0.1, refusals: 0.3 },
    ...{ removed: 0.5, damaged: 0.05 },
  },
  betrayal: { misdirected: 0.8, corrupt: 1.2, whole: 0.4, cut: 0.08 },
}

test('seeds of lives, writers and betrayals: nothing acknowledged is lost, nothing damaged is believed', {
  tags: ['E35', 'E36', 'E54', 'D2', 'D17'],
  timeout: 3_600_000,
}, async () => {
  const seeds = seedsOf(6, 6_000)
  const sum = sumOf(await liveSeeds(seeds, (seed) => liveSeed(100_000 + seed)))

  // A few seeds that are lived again need not have everything.
  if (seeds.length < 50) return
  for (const [kind, events] of Object.entries(averages))
    for (const [event, least] of Object.entries(events)) {
      const name = `${kind}.${event}`
      expect((sum[name] ?? 0) / (sum[`${kind}.lives`] ?? 1), name).toBeGreaterThan(least)
    }
})
