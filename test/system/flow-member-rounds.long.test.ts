/**
 * Flows at four members on one folder, as real processes, under trouble: `npm run harness -- flows` makes more of it. Some troubles are
 * tried, unless all are; `KEELSON_SEED` begins with others.
 */
import { expect, test } from 'vitest'
import { flowTroubles, memberRounds } from '../harness/member-rounds.ts'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { triesAll } from '../support/tier.ts'

test.skipIf(lacks(noFlock))(
  'runs, jobs, alarms, ticks, entries and copies come out whole at every member, whatever happens to members, their parent and the disk',
  { timeout: 3_600_000 },
  async () => {
    const seed = Number(process.env.KEELSON_SEED ?? 1)
    const rounds = triesAll ? 20 * flowTroubles.length : 4
    const { acknowledged, of } = await memberRounds({
      ...{ rounds, seed, from: 4 * seed + 1, work: 'flows' },
      progress: () => undefined,
    })

    expect(acknowledged).toBeGreaterThan(50 * rounds)
    expect(Object.keys(of)).toHaveLength(Math.min(rounds, flowTroubles.length))
  },
)
