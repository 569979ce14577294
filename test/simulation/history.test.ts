/**
 * The search for the past of durable actors in random lives, each from one seed:
 * `test/support/lives/history-life.ts`.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/history.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveHistory } from '../support/lives/history-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(1, 400)

test(`history has the turns that took effect, as of every LSN, in ${seeds.length} lives with releases`, {
  tags: ['slow'],
  timeout: 3_600_000,
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveHistory))

  for (const what of ['turns', 'refused', 'pages', 'cut'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 4)
})
