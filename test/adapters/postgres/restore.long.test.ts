/** A data folder from its replica: equal, verified, and able to go on; and the folder that it came from is fenced. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import {
  type App,
  call,
  type DurableServer,
  entity,
  reply,
  type StartOptions,
  start,
  supervisor,
} from 'keelson'
import { pglite, postgres, restore } from 'keelson/postgres'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { overPglite } from '../../../src/adapters/postgres/pglite-database.ts'
import { nodeDisk, shardFolder } from '../../../src/storage/index.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { verifyLog } from '../../support/verify-log.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const KiB = 1024

const begun = async (options: StartOptions): Promise<App> => {
  const app = await start(options)
  onTestFinished(async () => void (await app.close()))
  return app
}

const quietly = { error: () => undefined, warn: () => undefined, info: () => undefined }

/** Values of every kind, and removals. */
const fill = async (app: App, from = 0): Promise<void> => {
  const { store } = app
  const puts = Array.from({ length: 200 }, (_, at) => store.put(`k${from + at}`, { at: from + at }))
  await Promise.all(puts)
  await store.put('text', 'é\0')
  await store.put('large', 'x'.repeat(300 * KiB))
  await store.put('later', 1, { ttlMs: 3_600_000 })
  await store.putFields('fields', [
    ['a', 1],
    ['b', Buffer.from([1, 2])],
  ])
  await store.delete(`k${from + 7}`)
}

/** Writes to every shard, and waits until the replica has it. */
const touchAll = async (app: App, value: number): Promise<void> => {
  for (let at = 0; at < 8; at++) await app.store.put(`last${at}`, value, { ack: 'replicated' })
}

const contentOf = async (app: App): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const [key] of app.store.entries({}))
    found.push([key, key === 'fields' ? app.store.fields(key) : await app.store.load(key)])
  return found
}

const entriesOf = async (app: App): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const { lsn, index, id } of app.journal.entries()) found.push([lsn, index, id])
  return found
}

const isSound = (dir: string): void => {
  for (const shard of [0, 1]) {
    const found = verifyLog(nodeDisk(), shardFolder(dir, shard).wal)
    expect(found).toMatchObject({ verdict: 'clean', tail: 'clean' })
  }
}

type Place = {
  readonly client: () => ReturnType<typeof pglite>
  /** A connection of its own, with which people change rows. */
  readonly connect: () => Promise<Database>
  readonly close: () => Promise<void>
}

const places: Record<string, { absent?: string | undefined; open: () => Promise<Place> }> = {
  pglite: {
    open: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
      return {
        client: () => pglite(join(dir, 'replica')),
        connect: () => PGlite.create(join(dir, 'replica')).then(overPglite),
        close: async () => rmSync(dir, { recursive: true }),
      }
    },
  },
  server: {
    absent: noPostgres(),
    open: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
      const server = new PostgresServer(join(dir, 'server'))
      await server.start()
      return {
        client: () => postgres({ connectionString: server.url }),
        connect: () => connectPg({ connectionString: server.url }),
        close: async () => {
          await server.stop()
          rmSync(dir, { recursive: true })
        },
      }
    },
  },
}

/** Short files of the log, so that a snapshot releases some. */
const options = { logger: quietly, wal: { maxFileSize: 128 * KiB } }

/** An instance with a replica, which gets a snapshot: the log begins behind it. */
const replicatedLate = async (dir: string, place: Place): Promise<App> => {
  const alone = await begun({ ...options, dir })
  await fill(alone)
  for (let at = 0; at < 60; at++) await alone.store.put(`big${at % 3}`, 'y'.repeat(16 * KiB))
  await alone.control.snapshot(0)
  await alone.close()
  return begun({ ...options, dir, replication: [{ client: place.client() }] })
}

type Messages = { calls: { put: (row: [key: string, value: unknown]) => number } }

/** An entity that counts the rows that it was given to keep. */
const server: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    put: (count, [key, value], { rows }) => {
      rows.put(key, value)
      return reply(count + 1, count + 1)
    },
  },
}
const keepers = entity('keeper', server)
const keeperTree = supervisor('app', {}, [keepers])

/** What may happen to rows of a replica that holds a snapshot of three rows and more, and at least three frames behind it. */
const harms: Record<string, readonly string[]> = {
  'a frame is missing': [`delete from keelson.frames where lsn = $mid`],
  'the last frame is missing': [`delete from keelson.frames where lsn = $last`],
  'a byte of a frame is another one': [
    `update keelson.frames set payload = set_byte(payload, length(payload) - 1, get_byte(payload, length(payload) - 1) # 1) where lsn = $mid`,
  ],
  'the stamp of a frame is another one': [
    `update keelson.frames set payload = set_byte(payload, 0, get_byte(payload, 0) # 1) where lsn = $mid`,
  ],
  "two frames have each other's content": [
    `update keelson.frames set payload = other.payload from keelson.frames as other
     where frames.lsn in ($mid, $last) and other.lsn = $mid + $last - frames.lsn and other.wal_id = frames.wal_id`,
  ],
  'the sum of a frame is another one': [`update keelson.frames set sum = sum # 1 where lsn = $mid`],
  'a row of the snapshot is missing': [`delete from keelson.snapshot_rows where "row" = 1`],
  'the last row of the snapshot is missing': [
    `delete from keelson.snapshot_rows where "row" = (select max("row") from keelson.snapshot_rows)`,
  ],
  'a byte of a row is another one': [
    `update keelson.snapshot_rows set record = set_byte(record, length(record) - 1, get_byte(record, length(record) - 1) # 1) where "row" = 1`,
  ],
  'a byte of a large value is another one': [
    `update keelson.blobs set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1)`,
  ],
  'a large value is missing': ['delete from keelson.blobs'],
}

// PGlite takes long to begin: it stands in where there is no server.
const present = Object.values(places).findLast(({ absent }) => !lacks(absent))

describe('a folder that is replicated', () => {
  let place: Place
  beforeAll(async () => {
    if (present) place = await present.open()
  })
  afterAll(() => place.close())

  test('comes back from it, equal and sound, goes on, and fences the old one', async () => {
    const [dir, to, again] = [tempFolder(), join(tempFolder(), 'new'), join(tempFolder(), 'again')]
    const options = { shards: 2, logger: quietly }
    const replication = () => [{ client: place.client(), required: true }]
    const first = await begun({ ...options, dir, replication: replication() })
    await fill(first)
    await first.journal.append({ id: 'first', type: 'order', command: { qty: 1 } })
    await touchAll(first, 1)
    const [content, entries] = [await contentOf(first), await entriesOf(first)]
    await first.close()

    const report = await restore({ client: place.client(), dir: to })
    expect(report.shards).toHaveLength(2)
    isSound(to)
    const second = await begun({ ...options, dir: to, acts: true, replication: replication() })
    expect(await contentOf(second)).toEqual(content)
    expect(await entriesOf(second)).toEqual(entries)
    expect(second.store.ttl('later')).toBeGreaterThan(3_000_000)
    await fill(second, 1_000)
    await second.journal.append({ id: 'second', type: 'order', command: { qty: 2 } })
    await touchAll(second, 2)
    const later = await contentOf(second)
    await second.close()

    // The old folder has lost its place, and writes on by itself.
    const old = await begun({ ...options, dir, replication: replication() })
    await old.store.put('k0', 'old')
    const late = old.store.put('k1', 'old', { ack: 'replicated', deadlineMs: 3_000 })
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(old.health().replication[0]?.shards.map(({ state }) => state)).toContain('fenced')
    await old.close()

    await restore({ client: place.client(), dir: again })
    isSound(again)
    const third = await begun({ ...options, dir: again, app: false })
    expect(await contentOf(third)).toEqual(later)
  })

  test('has the own rows of durable actors, which go on with them', async () => {
    const [dir, to] = [tempFolder(), join(tempFolder(), 'new')]
    const own = { ...options, shards: 2, app: keeperTree }
    const first = await begun({ ...own, dir, replication: [{ client: place.client() }] })
    const ids = ['a', 'b', 'c', 'd', 'e']
    const put = (app: App, id: string, key: string, value: unknown) =>
      call(app.entity(keepers).ref(id), 'put', [key, value])
    for (const id of ids) {
      await put(first, id, 'small', { of: id })
      await put(first, id, 'large', id.repeat(300 * KiB))
    }
    await touchAll(first, 1)
    await first.close()
    const { instanceId } = JSON.parse(readFileSync(join(dir, 'keelson.json'), 'utf8'))

    await restore({ client: place.client(), dir: to, instanceId })
    isSound(to)
    const second = await begun({ ...own, dir: to, acts: true })
    for (const id of ids) {
      expect(await put(second, id, 'more', 1)).toBe(3)
      const rows = second.entity(keepers).rows(id)
      expect(rows.get('small')).toEqual({ of: id })
      expect(await rows.load('large')).toBe(id.repeat(300 * KiB))
      expect(rows.range().entries.map(([key]) => key)).toEqual(['large', 'more', 'small'])
    }
  })

  test('begins with a snapshot where replication began late', async () => {
    const [dir, to] = [tempFolder(), join(tempFolder(), 'new')]
    const app = await replicatedLate(dir, place)
    await app.store.put('behind', 1, { ack: 'replicated' })
    const content = await contentOf(app)
    await app.close()
    const { instanceId } = JSON.parse(readFileSync(join(dir, 'keelson.json'), 'utf8'))
    // The other tests replicate there too.
    await expect(restore({ client: place.client(), dir: to })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    await restore({ client: place.client(), dir: to, instanceId })
    const { firstLsn } = verifyLog(nodeDisk(), shardFolder(to, 0).wal)
    expect(firstLsn).toBeGreaterThan(1)
    const restored = await begun({ ...options, dir: to, app: false })
    expect(await contentOf(restored)).toEqual(content)
    await restored.store.put('behind', 2)
    await restored.close()
    const reopened = await begun({ ...options, dir: to, app: false })
    expect(reopened.store.get('behind')).toBe(2)
  })

  test('is refused as CORRUPT where a row of it is missing or was changed, and leaves nothing', async () => {
    const dir = tempFolder()
    const app = await replicatedLate(dir, place)
    for (let at = 0; at < 5; at++) await app.store.put(`k${at}`, at, { ack: 'replicated' })
    await app.close()
    const { instanceId } = JSON.parse(readFileSync(join(dir, 'keelson.json'), 'utf8'))

    const tables = ['frames', 'snapshot_rows', 'blobs']
    const own = `wal_id = (select wal_id from keelson.progress where instance_id = '${instanceId}')`
    const change = async (statements: readonly string[]): Promise<Record<string, unknown>[]> => {
      const database = await place.connect()
      const answers: Record<string, unknown>[] = []
      for (const statement of statements) answers.push(...(await database.query(statement)))
      await database.close()
      return answers
    }
    // Only this folder is there while its rows are harmed.
    await change(
      tables.flatMap((table) => [
        `create table kept_${table} as select * from keelson.${table} where ${own}`,
        `delete from keelson.${table} where not ${own}`,
      ]),
    )
    const lsns = (await change(['select lsn from kept_frames order by lsn'])).map(({ lsn }) => lsn)
    const [mid, last] = [lsns.at(-3), lsns.at(-1)]

    for (const [harm, statements] of Object.entries(harms)) {
      await change(
        statements.map((each) => each.replaceAll('$mid', `${mid}`).replaceAll('$last', `${last}`)),
      )
      const to = join(tempFolder(), 'new')
      const refused = restore({ client: place.client(), dir: to, instanceId })
      await expect(refused, harm).rejects.toMatchObject({ code: 'CORRUPT' })
      expect(nodeDisk().entry(to), harm).toBeUndefined()
      await change(
        tables.flatMap((table) => [
          `delete from keelson.${table}`,
          `insert into keelson.${table} select * from kept_${table}`,
        ]),
      )
    }
    const to = join(tempFolder(), 'new')
    await restore({ client: place.client(), dir: to, instanceId })
    expect((await begun({ ...options, dir: to, app: false })).store.get('k4')).toBe(4)
  })

  test('refuses a folder that is not empty, and a replica with nothing, and leaves nothing', async () => {
    const used = tempFolder()
    await nodeDisk().open(join(used, 'file'), 'create').close()
    const none = async () => ({ logs: async () => [], close: async () => undefined })
    const client = { description: 'empty', open: none, read: none } as never
    await expect(restore({ client, dir: used })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    const to = join(tempFolder(), 'new')
    await expect(restore({ client, dir: to })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect(nodeDisk().entry(to)).toBeUndefined()
  })
})
