/**
 * Random lives of members of which one owns by a lease, and of whole members of a cluster, each from one seed, against what
 * they promise (M1 to M4, M6 to M8, M10, M11). A life that fails names the promise that was broken.
 *
 * `npm run simulate -- members --seeds 20000` lives both kinds; a fourth of its seeds are whole members.
 */
import { expect, test } from 'vitest'
import { liveLeases } from '../support/lives/lease-life.ts'
import { liveMembers } from '../support/lives/member-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

// In the first two lives every trouble comes, and an owner is fenced.
const seeds = seedsOf(2, 1_800)

test(`of members of which one owns by a lease, each acknowledged write is in the log of every later owner, in ${seeds.length} lives`, {
  timeout: 3_600_000,
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveLeases))

  if (seeds.length < 2) return
  for (const [what, times] of Object.entries(tally)) expect(times, what).toBeGreaterThan(0)
})

const whole = seedsOf(1, 1_200)

test(`what the members of a cluster promise holds in ${whole.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(whole, liveMembers))

  if (whole.length < 50) return
  const work = ['puts', 'gets', 'adds', 'repeated adds', 'reads', 'charges', 'messages']
  const open = ['put UNKNOWN_OUTCOME', 'put NOT_SUBMITTED', 'put SHARD_DOWN', 'get SHARD_DOWN']
  const ends = ['closed: FENCED', 'owners of lost commits', 'newer versions', 'snapshots']
  const troubles = [
    'cut link',
    'stop',
    'close',
    'kill',
    'power cut',
    'engine restart',
    'misreading',
    'clock set',
    'full disk',
  ]
  for (const what of [...work, ...open, ...ends, ...troubles.map((each) => `trouble: ${each}`)])
    expect(tally[what], what).toBeGreaterThan(whole.length / 50)
}, 3_600_000)
