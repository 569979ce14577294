/** G69 on a server (needs the build): whatever happens to the replica, no write waits for it, and in the end it lacks nothing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, type StorageEvents, start, telemetry } from 'keelson'
import { postgres } from 'keelson/postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { lacks } from '../../support/lacks.ts'
import { triesAll } from '../../support/tier.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

/** A trigger on the frames that runs `body` for each chunk. */
const onEachChunk = (body: string): readonly string[] => [
  `create or replace function keelson.trouble() returns trigger language plpgsql as $$ begin ${body}; return null; end $$`,
  'create trigger trouble after insert on keelson.frames for each statement execute function keelson.trouble()',
]
const noTrigger = ['drop trigger trouble on keelson.frames']

/** Statements that make the trouble, and that end it; or what is done to the server. */
const troubles: Record<
  string,
  { begin: readonly string[] | 'stop' | 'kill'; end: readonly string[] }
> = {
  'is stopped': { begin: 'stop', end: [] },
  'is killed': { begin: 'kill', end: [] },
  'is locked': {
    begin: ['begin', 'lock table keelson.frames in access exclusive mode'],
    end: ['rollback'],
  },
  'is full': {
    // The code of PostgreSQL for a disk without room.
    begin: onEachChunk(`raise exception 'no space left on device' using errcode = '53100'`),
    end: noTrigger,
  },
  'loses its connection in every chunk': {
    begin: onEachChunk('perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1)'),
    end: noTrigger,
  },
  'takes longer for a chunk than statementMs': {
    begin: onEachChunk('perform pg_sleep(10)'),
    end: noTrigger,
  },
}

describe.skipIf(lacks(noPostgres()))('a replica that', () => {
  let [dir, server, app]: [string, PostgresServer, App] = [] as never
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new PostgresServer(join(dir, 'server'))
    await server.start('fsync=off')
    const client = postgres({ connectionString: server.url, statementMs: 500 })
    const logger = { error: () => undefined, warn: () => undefined, info: () => undefined }
    const replication = [{ client, required: true, chunkBytes: 1_024 }]
    app = await start({ dir: join(dir, 'data'), logger, replication })
    await app.store.put('first', 0, { ack: 'replicated' })
  })
  afterAll(async () => {
    await app.close()
    await server.stop()
    rmSync(dir, { recursive: true })
  })

  const connected = () => connectPg({ connectionString: server.url })
  const ofReplica = () => app.health().replication[0]?.shards[0]

  // A killed server takes seconds to come back.
  const tried = Object.entries(troubles).filter(([, { begin }]) => triesAll || begin !== 'kill')

  test.each(tried)('%s stops no write, and gets each once', async (name, { begin, end }) => {
    const away = new Promise((resolve) => {
      telemetry<StorageEvents>(app.system).once('replication.away', resolve)
    })
    let look = await connected()
    if (typeof begin === 'string') await server[begin]()
    else for (const statement of begin) await look.query(statement)

    const ids = Array.from({ length: 20 }, (_, at) => `${name} ${at}`)
    const append = (id: string) =>
      app.journal.append({ id, type: 'order', command: { text: 'x'.repeat(500) } })
    await Promise.all(ids.slice(0, 10).map(append))
    await away
    await Promise.all(ids.slice(10).map(append))
    expect(ofReplica()).toMatchObject({ state: 'waiting', reason: expect.any(String) })
    expect(ofReplica()?.lag.records).toBeGreaterThan(0)

    if (typeof begin === 'string') {
      await server.start()
      await look.close()
      look = await connected()
    }
    for (const statement of end) await look.query(statement)
    await app.store.put('last', name, { ack: 'replicated' })
    const rows = await look.query(
      'select id from keelson.journal where id = any($1) order by lsn, index',
      [`{${ids.map((id) => `"${id}"`).join(',')}}`],
    )
    const [kv] = await look.query(`select value from keelson.kv where key = 'last'`)
    await look.close()
    expect(rows.map(({ id }) => id).sort()).toEqual(ids.toSorted())
    expect(kv?.value).toBe(name)
    expect(ofReplica()).toMatchObject({ state: 'following', lag: { records: 0 } })
  })
})
