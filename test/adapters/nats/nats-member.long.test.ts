/** Members of an instance whose logs are in a real NATS server, by the built package. */
import { join } from 'node:path'
import { call, type DurableServer, entity, reply, start, supervisor } from 'keelson'
import { natsEngine } from 'keelson/nats'
import { expect, onTestFinished, test } from 'vitest'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { freePort, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

type Messages = { calls: { add: (by: number) => number } }
const behaviour: DurableServer<Messages, { readonly count: number }> = {
  init: () => ({ count: 0 }),
  calls: { add: ({ count }, by) => reply(count + by, { count: count + by }) },
}
const counter = entity('counter', behaviour)

test.skipIf(lacks(noNats()))(
  'a standby without a cache takes over what its owner has acknowledged, over a restart of the server',
  { timeout: 120_000 },
  async () => {
    const dir = tempFolder()
    const server = new NatsServer(join(dir, 'server'), await freePort())
    await server.start()
    onTestFinished(() => server.stop())
    const engine = natsEngine({ servers: [server.url], durability: 'replicated' })
    const steps: string[] = []
    const member = (name: string) =>
      start({
        ...{ dir: join(dir, name), shards: 2, attach: false, logger: silentLogger },
        app: supervisor('app', {}, [counter]),
        cluster: { name: 'shop', member: name, engine, leaseMs: 3_000 },
        onProgress: ({ step }) => void steps.push(`${name}: ${step}`),
      })
    const owner = await member('a')
    await owner.store.put('large', Buffer.alloc(900_000, 7))
    for (let at = 0; at < 50; at++)
      await call(owner.entity(counter).ref(`${at % 5}`), 'add', 1, { id: `add-${at}` })
    const standby = member('b')
    await server.kill()
    await server.start()
    await call(owner.entity(counter).ref('0'), 'add', 1, { id: 'after', timeoutMs: 20_000 })

    await owner.close()
    const next = await standby

    expect(await call(next.entity(counter).ref('0'), 'add', 1, { id: 'after' })).toBe(11)
    expect(await call(next.entity(counter).ref('1'), 'add', 1)).toBe(11)
    expect(Buffer.alloc(900_000, 7).equals((await next.store.load('large')) as Buffer)).toBe(true)
    await next.close()
  },
)
