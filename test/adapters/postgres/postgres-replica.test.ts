/** The replica in PostgreSQL: what each transaction holds, on PGlite and on a server, where there is one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, inTransaction } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { overPglite } from '../../../src/adapters/postgres/pglite-database.ts'
import { postgres, replicaOver } from '../../../src/adapters/postgres/postgres.ts'
import type {
  ReadableChange,
  Replica,
  ReplicaChunk,
  ReplicaLease,
  ReplicaPiece,
  ReplicatedLog,
} from '../../../src/storage/index.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres, PostgresServer } from '../../support/postgres-server.ts'
import { triesAll } from '../../support/tier.ts'

/** A database of the tests: a connection to look with, and replicas over others. */
type Place = {
  readonly look: Database
  /** `cut`: the number of the statement at which the connection is lost. */
  readonly replica: (cut?: { at: number }) => Replica
  /** As users make it. PGlite has no bound. */
  readonly bounded?: (statementMs: number) => Replica
  readonly close: () => Promise<void>
}

const cuttable = (database: Database, cut: { at: number } | undefined): Database => {
  let statements = 0
  const count = (): void => {
    statements += 1
    if (cut && statements >= cut.at) throw new Error('the connection is lost')
  }
  return {
    query: async (sql, parameters) => {
      count()
      return database.query(sql, parameters)
    },
    copy: async (table, columns, pieces) => {
      count()
      await database.copy(table, columns, pieces)
    },
    close: () => database.close(),
  }
}

const places: Record<string, { absent?: string | undefined; open: () => Promise<Place> }> = {
  pglite: {
    open: async () => {
      const lite = await PGlite.create()
      const one = overPglite(lite)
      // A lost connection ends its transaction; this one is shared.
      const close = async (): Promise<void> => void (await one.query('rollback'))
      return {
        look: one,
        replica: (cut) => replicaOver('pglite', async () => cuttable({ ...one, close }, cut)),
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
      const look = await connectPg({ connectionString: server.url })
      const { description } = postgres({ connectionString: server.url })
      return {
        look,
        replica: (cut) =>
          replicaOver(description, async () =>
            cuttable(await connectPg({ connectionString: server.url }), cut),
          ),
        bounded: (statementMs) => postgres({ connectionString: server.url, statementMs }),
        close: async () => {
          await look.close()
          await server.stop()
          rmSync(dir, { recursive: true })
        },
      }
    },
  },
}

let logs = 0
const newLog = (): ReplicatedLog => ({
  walId: (++logs).toString(16).padStart(32, '0'),
  shard: 0,
  shards: 1,
  instanceId: 'here',
})

const lease: ReplicaLease = { epoch: 3, holder: 'a' }

const framesOf = (...lsns: readonly number[]) =>
  lsns.map((lsn) => ({ lsn, time: 1_000 + lsn, payload: Uint8Array.of(lsn, 0, 255) }))

const chunkOf = (log: ReplicatedLog, after: number, ...lsns: readonly number[]): ReplicaChunk => ({
  log,
  lease,
  after,
  lsn: lsns.at(-1) ?? after,
  mark: { time: 1_000, crc: lsns.at(-1) ?? 0 },
  frames: framesOf(...lsns),
  entries: [],
  blobs: [],
  changes: [],
})

const key = (name: string, json: string, asOf = 1): ReadableChange => ({
  kind: 'key',
  asOf,
  row: { key: name, type: 'structured', json, size: json.length, expiresAt: 0 },
})

const present = Object.entries(places).filter(([, { absent }]) => !lacks(absent))

// PGlite takes seconds to begin. In the quick tier it stands in where there is no server.
describe.each(triesAll ? present : present.slice(-1))('a replica on %s', (name, { open }) => {
  let place: Place
  beforeAll(async () => {
    place = await open()
  })
  afterAll(() => place.close())

  const unbounded = name === 'server' ? undefined : 'PGlite has no bound for a statement'

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

  test('has frames, keys and progress of a chunk together', async () => {
    const { log, session } = await claimed()
    const changes = [key('a', '{"b":[1,null,"é"]}'), key('c', 'null')]
    await session.commit({ ...chunkOf(log, 0, 1, 2, 5), changes })
    expect(await lsnsOf(log)).toEqual([1, 2, 5])
    expect(await valuesOf(log)).toEqual({ a: { b: [1, null, 'é'] }, c: null })
    expect(await session.look(log)).toEqual({ lsn: 5, mark: { time: 1_000, crc: 5 }, lease })
    const reading = await place.replica().read()
    const [stored] = (await reading.logs()).filter(({ walId }) => walId === log.walId)
    const frames = []
    if (stored) for await (const frame of reading.frames(stored)) frames.push(frame)
    expect(frames.map(({ payload, lsn }) => ({ lsn, payload: [...payload] }))).toEqual(
      framesOf(1, 2, 5).map(({ payload, lsn }) => ({ lsn, payload: [...payload] })),
    )
  })

  const entry = (lsn: number, id: string) => ({
    ...{ lsn, index: 1, time: 5_000, id, type: 'order', command: '{"qty":1}' },
    ...{ events: '[{"type":"filled"}]', body: Uint8Array.of(lsn, 0) },
  })

  test('has the entries of the journal, and nothing of a chunk with an id that is there', async () => {
    const { log, session } = await claimed()
    await session.commit({ ...chunkOf(log, 0, 1, 2), entries: [entry(1, 'a'), entry(2, 'b')] })
    const repeats = session.commit({ ...chunkOf(log, 2, 3), entries: [entry(3, 'a')] })
    await expect(repeats).rejects.toThrow('journal_id')
    expect(await lsnsOf(log)).toEqual([1, 2])
    const rows = await place.look.query(
      'select lsn, index, id, command, response, events, body from keelson.journal where wal_id = $1 order by lsn',
      [log.walId],
    )
    expect(
      rows.map((row) => ({ ...row, lsn: Number(row.lsn), body: [...(row.body as Buffer)] })),
    ).toEqual(
      [
        [1, 'a'],
        [2, 'b'],
      ].map(([lsn, id]) => ({
        ...{ lsn, index: 1, id, command: { qty: 1 }, response: null },
        ...{ events: [{ type: 'filled' }], body: [lsn, 0] },
      })),
    )
  })

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

  test('E53 removes rows behind the progress, which no chunk made, when the log is claimed', async () => {
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

  test('E53 takes the same chunk twice without a change', async () => {
    const { log, session } = await claimed()
    await session.commit({ ...chunkOf(log, 0, 1, 2), changes: [key('a', '1')] })
    await session.commit({ ...chunkOf(log, 0, 1, 2), changes: [key('a', '2')] })
    expect(await lsnsOf(log)).toEqual([1, 2])
    expect(await valuesOf(log)).toEqual({ a: 1 })
  })

  test('refuses a chunk that does not follow what it has', async () => {
    const { log, session } = await claimed()
    await session.commit(chunkOf(log, 0, 1, 2))
    await expect(session.commit(chunkOf(log, 5, 6))).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await lsnsOf(log)).toEqual([1, 2])
  })

  test.skipIf(lacks(unbounded))(
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

  test('E53 has nothing of a chunk whose connection was lost before the commit, at any statement', async () => {
    const { log, session } = await claimed()
    await session.commit(chunkOf(log, 0, 1))
    let cuts = 0
    for (let at = 2; ; at++) {
      const cut = { at: Number.POSITIVE_INFINITY }
      const torn = await place.replica(cut).open()
      // The statements of the opening came first.
      cut.at = at
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

  test('fences an older life of a log, and another copy of the same', async () => {
    const { log, session } = await claimed()
    await session.commit(chunkOf(log, 0, 1))
    const later = await place.replica().open()
    const seen = await later.look(log)
    const older = { epoch: 2, holder: 'b' }
    const twin = { epoch: 3, holder: 'b' }
    for (const other of [older, twin])
      await expect(later.claim(log, other, seen)).rejects.toMatchObject({ code: 'FENCED' })
    await later.claim(log, { epoch: 4, holder: 'b' }, seen)
    await expect(session.commit(chunkOf(log, 1, 2))).rejects.toMatchObject({ code: 'FENCED' })
    expect(await lsnsOf(log)).toEqual([1])
    // The old one may ask again, and is refused again.
    await expect(session.claim(log, lease, await session.look(log))).rejects.toMatchObject({
      code: 'FENCED',
    })
  })

  test('gives a lease only to who has seen the present progress', async () => {
    const { log, session } = await claimed()
    const seen = await session.look(log)
    await session.commit(chunkOf(log, 0, 1))
    await expect(session.claim(log, { epoch: 4, holder: 'b' }, seen)).rejects.toMatchObject({
      code: 'CONFLICT',
    })
  })

  test('removes keys that are gone, and those of a namespace', async () => {
    const { log, session } = await claimed()
    const names = ['a', 'n', 'n:1', 'n:2', 'n;', 'nn:1', 'ü:1']
    await session.commit({ ...chunkOf(log, 0, 1), changes: names.map((name) => key(name, '1')) })
    const changes: ReadableChange[] = [
      { kind: 'clear', namespace: 'n' },
      { kind: 'gone', key: 'a' },
      key('n:3', '2'),
    ]
    await session.commit({ ...chunkOf(log, 1, 2), changes })
    expect(await valuesOf(log)).toEqual({ n: 1, 'n:3': 2, 'n;': 1, 'nn:1': 1, 'ü:1': 1 })
    await session.commit({
      ...chunkOf(log, 2, 3),
      changes: [{ kind: 'clear', namespace: '_root' }],
    })
    expect(await valuesOf(log)).toEqual({ 'n:3': 2, 'nn:1': 1, 'ü:1': 1 })
    await session.commit({
      ...chunkOf(log, 3, 4),
      changes: [{ kind: 'clear', namespace: undefined }],
    })
    expect(await valuesOf(log)).toEqual({})
  })

  test('keeps a large value in pieces, once', async () => {
    const { log, session } = await claimed()
    const bytes = new Uint8Array(1024 * 1024 + 100).map((_, at) => at % 251)
    const sha256 = new Uint8Array(32)
    const ref = { size: bytes.length, segment: 7, offset: 48, sha256 }
    let reads = 0
    const read = (from: number, to: number) => {
      reads += 1
      return bytes.subarray(from, to)
    }
    await session.commit({ ...chunkOf(log, 0, 1), blobs: [{ ref, read }] })
    await session.commit({ ...chunkOf(log, 1, 2), blobs: [{ ref, read }] })
    expect(reads).toBe(2)
    const reading = await place.replica().read()
    const [stored] = (await reading.logs()).filter(({ walId }) => walId === log.walId)
    const pieces: Uint8Array[] = []
    if (stored) for await (const piece of reading.blob(stored, ref)) pieces.push(piece)
    expect(Buffer.concat(pieces).equals(Buffer.from(bytes))).toBe(true)
  })

  test('takes a snapshot piece by piece, a repeated piece without a change, then frames', async () => {
    const { log, session } = await claimed()
    await session.commit({ ...chunkOf(log, 0, 1), changes: [key('old', '1')] })
    const snapshot = { lsn: 10, bytes: 100, sum: 5 }
    const records = (...numbers: readonly number[]) =>
      numbers.map((number) => ({ key: Uint8Array.of(number), record: Uint8Array.of(1, number) }))
    const position = { walId: log.walId, epoch: 3, lsn: 10, frame: { time: 7, crc: 9 } }
    const piece: Omit<ReplicaPiece, 'rows' | 'records' | 'next'> = {
      ...{ log, lease, snapshot, blobs: [], changes: [] },
    }
    const first: ReplicaPiece = {
      ...{ ...piece, rows: 0, records: records(1, 2), next: { kind: 'more', offset: 64 } },
      changes: [key('new', '2', 12)],
    }
    const last: ReplicaPiece = {
      ...{ ...piece, rows: 2, records: records(3), next: { kind: 'complete', position } },
    }
    await session.load(first)
    await session.load(first)
    expect(await session.look(log)).toMatchObject({ load: { snapshot, offset: 64, rows: 2 } })
    // Frames wait until it is complete.
    await expect(session.commit(chunkOf(log, 1, 2))).rejects.toMatchObject({ code: 'CONFLICT' })
    // A row that no piece made is removed by the next claim.
    await place.look.query(
      `insert into keelson.snapshot_rows select wal_id, 3, sum, key, record from keelson.snapshot_rows where wal_id = $1 and "row" = 2`,
      [log.walId],
    )
    await expect(session.load(last)).rejects.toThrow('snapshot_rows_pkey')
    await claimed(log)
    await session.load(last)
    await session.load(last)
    expect(await session.look(log)).toEqual({ lsn: 10, mark: position.frame, lease })
    expect(await valuesOf(log)).toEqual({ new: 2 })
    await session.commit(chunkOf(log, 10, 11))
    const reading = await place.replica().read()
    const [stored] = (await reading.logs()).filter(({ walId }) => walId === log.walId)
    expect(stored).toMatchObject({ base: position, lsn: 11 })
    const [rows, frames]: [number[][], number[]] = [[], []]
    if (stored) {
      for await (const row of reading.rows(stored)) rows.push([...row.key, ...row.record])
      for await (const { lsn } of reading.frames(stored)) frames.push(lsn)
    }
    expect([rows, frames]).toEqual([
      [
        [1, 1, 1],
        [2, 1, 2],
        [3, 1, 3],
      ],
      [11],
    ])
  })

  test('has nothing to restore before a snapshot that it needs is there', async () => {
    const log = newLog()
    const session = await place.replica().open()
    await session.claim(log, lease, undefined, true)
    const seen = await session.look(log)
    const reading = await place.replica().read()
    const isWhole = async () => (await reading.logs()).some(({ walId }) => walId === log.walId)
    expect([seen?.load, await isWhole()]).toEqual(['due', false])

    // The next life of the sender asks, and claims again.
    await session.claim(log, lease, seen, true)
    expect(await isWhole()).toBe(false)
    await expect(session.commit(chunkOf(log, 0, 1))).rejects.toMatchObject({ code: 'CONFLICT' })
    await session.load({
      ...{ log, lease, rows: 0, records: [], blobs: [], changes: [] },
      snapshot: { lsn: 9, bytes: 100, sum: 5 },
      next: { kind: 'complete', position: { walId: log.walId, epoch: 3, lsn: 9 } },
    })
    expect(await isWhole()).toBe(true)
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
