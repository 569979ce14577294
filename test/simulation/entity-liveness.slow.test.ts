/**
 * Random lives of durable actors in trouble, each from one seed: whatever happened, everything goes
 * on afterwards. `test/support/lives/liveness-life.ts`.
 *
 * `KEELSON_SEEDS=20000 npx vitest run test/simulation/entity-liveness.slow.test.ts`; one life:
 * `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveThroughTrouble } from '../support/lives/liveness-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(2, 600)

test(`durable actors go on after the trouble of ${seeds.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveThroughTrouble))

  if (seeds.length < 10) return
  const happened = ['answers', 'stop', 'delete', 'unblocked', 'kills.alarms', 'full disks']
  const steady = ['steady.due', 'steady.done', 'steady.refused', 'slips']
  for (const what of [...happened, ...steady, 'failed.TIMEOUT', 'failed.BLOCKED', 'ended.shipped'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 10)
}, 3_600_000)
