/**
 * What people read in the replica: keys with their values, and the journal; and the pieces of large
 * values. All within the transaction of the frames that they come from.
 */
import type {
  ReadableChange,
  ReadableKey,
  ReplicatedBlob,
  ReplicatedEntry,
  ReplicatedLog,
} from '../../storage/index.ts'
import { type Database, packed } from './database.ts'

/** The most keys of one statement, and the bytes of their values. */
const keysMax = 5_000
const bytesMax = 4 * 1024 * 1024

/** The bytes of a blob that one row holds. */
const pieceBytes = 1024 * 1024

/** Writes keys. They are taken one by one, and each occurs once. */
export const writeChanges = async (
  database: Database,
  log: ReplicatedLog,
  changes: Iterable<ReadableChange>,
): Promise<void> => {
  let keys: Extract<ReadableChange, { kind: 'key' }>[] = []
  let gone: string[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    if (keys.length > 0) await writeKeys(database, log, keys)
    if (gone.length > 0) await removeKeys(database, log, gone)
    keys = []
    gone = []
    bytes = 0
  }
  for (const change of changes) {
    if (change.kind === 'clear') {
      await flush()
      await clearKeys(database, log, change.namespace)
      continue
    }
    if (change.kind === 'gone') gone.push(change.key)
    else {
      keys.push(change)
      bytes += (change.row.json?.length ?? 0) + (change.row.bytes?.length ?? 0)
    }
    if (keys.length + gone.length >= keysMax || bytes >= bytesMax) await flush()
  }
  await flush()
}

const writeKeys = async (
  database: Database,
  { walId, shard }: ReplicatedLog,
  changes: readonly Extract<ReadableChange, { kind: 'key' }>[],
): Promise<void> => {
  const { bytes, places, lengths } = packed(changes.map(({ row }) => row.bytes ?? none))
  const rows = `[${changes.map(({ row, asOf }) => rowText(row, asOf)).join(',')}]`
  await database.query(
    `insert into keelson.kv (wal_id, shard, key, type, value, bytes, size, expires_at, lsn)
     select $1::uuid, $2::integer, one.key, one.type, case when one.said then coalesce(one.value, 'null'::jsonb) end,
       case when one.raw then substring($4::bytea from ($5::integer[])[number] for ($6::integer[])[number]) end,
       one.size, to_timestamp(one.expires / 1000.0), one.lsn
     from rows from (jsonb_to_recordset($3::jsonb) as (key text, type text, said boolean, value jsonb, raw boolean, size bigint, expires bigint, lsn bigint))
       with ordinality as one (key, type, said, value, raw, size, expires, lsn, number)
     on conflict (wal_id, key) do update set type = excluded.type, value = excluded.value, bytes = excluded.bytes,
       size = excluded.size, expires_at = excluded.expires_at, lsn = excluded.lsn`,
    [walId, shard, rows, bytes, places, lengths],
  )
}

const none = new Uint8Array(0)

const rowText = (row: ReadableKey, asOf: number): string => {
  const { key, type, json, bytes, size, expiresAt } = row
  const expires = expiresAt === 0 ? null : expiresAt
  const facts = { key, type, said: json !== undefined, raw: bytes !== undefined, size, expires }
  const text = JSON.stringify({ ...facts, lsn: asOf })
  return json === undefined ? text : `${text.slice(0, -1)},"value":${json}}`
}

const removeKeys = async (
  database: Database,
  { walId }: ReplicatedLog,
  keys: readonly string[],
): Promise<void> => {
  await database.query(
    `delete from keelson.kv where wal_id = $1 and key in (select jsonb_array_elements_text($2::jsonb))`,
    [walId, JSON.stringify(keys)],
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
      // The character behind the colon.
      `${namespace};`,
    ])
}

/** Writes entries of the journal. One whose id is there is a repeat, and not an entry. */
export const writeEntries = async (
  database: Database,
  { walId, shard }: ReplicatedLog,
  entries: readonly ReplicatedEntry[],
): Promise<void> => {
  if (entries.length === 0) return
  const { bytes, places, lengths } = packed(entries.map(({ body }) => body))
  const rows = `[${entries.map(entryText).join(',')}]`
  await database.query(
    `insert into keelson.journal (wal_id, shard, lsn, index, id, type, "time", command, response, events, effects, body)
     select $1::uuid, $2::integer, one.lsn, one.index, one.id, one.type, to_timestamp(one.ms / 1000.0),
       one.command, one.response, one.events, one.effects, substring($4::bytea from ($5::integer[])[number] for ($6::integer[])[number])
     from rows from (jsonb_to_recordset($3::jsonb) as (lsn bigint, index integer, id text, type text, ms bigint, command jsonb, response jsonb, events jsonb, effects jsonb))
       with ordinality as one (lsn, index, id, type, ms, command, response, events, effects, number)
     on conflict do nothing`,
    [walId, shard, rows, bytes, places, lengths],
  )
}

const entryText = (entry: ReplicatedEntry): string => {
  const { lsn, index, id, type, time, command, response, events, effects } = entry
  const text = JSON.stringify({ lsn, index, id, type, ms: time })
  const said = { command, response, events, effects }
  const values = Object.entries(said).map(([name, json]) => `,"${name}":${json ?? 'null'}`)
  return `${text.slice(0, -1)}${values.join('')}}`
}

/** Writes a blob, piece by piece, unless it is there: one that was written is there as a whole. */
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
  for (let piece = 0, at = 0; piece === 0 || at < ref.size; piece++, at += pieceBytes)
    await database.query('insert into keelson.blobs values ($1, $2, $3, $4, $5)', [
      ...place,
      piece,
      read(at, Math.min(ref.size, at + pieceBytes)),
    ])
}
