/** The host of an owner's log over the engine in NATS, on a real server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, onTestFinished } from 'vitest'
import { natsEngine } from '../../../src/adapters/nats/nats.ts'
import { systemClock } from '../../../src/clock.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { logHostContract } from '../../contracts/log-host.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { noUploads } from '../../support/worlds/engine-machine.ts'
import { freePort, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

describe.skipIf(lacks(noNats()))('a host over NATS', () => {
  let server: NatsServer
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new NatsServer(join(dir, 'server'), await freePort())
    await server.start()
    return async () => {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  })

  logHostContract('in NATS', async () => {
    const engine = natsEngine({ servers: [server.url], durability: 'replicated' })
    const session = await engine.open({ cluster: `c-${crypto.randomUUID()}`, copies: 1 })
    onTestFinished(() => session.close())
    const log = session.log('0')
    await log.create('ab'.repeat(16))
    return {
      ...{ dir: '', options: { maxFileSize: 64 * 1024, sectorBytes: 4096 } },
      makeHost: () =>
        ownedLogHost({ log, clock: systemClock(), patienceMs: 60_000, uploads: noUploads }),
      during: (work) => work,
      isMade: true,
    }
  })
})
