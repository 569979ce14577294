/**
 * The options of an instance's storage, each once: its doc line, its type, its range and its
 * default. Times in ms, sizes in bytes. The types of `start`, its check, what the actors read and
 * `docs/options.md` are made of this table.
 */
import {
  type Checked,
  group,
  listOf,
  mapped,
  numberFrom,
  oneOf,
  optional,
  or,
  that,
  wholeFrom,
} from '../../check.ts'
import {
  commitments,
  type LogSettings,
  logSettings,
  ms,
  type Projection,
  retention,
  type WalLevel,
  walLevelOf,
} from '../../storage/index.ts'
import { windows } from './write-windows.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

type Position = { readonly shard: number; readonly lsn: number }

const position = that<Position>('{ shard, lsn }', (found) => {
  const { shard, lsn } = (found ?? {}) as Partial<Position>
  return [shard, lsn].every((each) => Number.isSafeInteger(each) && Number(each) >= 0)
})

/** The greatest lsn of each shard. */
const greatest = (positions: readonly Position[]): ReadonlyMap<number, number> => {
  const found = new Map<number, number>()
  for (const { shard, lsn } of positions) found.set(shard, Math.max(lsn, found.get(shard) ?? 0))
  return found
}

const shardLog = {
  /** Refuse to open if less than these positions is recovered. */
  minDurable: or(mapped(listOf(position, 'a list of positions'), greatest), []),
  /** The most commands that are accepted and not yet answered, for each shard. */
  queueCommands: or(wholeFrom(1), 65_536),
  /**
   * A commitment to each group of the log, so that any write in it can be proven later; with a key,
   * an Ed25519 private key in PEM, each is signed.
   */
  commitments: or(commitments, false),
}

const wal: LogSettings & typeof shardLog = { ...logSettings, ...shardLog }

/** The table. */
export const storageOptions = {
  /** The deadline of store and control calls without one of their own. */
  deadlineMs: or(ms(1), 30_000),
  /** The log, of each shard. */
  wal: group(wal),
  /** Writes accepted and not yet answered, over all shards. Beyond, writes wait or get `BUSY`. */
  admission: group({
    /** The most bytes. */
    bytes: or(wholeFrom(256), 64 * MiB),
    /** The most commands. */
    commands: or(wholeFrom(1), 262_144),
  }),
  /** Large values. */
  blobs: group({
    /**
     * Values of this size or more are stored outside the log. 0: values of any size stay in frames,
     * and blobs can still be read.
     */
    threshold: or(wholeFrom(0, GiB), 256 * KiB),
    /** Size of a blob segment. */
    segmentBytes: or(wholeFrom(4 * KiB, 1_024 * GiB), 256 * MiB),
    /** How long an unreferenced blob is kept. */
    graceMs: or(ms(0), 600_000),
    /** How often unreferenced blobs are swept; 0: only on request. */
    sweepMs: or(ms(0), 600_000),
  }),
  /** Groups of writes. */
  batcher: group({
    /**
     * How long the writes of a namespace may wait for each other, in ms from 1 to 10,000.
     * Changeable while the instance runs.
     */
    windows: or(windows, {}),
    /** The most commands of a group. */
    maxCommands: or(wholeFrom(1, 65_535), 10_000),
    /** The most bytes of a group. A larger write goes alone. */
    maxBytes: or(wholeFrom(256), 4 * MiB),
  }),
  /** Committed and not yet projected, in memory. Beyond, writes wait or get `BUSY`. */
  overlay: group({
    /** The most bytes. */
    bytes: or(wholeFrom(KiB), 64 * MiB),
    /** The most keys. */
    keys: or(wholeFrom(1), 2_000_000),
    /** How long a projected row stays in memory while there is room. */
    hotTtlMs: or(ms(0), 0),
  }),
  /** The projection in LMDB. */
  lmdb: group({
    /** How long changes gather before a flush. */
    intervalMs: or(ms(0), 50),
    /** A flush waits for a pause of writes of this length. */
    quietMs: or(ms(0), 20),
    /** The longest wait for such a pause. */
    maxLagMs: or(ms(0), 250),
    /** A flush is due after this many operations. */
    maxOps: or(wholeFrom(1), 25_000),
    /**
     * How much longer changes gather while they are less than 256 KiB, in a shard without
     * projections by users and producers of rows. Nobody who waits for a flush waits for this.
     */
    trickleMs: or(ms(0), 5_000),
    /** The frames in the outbox; beyond, the log is read. */
    ringSlots: or(wholeFrom(1, 2 ** 24), 65_536),
    /** The bytes in the outbox; beyond, the log is read. */
    ringBytes: or(wholeFrom(KiB), 16 * MiB),
    /**
     * How far the projection may be behind, in bytes of log. Beyond, writes wait or get `BUSY`. A
     * start after a crash reads about this much.
     */
    lagBytesMax: or(wholeFrom(KiB), 256 * MiB),
    /**
     * The greatest memory map of a shard's projection. It begins with 1 GiB or four times the file,
     * and costs address space. Beyond, the projection halts (`NO_SPACE`).
     */
    mapBytes: or(wholeFrom(MiB), 1_024 * GiB),
    /** The most rows of one transaction. A frame that is larger goes alone. */
    chunkRows: or(wholeFrom(1), 10_000),
    /** The most bytes of the values of one transaction. */
    chunkBytes: or(wholeFrom(KiB), 4 * MiB),
    /** The most operations of `enqueue` that wait for the projection. */
    enqueueOps: or(wholeFrom(1), 100_000),
    /** The most bytes of such operations. */
    enqueueBytes: or(wholeFrom(KiB), 16 * MiB),
  }),
  /** Snapshots of the projection. After one, the log before it is freed. */
  snapshot: group({
    /** A snapshot is made when the log since the last one exceeds this and `ratio`. */
    minLogBytes: or(wholeFrom(1), 256 * MiB),
    /** The same bound as a multiple of the last snapshot's size. */
    ratio: or(numberFrom(0, 1_000), 1),
    /** How many snapshots are kept. */
    keep: or(wholeFrom(1, 8), 1),
    /** How fast one is written; by default the work takes a quarter of the time. */
    bytesPerSecond: optional(wholeFrom(1)),
    /**
     * How far the projection's file may grow while one is made. Beyond, it is given up and tried
     * again without a limit of its speed.
     */
    pinnedBytesMax: or(wholeFrom(MiB / 16), GiB),
  }),
  /** How much of the log is kept although snapshots replace it. */
  retention: group({
    /**
     * Bytes, or a time such as `'7d'`, `'12h'`, `'30m'`, `'45s'`; with a snapshot below it. By
     * default nothing.
     */
    log: optional(retention),
  }),
  /** The journal. */
  journal: group({
    /** `'required'`: appends are refused until `journal.replay` has ended once. */
    replay: or(oneOf('optional', 'required'), 'optional'),
    /** The holders of entries in the log: saved states and readers (`'states'`), or `'readers'`. */
    retention: or(oneOf('states', 'readers'), 'states'),
    /** The most log that is kept for the journal alone: beyond, appends fail with `BUSY`. */
    maxHeldBytes: or(wholeFrom(1), GiB),
  }),
}

/** The checked options of storage, as the actors read them. */
export type Settings = Checked<typeof storageOptions> & {
  /** The projections by users. */
  readonly projections: readonly Projection[]
}

/** The level of an acknowledgement: durable, or only written. */
export const levelOf = ({ wal }: Settings): WalLevel => walLevelOf(wal)
