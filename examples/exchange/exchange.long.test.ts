/** The demo of the exchange as `npm run example:exchange` runs it: whole days with two kills, and a replica. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lacks } from '../../test/support/lacks.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { thorough } from '../../test/support/tier.ts'
import { noPostgres, PostgresServer } from '../../test/support/worlds/postgres-server.ts'
import { demo } from './demo.ts'

test.skipIf(lacks(noPostgres()))('a day is followed by a PostgreSQL server', async () => {
  const server = new PostgresServer(join(tempFolder(), 'server'))
  await server.start()
  onTestFinished(() => server.stop())
  expect(await demo({ count: 2_000, seed: 4, server: server.url, say: () => {} })).toEqual([])
})

const orders = thorough(5_000, 200_000)

test(`a day of ${orders} orders ends like one without kills`, async () => {
  expect(await demo({ count: orders, seed: 2, say: () => {} })).toEqual([])
})
