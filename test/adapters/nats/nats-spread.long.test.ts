/** Members that share the shards of an instance in a NATS server. */
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import { shardsAreShared } from '../../support/commands/shared-shards.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { freePort, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

test.skipIf(lacks(noNats()))(
  'members share the shards, and go on with all that was acknowledged when one is killed, stopped or begins again',
  { timeout: 120_000 },
  async () => {
    const server = new NatsServer(join(tempFolder(), 'server'), await freePort())
    await server.start()
    onTestFinished(() => server.stop())
    await shardsAreShared({ servers: [server.url] })
  },
)
