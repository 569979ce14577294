/**
 * Lives between which files and folders of a shard are removed, cut or changed. `test/support/lives/damage-life.ts`.
 *
 * `npm run simulate -- damage --seeds 1000`: 20 damaged copies of each folder.
 */
import { expect, test } from 'vitest'
import { liveDamage } from '../support/lives/damage-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(1, 200)

test(`a damaged shard shows what was acknowledged, or is CORRUPT, in ${seeds.length * 20} lives`, {
  timeout: 3_600_000,
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveDamage))

  if (process.env.KEELSON_TALLY) console.log(tally)
  if (seeds.length < 10) return
  for (const what of ['refused starts', 'named by readers', 'whole', 'remove', 'cut', 'flip'])
    expect(tally[what], what).toBeGreaterThan(seeds.length)
})
