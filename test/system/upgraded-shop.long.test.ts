/** The night of a sale on three machines, which share the shards over PostgreSQL. */
import { beforeAll, describe, expect, test } from 'vitest'
import { rush } from '../../examples/tickets/rush.ts'
import type { Database } from '../../src/adapters/postgres/database.ts'
import { seededRandom } from '../../src/clock.ts'
import { nextBuild } from '../support/golden/next-build.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { thorough } from '../support/tier.ts'
import { noPostgres, type PostgresServer } from '../support/worlds/postgres-server.ts'
import { postgresForFile } from '../support/worlds/postgres-suite.ts'

describe.skipIf(lacks(noPostgres()))('on three machines', () => {
  let server: PostgresServer
  let look: Database
  beforeAll(async () => {
    const suite = await postgresForFile()
    ;({ server, look } = suite)
    return () => suite.end()
  })

  test('20 clients, a member killed again and again, and a change to a build with another feature of the log: every accepted order ends, and no seat is sold twice', async () => {
    const dir = tempFolder()
    const { accepted, sold, faults } = await rush({
      ...{ dir: `${dir}/shop`, clients: 20, shows: 5, kills: thorough(2, 5), killEveryMs: 6_000 },
      ...{ random: seededRandom(7) },
      spread: { url: server.url, upgrade: nextBuild(`${dir}/next`) },
    })
    expect(faults).toEqual([])
    expect(accepted).toBeGreaterThan(100)
    expect(sold).toBeGreaterThan(20)
    const heads = await look.query('select distinct features from keelson_cluster.logs', [])
    expect(heads).toEqual([{ features: 1 }])
  }, 300_000)
})
