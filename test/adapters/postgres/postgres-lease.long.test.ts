/** Leases of members over the engine in PostgreSQL, on a real server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadEngineStorage } from '../../../src/members/index.ts'
import { lacks } from '../../support/lacks.ts'
import { thorough } from '../../support/tier.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const leaseMs = 500

describe.skipIf(lacks(noPostgres()))('a lease over PostgreSQL', () => {
  let [dir, server]: [string, PostgresServer] = [] as never
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new PostgresServer(join(dir, 'server'))
    await server.start()
  })
  afterAll(async () => {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  /** A member, and when it owns. */
  const begin = async (cluster: string, member: string) => {
    const session = await postgresEngine({ connectionString: server.url }).open({
      cluster,
      copies: 1,
    })
    const { LeaseKeeper } = await loadEngineStorage()
    const { directory } = session
    const clock = systemClock()
    let own: () => void
    const owns = new Promise<void>((resolve) => {
      own = resolve
    })
    const onChange = (phase: string): void => {
      if (phase === 'owner') own()
    }
    return {
      session,
      owns,
      keeper: new LeaseKeeper({ directory, clock, member, leaseMs, onChange }),
    }
  }

  test('of a member whose connections ended passes to the standby, and so does one that is given back', async () => {
    const cluster = `c-${crypto.randomUUID()}`
    let owner = await begin(cluster, 'm0')
    await owner.owns
    const rounds = thorough(4, 20)
    for (let round = 1; round <= rounds; round++) {
      const standby = await begin(cluster, `m${round}`)
      const isClosed = round % 2 === 0
      if (isClosed) await owner.keeper.close()
      await owner.session.close()
      await standby.owns

      // An owner without an engine knows that its lease has ended, and not who has the next one.
      expect(owner.keeper.phase).toBe(isClosed ? 'ended' : 'unsure')
      expect(standby.keeper.epoch).toBe(round + 1)

      await owner.keeper.close()
      owner = standby
    }
    await owner.keeper.close()
    await owner.session.close()
  })
})
