/** Two members on a real PostgreSQL with a synchronous standby, under trouble: `npm run harness -- cluster` makes more of it. */
import { expect, test } from 'vitest'
import { clusterRounds } from '../harness/cluster-rounds.ts'
import { lacks } from '../support/lacks.ts'
import { thorough } from '../support/tier.ts'
import { noPostgres } from '../support/worlds/postgres-server.ts'

test.skipIf(lacks(noPostgres()))(
  'keys stay linearizable, and money is paid in and charged once, whatever happens to owner and engine',
  { timeout: 3_600_000 },
  async () => {
    const rounds = thorough(8, 200)
    const { acknowledged, charges } = await clusterRounds({
      ...{ rounds, seed: 1, leaseMs: 1_000 },
      progress: () => undefined,
    })

    expect(acknowledged).toBeGreaterThan(rounds)
    expect(charges).toBeGreaterThan(0)
  },
)
