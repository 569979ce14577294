/**
 * The rows that people read in the replica: keys with their values, durable actors with their
 * states, and the journal; and the pieces of large values. All within the transaction of the frames
 * that they come from. They are apart from `postgres-session.ts`, which decides what a transaction
 * has: this file says how a row is written.
 */
import { plainJson } from '../../bytes/json.ts'
import type {
  ReadableChange,
  ReadableEntity,
  ReadableKey,
  ReplicatedBlob,
  ReplicatedEntry,
  ReplicatedLog,
} from '../../storage/index.ts'
import { type CopyColumn, copyRows, uuidOf } from './copy-format.ts'
import type { Database } from './database.ts'

/** The most rows of one statement, and the length of their texts. */
const rowsMax = 5_000
const bytesMax = 4 * 1024 * 1024

/** The bytes of a blob that one row holds. */
const pieceBytes = 1024 * 1024

/** Writes keys and durable actors. They are taken one by one, and each occurs once. */
export const writeChanges = async (
  database: Database,
  log: ReplicatedLog,
  changes: Iterable<ReadableChange>,
): Promise<void> => {
  let due = {
    keys: [] as string[],
    gone: [] as string[],
    states: [] as string[],
    ended: [] as string[],
  }
  let [rows, bytes] = [0, 0]
  const flush = async (): Promise<void> => {
    const { keys, gone, states, ended } = due
    if (keys.length > 0) await writeKeys(database, log, keys)
    if (gone.length > 0) await removeKeys(database, log, gone)
    if (states.length > 0) await writeEntities(database, log, states)
    if (ended.length > 0) await removeEntities(database, log, ended)
    due = { keys: [], gone: [], states: [], ended: [] }
    ;[rows, bytes] = [0, 0]
  }
  for (const change of changes) {
    if (change.kind === 'clear') {
      await flush()
      await clearKeys(database, log, change.namespace)
      continue
    }
    if (change.kind === 'gone') due.gone.push(change.key)
    else if (change.kind === 'ended') due.ended.push(change.entity)
    else {
      const [list, text] =
        change.kind === 'key'
          ? ([due.keys, rowText(change.row, change.asOf)] as const)
          : ([due.states, entityText(change.row, change.asOf)] as const)
      list.push(text)
      bytes += text.length
    }
    if (++rows >= rowsMax || bytes >= bytesMax) await flush()
  }
  await flush()
}

const writeKeys = async (
  database: Database,
  { walId, shard }: ReplicatedLog,
  rows: readonly string[],
): Promise<void> => {
  await database.query(
    `insert into keelson.kv (wal_id, shard, key, type, value, bytes, size, expires_at, lsn)
     select $1::uuid, $2::integer, one.key, one.type, case when one.said then coalesce(one.value, 'null'::jsonb) end,
       decode(one.raw, 'base64'), one.size, to_timestamp(one.expires / 1000.0), one.lsn
     from jsonb_to_recordset($3::jsonb) as one (key text, type text, said boolean, value jsonb, raw text, size bigint, expires bigint, lsn bigint)
     on conflict (wal_id, key) do update set type = excluded.type, value = excluded.value, bytes = excluded.bytes,
       size = excluded.size, expires_at = excluded.expires_at, lsn = excluded.lsn`,
    [walId, shard, `[${rows.join(',')}]`],
  )
}

const writeEntities = async (
  database: Database,
  { walId, shard }: ReplicatedLog,
  rows: readonly string[],
): Promise<void> => {
  await database.query(
    `insert into keelson.entities (wal_id, shard, kind, id, version, state, fields, size, lsn)
     select $1::uuid, $2::integer, one.kind, one.id, one.version,
       case when one.said then coalesce(one.state, 'null'::jsonb) end, one.fields, one.size, one.lsn
     from jsonb_to_recordset($3::jsonb) as one (kind text, id text, version bigint, said boolean, state jsonb, fields jsonb, size bigint, lsn bigint)
     on conflict (wal_id, kind, id) do update set version = excluded.version, state = excluded.state,
       fields = excluded.fields, size = excluded.size, lsn = excluded.lsn`,
    [walId, shard, `[${rows.join(',')}]`],
  )
}

const entityText = (
  { entity, version, state, fields, size }: ReadableEntity,
  lsn: number,
): string => {
  const facts = { kind: kindOf(entity), id: idOf(entity), version, size, lsn }
  const text = plainJson({ ...facts, said: state !== undefined })
  return `${text.slice(0, -1)},"fields":${fields},"state":${state ?? 'null'}}`
}

const kindOf = (entity: string): string => entity.slice(0, entity.indexOf('/'))

const idOf = (entity: string): string => entity.slice(entity.indexOf('/') + 1)

const removeEntities = async (
  database: Database,
  { walId }: ReplicatedLog,
  entities: readonly string[],
): Promise<void> => {
  await database.query(
    `delete from keelson.entities where wal_id = $1 and (kind, id) in
       (select one->>0, one->>1 from jsonb_array_elements($2::jsonb) as one)`,
    [walId, plainJson(entities.map((entity) => [kindOf(entity), idOf(entity)]))],
  )
}

const rowText = (row: ReadableKey, asOf: number): string => {
  const { key, type, json, bytes, size, expiresAt } = row
  const expires = expiresAt === 0 ? null : expiresAt
  const raw = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
  const facts = { key, type, said: json !== undefined, raw, size, expires }
  const text = plainJson({ ...facts, lsn: asOf })
  return json === undefined ? text : `${text.slice(0, -1)},"value":${json}}`
}

const removeKeys = async (
  database: Database,
  { walId }: ReplicatedLog,
  keys: readonly string[],
): Promise<void> => {
  await database.query(
    `delete from keelson.kv where wal_id = $1 and key in (select jsonb_array_elements_text($2::jsonb))`,
    [walId, plainJson(keys)],
  )
}

const clearKeys = async (
  database: Database,
  { walId }: ReplicatedLog,
  namespace: string | undefined,
): Promise<void> => {
  if (namespace === undefined)
    await database.query('delete from keelson.kv where wal_id = $1', [walId])
  else if (namespace === '_root')
    await database.query(`delete from keelson.kv where wal_id = $1 and position(':' in key) = 0`, [
      walId,
    ])
  else
    await database.query('delete from keelson.kv where wal_id = $1 and key >= $2 and key < $3', [
      walId,
      `${namespace}:`,
      // The character after the colon.
      `${namespace};`,
    ])
}

/** Writes entries of the journal. They are taken one by one. */
export const writeEntries = (
  database: Database,
  { walId, shard }: ReplicatedLog,
  entries: Iterable<ReplicatedEntry>,
): Promise<void> => copyRows(database, 'journal', entryColumns(uuidOf(walId), shard), entries)

const entryColumns = (walId: Uint8Array, shard: number): readonly CopyColumn<ReplicatedEntry>[] => [
  { name: 'wal_id', put: (field) => field.bytes(walId) },
  { name: 'shard', put: (field) => field.int4(shard) },
  { name: 'lsn', put: (field, { lsn }) => field.int8(lsn) },
  { name: 'index', put: (field, { index }) => field.int4(index) },
  { name: 'id', put: (field, { id }) => field.text(id) },
  { name: 'type', put: (field, { type }) => field.text(type) },
  { name: 'time', put: (field, { time }) => field.time(time) },
  { name: 'command', put: (field, { command }) => field.jsonb(command) },
  { name: 'response', put: (field, { response }) => field.jsonb(response) },
  { name: 'events', put: (field, { events }) => field.jsonb(events) },
  { name: 'effects', put: (field, { effects }) => field.jsonb(effects) },
  { name: 'body', put: (field, { body }) => field.bytes(body) },
]

/**
 * Writes a blob, piece by piece, unless it is there: one that was written is there as a whole. A piece
 * without bytes notes one that was freed.
 */
export const writeBlob = async (
  database: Database,
  { walId }: ReplicatedLog,
  { ref, read }: ReplicatedBlob,
): Promise<void> => {
  const place = [walId, ref.segment, ref.offset]
  const [found] = await database.query(
    'select 1 as there from keelson.blobs where wal_id = $1 and segment = $2 and place = $3 and piece = 0',
    place,
  )
  if (found) return
  if (!read) {
    await database.query('insert into keelson.blobs values ($1, $2, $3, 0, $4)', [
      ...place,
      new Uint8Array(0),
    ])
    return
  }
  for (let piece = 0, at = 0; piece === 0 || at < ref.size; piece++, at += pieceBytes)
    await database.query('insert into keelson.blobs values ($1, $2, $3, $4, $5)', [
      ...place,
      piece,
      read(at, Math.min(ref.size, at + pieceBytes)),
    ])
}
