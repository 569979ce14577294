/** The replica in PostgreSQL: what each transaction holds, on PGlite and on a server, where there is one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Database, inTransaction } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { overPglite } from '../../../src/adapters/postgres/pglite-database.ts'
import { postgres, replicaOver } from '../../../src/adapters/postgres/postgres.ts'
import type { Replica, ReplicatedLog } from '../../../src/storage/index.ts'
import { replicaContract } from '../../contracts/replica.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { triesAll } from '../../support/tier.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'
import { chunkOf, entry, key, lease, newLog, pieceOf } from '../../support/worlds/replica-chunks.ts'

/** Runs before each statement, and may throw or wait. */
type Before = (statement: string) => unknown

/** A database of the tests: a connection to look with, and replicas over others. */
type Place = {
  readonly look: Database
  readonly replica: (before?: Before) => Replica
  /** As users make it. PGlite has no bound, and one connection. */
  readonly bounded?: (statementMs: number) => Replica
  readonly close: () => Promise<void>
}

const interrupted = (database: Database, before: Before = () => undefined): Database => ({
  query: async (sql, parameters) => {
    await before(sql)
    return database.query(sql, parameters)
  },
  copy: async (table, columns, pieces) => {
    await before(`copy ${table}`)
    await database.copy(table, columns, pieces)
  },
  close: () => database.close(),
})

const places: Record<string, { absent?: string | undefined; open: () => Promise<Place> }> = {
  pglite: {
    open: async () => {
      const lite = await PGlite.create()
      const one = overPglite(lite)
      // A lost connection ends its transaction; this one is shared.
      const close = async (): Promise<void> => void (await one.query('rollback'))
      return {
        look: one,
        replica: (before) =>
          replicaOver('pglite', async () => interrupted({ ...one, close }, before)),
        close: () => lite.close(),
      }
    },
  },
  server: {
    absent: noPostgres(),
    open: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
      const server = new PostgresServer(join(dir, 'server'))
      await server.start()
      const config = { connectionString: server.url }
      const look = await connectPg(config)
      return {
        look,
        replica: (before) =>
          replicaOver(postgres(config).description, async () =>
            interrupted(await connectPg(config), before),
          ),
        bounded: (statementMs) => postgres({ ...config, statementMs }),
        close: async () => {
          await look.close()
          await server.stop()
          rmSync(dir, { recursive: true })
        },
      }
    },
  },
}

const latch = () => {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

const present = Object.entries(places).filter(([, { absent }]) => !lacks(absent))

// PGlite takes seconds to begin. In the quick tier it stands in where there is no server.
describe.each(triesAll ? present : present.slice(-1))('a replica on %s', (name, { open }) => {
  let place: Place
  beforeAll(async () => {
    place = await open()
  })
  afterAll(() => place.close())

  const single = name === 'server' ? undefined : 'PGlite has one connection, without bounds'

  const lsnsOf = async ({ walId }: ReplicatedLog): Promise<number[]> =>
    (
      await place.look.query('select lsn from keelson.frames where wal_id = $1 order by lsn', [
        walId,
      ])
    ).map(({ lsn }) => Number(lsn))

  const valuesOf = async ({ walId }: ReplicatedLog): Promise<Record<string, unknown>> =>
    Object.fromEntries(
      (await place.look.query('select key, value from keelson.kv where wal_id = $1', [walId])).map(
        (row) => [row.key, row.value],
      ),
    )

  const claimed = async (log = newLog()) => {
    const session = await place.replica().open()
    await session.claim(log, lease, await session.look(log))
    return { log, session }
  }

  replicaContract(() => ({
    replica: () => place.replica(),
    valuesOf,
    statesOf: async ({ walId }) =>
      Object.fromEntries(
        (
          await place.look.query(
            'select kind, id, state, state is null as is_unsaid from keelson.entities where wal_id = $1',
            [walId],
          )
        ).map(({ kind, id, state, is_unsaid }) => [`${kind}/${id}`, is_unsaid ? undefined : state]),
      ),
    entriesOf: async ({ walId }) =>
      (
        await place.look.query(
          'select lsn, id from keelson.journal where wal_id = $1 order by lsn, index',
          [walId],
        )
      ).map(({ lsn, id }) => [Number(lsn), String(id)] as const),
  }))

  test('says every value as it is: times, large numbers, texts in any script, what is absent', async () => {
    const { log, session } = await claimed()
    const strange = 'line\nbreak \\ back\tslash "quoted" é 漢字 🚢'
    const entries = Array.from({ length: 2_000 }, (_, index) => ({
      ...{ lsn: 2 ** 40 + 3, index, time: Date.UTC(1969, 6, 20) + index, type: strange },
      ...{
        id: `${strange} ${index}`,
        command: JSON.stringify({ [strange]: strange.repeat(index % 7) }),
      },
      ...{ response: 'null', effects: undefined, body: Buffer.alloc(index, 255) },
    }))
    await session.commit({ ...chunkOf(log, 0, 2 ** 40 + 3), entries })
    const rows = await place.look.query(
      `select lsn, index, id, type, extract(epoch from "time") * 1000 as ms, command, response = 'null'::jsonb as is_null,
         effects, length(body) as size from keelson.journal where wal_id = $1 order by index`,
      [log.walId],
    )
    expect(rows.map((row) => ({ ...row, lsn: Number(row.lsn), ms: Number(row.ms) }))).toEqual(
      entries.map(({ lsn, index, id, type, time, command }) => ({
        ...{ lsn, index, id, type, ms: time, command: JSON.parse(command), is_null: true },
        ...{ effects: null, size: index },
      })),
    )
  })

  test('takes an actor whose server has the greatest version that a server may have', async () => {
    const { log, session } = await claimed()
    const row = { entity: 'order/1', version: Number.MAX_SAFE_INTEGER, fields: '{}', size: 9 }
    const changes = [{ kind: 'entity', asOf: 1, row }] as const
    await session.commit({ ...chunkOf(log, 0, 1), changes })
    const rows = await place.look.query('select version from keelson.entities where wal_id = $1', [
      log.walId,
    ])
    expect(rows.map(({ version }) => Number(version))).toEqual([Number.MAX_SAFE_INTEGER])
  })

  test('goes on beside a row of the journal that people added with the id of an entry to come', async () => {
    const { log, session } = await claimed()
    await session.commit({ ...chunkOf(log, 0, 1), entries: [entry(1, 'a')] })
    await place.look.query(
      `insert into keelson.journal select wal_id, shard, 0, 0, 'b', type, "time", null, null, null, null, body from keelson.journal where wal_id = $1`,
      [log.walId],
    )
    await session.commit({ ...chunkOf(log, 1, 2), entries: [entry(2, 'b')] })
    expect(await lsnsOf(log)).toEqual([1, 2])
  })

  test('removes rows behind the progress, which no chunk made, when the log is claimed', {
    tags: ['E53'],
  }, async () => {
    const { log, session } = await claimed()
    await session.commit({ ...chunkOf(log, 0, 1), entries: [entry(1, 'a')] })
    await place.look.query(
      `insert into keelson.frames select wal_id, 2, shard, "time", sum, payload from keelson.frames where wal_id = $1`,
      [log.walId],
    )
    const chunk = { ...chunkOf(log, 1, 2), entries: [entry(2, 'b')] }
    await expect(session.commit(chunk)).rejects.toThrow('frames_pkey')
    const next = await claimed(log)
    await next.session.commit(chunk)
    expect(await lsnsOf(log)).toEqual([1, 2])
    await place.look.query('delete from keelson.progress where wal_id = $1', [log.walId])
    const anew = await claimed(log)
    const both = [entry(1, 'a'), entry(2, 'b')]
    await anew.session.commit({ ...chunkOf(log, 0, 1, 2), entries: both })
    expect(await lsnsOf(log)).toEqual([1, 2])
  })

  test('has nothing of a chunk of which an entry cannot be made, and takes the next', async () => {
    const { log, session } = await claimed()
    function* broken() {
      for (let lsn = 1; lsn < 3_000; lsn++) yield { ...entry(1, `${lsn}`), index: lsn }
      throw new Error('it cannot be read')
    }
    const commit = session.commit({ ...chunkOf(log, 0, 1), entries: broken() })
    await expect(commit).rejects.toThrow('it cannot be read')
    expect(await lsnsOf(log)).toEqual([])
    await session.commit({ ...chunkOf(log, 0, 1), entries: [entry(1, 'a')] })
    expect(await lsnsOf(log)).toEqual([1])
  })

  test.skipIf(lacks(single))(
    'gives a statement up after statementMs, and gets the chunk later',
    async () => {
      const { log, session } = await claimed()
      await session.close()
      const bounded = () => place.bounded?.(200).open()
      const locked = await bounded()
      await place.look.query('begin')
      await place.look.query('select 1 from keelson.progress for update')
      // PostgreSQL's code of a statement that was cancelled.
      await expect(locked?.commit(chunkOf(log, 0, 1))).rejects.toMatchObject({ code: '57014' })
      await place.look.query('rollback')
      await locked?.close()
      expect(await lsnsOf(log)).toEqual([])
      const next = await bounded()
      await next?.commit(chunkOf(log, 0, 1))
      await next?.close()
      expect(await lsnsOf(log)).toEqual([1])
    },
  )

  test('has nothing of a chunk whose connection was lost before the commit, at any statement', {
    tags: ['E53'],
  }, async () => {
    const { log, session } = await claimed()
    await session.commit(chunkOf(log, 0, 1))
    let cuts = 0
    for (let at = 0; ; at++) {
      // The statements of the opening come first.
      let left = Number.POSITIVE_INFINITY
      const cut = (): void => {
        if (left-- === 0) throw new Error('the connection is lost')
      }
      const torn = await place.replica(cut).open()
      left = at
      const chunk = { ...chunkOf(log, 1, 2), changes: [key('a', '1')] }
      const outcome = await torn.commit(chunk).then(
        () => 'ok',
        () => 'lost',
      )
      await torn.close()
      if (outcome === 'ok') break
      cuts += 1
      const there = await lsnsOf(log)
      const values = await valuesOf(log)
      expect([there, values]).toEqual(there.length === 1 ? [[1], {}] : [[1, 2], { a: 1 }])
      if (at > 50) throw new Error('it never ends')
    }
    expect(cuts).toBeGreaterThan(3)
    expect(await lsnsOf(log)).toEqual([1, 2])
  })

  test.skipIf(lacks(single)).each([
    ['commit', 'copy keelson.frames'],
    ['load', 'copy keelson.snapshot_rows'],
    ['claim', 'update keelson.progress'],
  ] as const)('no other follower comes between the check of a %s and its end', async (work, at) => {
    const { log, session } = await claimed()
    await session.commit(chunkOf(log, 0, 1))
    const seen = await session.look(log)
    const [reached, released] = [latch(), latch()]
    const slow = await place
      .replica(async (statement) => {
        if (!statement.startsWith(at)) return
        reached.open()
        await released.opened
      })
      .open()
    onTestFinished(() => slow.close())
    const working = {
      commit: () => slow.commit(chunkOf(log, 1, 2)),
      load: () => slow.load(pieceOf(log, 0, [1])),
      claim: () => slow.claim(log, { epoch: 5, holder: 'c' }, seen),
    }[work]()
    await reached.opened

    // It waits for the row of the progress until its statement is cancelled.
    const other = await place.bounded?.(300).open()
    onTestFinished(() => other?.close())
    const claim = () => other?.claim(log, { epoch: 4, holder: 'b' }, seen)
    await expect(claim()).rejects.toMatchObject({ code: '57014' })
    released.open()
    await working

    await expect(claim()).rejects.toMatchObject({ code: 'CONFLICT' })
    const present = await session.look(log)
    expect([present?.lsn, present?.lease.epoch]).toEqual(
      { commit: [2, 3], load: [10, 3], claim: [1, 5] }[work],
    )
  })

  test('removes rows of a snapshot that no piece made, when the log is claimed', {
    tags: ['E53'],
  }, async () => {
    const { log, session } = await claimed()
    await session.load(pieceOf(log, 0, [1, 2], 64))
    await place.look.query(
      `insert into keelson.snapshot_rows select wal_id, 3, sum, key, record from keelson.snapshot_rows where wal_id = $1 and "row" = 2`,
      [log.walId],
    )
    await expect(session.load(pieceOf(log, 2, [3]))).rejects.toThrow('snapshot_rows_pkey')
    await claimed(log)
    await session.load(pieceOf(log, 2, [3]))
    expect(await session.look(log)).toMatchObject({ lsn: 10 })
  })

  test('is not used if a newer version made its schema, and nothing is changed', async () => {
    await place.replica().open()
    await place.look.query('update keelson.version set version = version + 1')
    await expect(place.replica().open()).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' })
    await place.look.query('update keelson.version set version = version - 1')
  })

  test('is made once, however many begin at the same time', async () => {
    await inTransaction(place.look, async () => {
      await place.look.query('drop schema keelson cascade')
    })
    await expect(place.replica().read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    // PGlite has one connection.
    const atOnce = place.replica().description === 'pglite' ? 1 : 3
    await Promise.all(Array.from({ length: atOnce }, () => place.replica().open()))
    const versions = await place.look.query('select version from keelson.version')
    expect(versions).toHaveLength(1)
  })
})
