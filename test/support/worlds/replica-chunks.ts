/** Logs, chunks and pieces for tests of replicas. */
import type {
  ReadableChange,
  ReplicaChunk,
  ReplicaLease,
  ReplicaPiece,
  ReplicatedEntry,
  ReplicatedLog,
} from '../../../src/storage/index.ts'

let logs = 0

/** A log that no replica of this process has seen. */
export const newLog = (): ReplicatedLog => ({
  walId: (++logs).toString(16).padStart(32, '0'),
  shard: 0,
  shards: 1,
  instanceId: 'here',
})

/** The lease that chunks and pieces come with. */
export const lease: ReplicaLease = { epoch: 3, holder: 'a' }

export const framesOf = (...lsns: readonly number[]) =>
  lsns.map((lsn) => ({ lsn, time: 1_000 + lsn, payload: Uint8Array.of(lsn, 0, 255) }))

/** The frames at `lsns`, behind what the replica has up to `after`. */
export const chunkOf = (
  log: ReplicatedLog,
  after: number,
  ...lsns: readonly number[]
): ReplicaChunk => ({
  ...{ log, lease, after, entries: [], blobs: [], changes: [] },
  lsn: lsns.at(-1) ?? after,
  mark: { time: 1_000, crc: lsns.at(-1) ?? 0 },
  frames: framesOf(...lsns),
})

/** A key with a value, given as JSON. */
export const key = (name: string, json: string, asOf = 1): ReadableChange => ({
  kind: 'key',
  asOf,
  row: { key: name, type: 'structured', json, size: json.length, expiresAt: 0 },
})

/** A durable actor, with a state given as JSON. */
export const entity = (name: string, state?: string, asOf = 1): ReadableChange => ({
  ...{ kind: 'entity', asOf },
  row: { entity: name, version: 1, fields: '{}', size: 9, ...(state !== undefined && { state }) },
})

export const entry = (lsn: number, id: string, index = 1): ReplicatedEntry => ({
  ...{ lsn, index, time: 5_000, id, type: 'order', command: '{"qty":1}' },
  ...{ events: '[{"type":"filled"}]', body: Uint8Array.of(lsn, 0) },
})

/** What a snapshot at LSN 10 shows. */
export const positionOf = ({ walId }: ReplicatedLog) => ({
  ...{ walId, epoch: 3, lsn: 10, frame: { time: 7, crc: 9 } },
})

/** A piece of a snapshot at LSN 10: rows with these numbers behind `rows` others, the last piece without `offset`. */
export const pieceOf = (
  log: ReplicatedLog,
  rows: number,
  numbers: readonly number[],
  offset?: number,
): ReplicaPiece => ({
  ...{ log, lease, rows, blobs: [], changes: [], snapshot: { lsn: 10, bytes: 100, sum: 5 } },
  records: numbers.map((number) => ({
    key: Uint8Array.of(number),
    record: Uint8Array.of(1, number),
  })),
  next:
    offset === undefined
      ? { kind: 'complete', position: positionOf(log) }
      : { kind: 'more', offset },
})
