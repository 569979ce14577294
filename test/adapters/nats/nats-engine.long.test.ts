/** The engine in NATS JetStream: the contract of engines on a real server, and what a restart of it keeps. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { natsEngine } from '../../../src/adapters/nats/nats.ts'
import { engineContract } from '../../contracts/cluster-engine.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { freePort, NatsRelay, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

describe.skipIf(lacks(noNats()))('an engine in NATS', () => {
  let [dir, server, relay]: [string, NatsServer, NatsRelay] = [] as never
  const engineAt = (url: string) => natsEngine({ servers: [url], durability: 'replicated' })
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new NatsServer(join(dir, 'server'), await freePort())
    await server.start()
    relay = new NatsRelay(server)
    await relay.listen()
  })
  afterAll(async () => {
    relay.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  engineContract(() => ({
    engine: engineAt(server.url),
    lossy: async (cluster) => {
      const session = await engineAt(relay.url).open({ cluster, copies: 1, leaseMs: 1_000 })
      return { session, loseNext: () => relay.loseNext() }
    },
  }))
  test('x', () => expect(1).toBe(1))
})
