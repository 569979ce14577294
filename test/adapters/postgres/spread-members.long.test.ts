/** Members that share the shards of an instance in PostgreSQL. */
import { beforeAll, describe, test } from 'vitest'
import { shardsAreShared } from '../../support/commands/shared-shards.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres, type PostgresServer } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'

describe.skipIf(lacks(noPostgres()))('members on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    const suite = await postgresForFile()
    server = suite.server
    return () => suite.end()
  })

  test(
    'share the shards, and go on with all that was acknowledged when one is killed, stopped or begins again',
    () => shardsAreShared({ connectionString: server.url }),
    120_000,
  )
})
