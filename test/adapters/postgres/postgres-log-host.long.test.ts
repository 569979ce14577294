import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../../src/adapters/postgres/database.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { systemClock } from '../../../src/clock.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import type { EngineLog } from '../../../src/storage/index.ts'
import { logHostContract } from '../../contracts/log-host.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { thorough } from '../../support/tier.ts'
import { noUploads } from '../../support/worlds/engine-machine.ts'
import { payload } from '../../support/worlds/logs.ts'
import { noPostgres, type PostgresServer } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'

describe.skipIf(lacks(noPostgres()))('a host over PostgreSQL', () => {
  let [server, look]: [PostgresServer, Database] = [] as never
  beforeAll(async () => {
    const started = await postgresForFile()
    ;({ server, look } = started)
    return started.end
  })

  /** A log of a cluster of its own. */
  const newLog = async (): Promise<EngineLog> => {
    const cluster = `c-${crypto.randomUUID()}`
    const engine = postgresEngine({ connectionString: server.url })
    const session = await engine.open({ cluster, copies: 1 })
    onTestFinished(() => session.close())
    const log = session.log('0')
    await log.create('ab'.repeat(16))
    return log
  }
  const at = { dir: '', options: { maxFileSize: 64 * 1024, sectorBytes: 4096 } }
  const hostOf = (log: EngineLog) =>
    ownedLogHost({ log, clock: systemClock(), patienceMs: 60_000, uploads: noUploads })

  logHostContract('in PostgreSQL', async () => {
    const log = await newLog()
    return { ...at, makeHost: () => hostOf(log), during: (work) => work, isMade: true }
  })

  test('that has ended keeps no connection for its appends', async () => {
    const count = async (): Promise<number> => {
      const [row = {}] = await look.query(
        `select count(*) as count from pg_stat_activity where application_name = 'keelson'`,
      )
      return Number(row.count)
    }
    const host = hostOf(await newLog())
    const inspection = await host.run('inspect', { ...at, evidence: [] })
    await host.run('open', { ...at, inspection })
    const before = await count()
    await host.run('close', { projectedLsn: 0 })
    await host.end()
    // The server notices the end of a connection a moment later.
    while ((await count()) >= before);
  })

  test('whose connections are killed at any moment has each acknowledged frame once, in order', async () => {
    const host = hostOf(await newLog())
    const inspection = await host.run('inspect', { ...at, evidence: [] })
    await host.run('open', { ...at, inspection })
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'keelson' and state = 'active' and query like '%into keelson_cluster.groups%'`
    let kills = 0
    const count = thorough(50, 1_000)
    const lsns: number[] = []
    for (let number = 1; number <= count; number += 2) {
      const pair = [number, number + 1].map((each) => {
        const bytes = Uint8Array.from(payload(each))
        const frame = { bytes, lengths: [bytes.length], now: each, sync: true, projectedLsn: 0 }
        return host.run('commit', frame)
      })
      let isPending = true
      const commits = Promise.all(pair).finally(() => {
        isPending = false
      })
      // Once for each pair, so that the repeats come through.
      for (let killed = 0; isPending && killed === 0; kills += killed)
        killed = (await look.query(kill)).length
      for (const commit of await commits) lsns.push(...commit.lsns)
    }

    const { frames } = await host.run('read', { from: 1, maxBytes: 1 << 20 })
    expect(frames.map(({ lsn, time }) => [lsn, time])).toEqual(
      lsns.map((lsn, index) => [lsn, index + 1]),
    )
    expect(frames).toHaveLength(count)
    expect(kills).toBeGreaterThan(0)
  }, 600_000)
})
