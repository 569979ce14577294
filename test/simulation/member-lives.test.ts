/**
 * Random lives of the members of a cluster, each from one seed, against what they promise (M1 to M4, M6 to M8, M10, M11):
 * `test/support/lives/member-life.ts`. A life that fails names the promise that was broken.
 *
 * `npm run simulate -- members --seeds 20000`; one life: `KEELSON_SEED=123 npx vitest run test/simulation/member-lives.test.ts`.
 */
import { expect, test } from 'vitest'
import { liveMembers } from '../support/lives/member-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(3, 3_000)

test(`what the members of a cluster promise holds in ${seeds.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveMembers))

  if (seeds.length < 100) return
  const work = ['puts', 'gets', 'adds', 'repeated adds', 'reads', 'charges', 'messages']
  const open = ['put UNKNOWN_OUTCOME', 'put NOT_SUBMITTED', 'put SHARD_DOWN', 'get SHARD_DOWN']
  const ends = ['closed: FENCED', 'owners of lost commits', 'newer versions', 'snapshots']
  const troubles = ['cut link', 'stop', 'close', 'kill', 'power cut', 'engine restart']
  for (const what of [...work, ...open, ...ends, ...troubles.map((each) => `trouble: ${each}`)])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 50)
}, 3_600_000)
