/** Four members on one folder, as real processes, under trouble: `npm run harness -- members` makes more of it. */
import { expect, test } from 'vitest'
import { memberRounds, memberTroubles } from '../harness/member-rounds.ts'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { triesAll } from '../support/tier.ts'

test.skipIf(lacks(noFlock))(
  'keys stay linearizable at every member, and each payment counts once, whatever happens to members and their parent',
  { timeout: 3_600_000 },
  async () => {
    const rounds = memberTroubles.length * (triesAll ? 20 : 1)
    const { acknowledged, of } = await memberRounds({
      ...{ rounds, seed: 1 },
      progress: () => undefined,
    })

    expect(acknowledged).toBeGreaterThan(100 * rounds)
    expect(Object.keys(of)).toEqual(memberTroubles)
  },
)
