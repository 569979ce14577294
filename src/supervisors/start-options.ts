/** The options of `start`: their meaning, their defaults, and their check. Pure. */

import {
  checkReplication,
  type FollowerTerms,
  isWindow,
  namespaceFault,
  type RecoveryProgress,
  type ReplicationOptions,
  type Settings,
  windowMsMax,
  windowsMax,
} from '../actors/index.ts'
import { configError, unknownOption } from '../errors.ts'
import type { Logger, System } from '../runtime/index.ts'
import { checkCommitments, checkRetention, type Projection } from '../storage/index.ts'
import { type AppTree, checkAppTree } from './app-tree.ts'
import { checkProjections } from './projections.ts'

// The checks of options that are tables: positions, and windows of namespaces. Pure.

/** The greatest lsn for each shard of `wal.minDurable`. @throws KeelsonError `CONFIG` */
export const checkMinDurable = (positions: unknown = []): ReadonlyMap<number, number> => {
  if (!Array.isArray(positions))
    throw configError('wal.minDurable', 'a list of positions', positions)
  const found = positions.map((position, at) => {
    const { shard, lsn } = (position ?? {}) as { shard?: unknown; lsn?: unknown }
    const right = [shard, lsn].every((each) => Number.isSafeInteger(each) && Number(each) >= 0)
    if (!right) throw configError(`wal.minDurable[${at}]`, '{ shard, lsn }', position)
    return { shard: shard as number, lsn: lsn as number }
  })
  const greatest = new Map<number, number>()
  for (const { shard, lsn } of found) greatest.set(shard, Math.max(lsn, greatest.get(shard) ?? 0))
  return greatest
}

/** `batcher.windows`: ms by namespace. @throws KeelsonError `CONFIG` */
const checkWindows = (windows: unknown = {}): ReadonlyMap<string, number> => {
  if (typeof windows !== 'object' || windows === null || Array.isArray(windows))
    throw configError('batcher.windows', 'an object of namespaces', windows)
  const found = Object.entries(windows)
  if (found.length > windowsMax)
    throw configError('batcher.windows', `at most ${windowsMax} namespaces`, found.length)
  for (const [namespace, ms] of found) {
    const fault = namespaceFault(namespace)
    if (fault) throw configError(`batcher.windows.${namespace}`, `named by ${fault}`, namespace)
    if (!isWindow(ms))
      throw configError(`batcher.windows.${namespace}`, `ms from 1 to ${windowMsMax}`, ms)
  }
  return new Map(found)
}

/** The options of `start`. Only `dir` has no default. Times are in ms, sizes in bytes. */
export type StartOptions = {
  /** The data folder. It is created when missing. */
  readonly dir: string
  /** Part of the names of a second instance in one System: `wal_writer('orders', 0)`. */
  readonly instance?: string
  /** The System to run on. By default the instance makes its own. */
  readonly system?: System
  /**
   * The logger of crashes and restarts, as of `createSystem`: an object with `error`, `warn` and
   * `info`, such as pino. By default text to `console`. Not with `system`, which has its own.
   */
  readonly logger?: Logger
  /** Fixed when the folder is created; 1. */
  readonly shards?: number
  /** Start the healthy shards of a folder in which some are corrupt; false. */
  readonly allowDown?: boolean
  /** The deadline of store and control calls without one of their own; 30,000. */
  readonly deadlineMs?: number
  readonly wal?: {
    /** Size of a segment, preallocated; 16 MiB, from 128 KiB to 1 GiB. */
    readonly maxFileSize?: number
    /** False: nothing is durable, and each answer says so; for tests and bulk loads. True. */
    readonly enableFsync?: boolean
    /**
     * A number: sync every this many ms, at least 10, with answers at level `written`. Absent: one
     * sync for each group.
     */
    readonly syncInterval?: number
    /** The longest wait for a group to fill; 0. */
    readonly maxDelayMs?: number
    /** After this idle time a marker proves the last group durable; 100; 0: off. */
    readonly idleMarkerMs?: number
    /** Refuse to open if less than these positions is recovered. */
    readonly minDurable?: readonly { readonly shard: number; readonly lsn: number }[]
    /** Bytes accepted and not yet answered, per shard; 16 MiB. */
    readonly queueBytes?: number
    /** Commands accepted and not yet answered, per shard; 65,536. */
    readonly queueCommands?: number
    /** The unit that a power cut may tear; 512, or 4096 for disks without powersafe overwrite. */
    readonly sectorBytes?: number
    /**
     * A commitment to each group of the log, so that any write in it can be proven later; with a
     * key, an Ed25519 private key in PEM, each is signed. False.
     */
    readonly commitments?: boolean | { readonly key: string }
  }
  readonly admission?: {
    /**
     * Accepted and not yet answered, over all shards; 64 MiB and 262,144 commands. Beyond, writes
     * wait or get `BUSY`.
     */
    readonly bytes?: number
    readonly commands?: number
  }
  readonly blobs?: {
    /**
     * Values of this size or more are stored outside the log; 256 KiB. 0: values of any size stay
     * in frames, and blobs can still be read.
     */
    readonly threshold?: number
    /** Size of a blob segment; 256 MiB. */
    readonly segmentBytes?: number
    /**
     * An unreferenced blob is kept for `graceMs` and swept every `sweepMs`: 600,000 ms both;
     * `sweepMs` 0: never.
     */
    readonly graceMs?: number
    readonly sweepMs?: number
  }
  readonly batcher?: {
    /**
     * How long the writes of a namespace may wait for each other, in ms from 1 to 10,000; none.
     * Changeable while it runs.
     */
    readonly windows?: Readonly<Record<string, number>>
    /** The largest group of writes: 10,000 commands, 4 MiB. A larger write goes alone. */
    readonly maxCommands?: number
    readonly maxBytes?: number
  }
  readonly overlay?: {
    /**
     * Committed and not yet projected, in memory; 64 MiB and 2,000,000 keys. Beyond, writes wait or
     * get `BUSY`.
     */
    readonly bytes?: number
    readonly keys?: number
    /** The time that a projected row stays in memory while there is room; 0. */
    readonly hotTtlMs?: number
  }
  readonly lmdb?: {
    /**
     * When the projection is flushed: gather for 50, wait for 20 of quiet, at most 250, or 25,000
     * operations.
     */
    readonly intervalMs?: number
    readonly quietMs?: number
    readonly maxLagMs?: number
    readonly maxOps?: number
    /** The outbox; beyond it the log is read: 65,536 frames, 16 MiB. */
    readonly ringSlots?: number
    readonly ringBytes?: number
    /**
     * How far the projection may be behind, in bytes of log; 256 MiB. Beyond, writes wait or get
     * `BUSY`. A start after a crash reads about this much.
     */
    readonly lagBytesMax?: number
    /**
     * The greatest memory map of a shard's projection, in bytes; 1 TiB. It begins with 1 GiB or four
     * times the file, and costs address space. Beyond, the projection stands still (`NO_SPACE`).
     */
    readonly mapBytes?: number
    /**
     * The most rows of one transaction and the bytes of their values: 10,000, 4 MiB. A frame that is
     * larger goes alone.
     */
    readonly chunkRows?: number
    readonly chunkBytes?: number
    /** The operations of `enqueue` that wait for the projection, and their bytes: 100,000, 16 MiB. */
    readonly enqueueOps?: number
    readonly enqueueBytes?: number
  }
  /**
   * Projections by users, as `projection`, `history` and `countsByNamespace` make them. One that is
   * left out stands still, and is built anew when it comes back.
   */
  readonly projections?: readonly Projection[]
  /** Replicas that follow the logs: see `keelson/postgres`. None. */
  readonly replication?: readonly ReplicationOptions[]
  readonly snapshot?: {
    /**
     * A snapshot is made when the log since the last one exceeds `minLogBytes` (256 MiB) and `ratio`
     * (1) times the size of that one. Then the log before it is given back.
     */
    readonly minLogBytes?: number
    readonly ratio?: number
    /** How many snapshots are kept; 1, up to 8. */
    readonly keep?: number
    /** How fast one is written; by default half of what the disk gives. */
    readonly bytesPerSecond?: number
    /**
     * How far the projection's file may grow while one is made; 1 GiB. Beyond, it is given up and
     * tried again without a limit of its speed.
     */
    readonly pinnedBytesMax?: number
  }
  readonly retention?: {
    /**
     * How much of the log is kept although snapshots replace it: bytes, or a time such as `'7d'`,
     * `'12h'`, `'30m'`, `'45s'`; with a snapshot below it. Nothing.
     */
    readonly log?: number | string
  }
  readonly journal?: {
    /** `'required'`: appends are refused until `journal.replay` has ended once; `'optional'`. */
    readonly replay?: 'optional' | 'required'
    /** What keeps entries in the log: saved states and readers (`'states'`), or `'readers'`. */
    readonly retention?: 'states' | 'readers'
    /** The most log that is kept for the journal alone: beyond, appends are `BUSY`; 1 GiB. */
    readonly maxHeldBytes?: number
  }
  /** The most user messages in a mailbox of the user's tree; 100,000. */
  readonly mailboxMax?: number
  /**
   * Whether `keelson attach` may open prompts on the instance, over the socket `attach.sock` in the
   * data folder, which only its owner may use; false. `keelson run`: true.
   */
  readonly attach?: boolean
  /**
   * The user's own supervision tree: `supervisor('app', …)` of `keelson`. False: the store alone.
   * No actor of the user's runs, no alarm fires, and no replica is written.
   */
  readonly app?: AppTree | false
  /**
   * True: a restored or salvaged folder acts from here on. Without it `start` refuses such a
   * folder, unless `app` is false. False.
   */
  readonly acts?: boolean
  /** Called with each step of the start, in order. */
  readonly onProgress?: (progress: StartProgress) => void
}

/** A step of starting. */
export type StartProgress = {
  readonly step: 'locked' | 'created' | 'inspected' | 'recovering' | 'open' | 'down'
  readonly shard?: number
  readonly detail?: string
  /** How far the shard's projection is rebuilt. */
  readonly recovery?: RecoveryProgress
}

/** Checked options with all defaults. */
export type CheckedOptions = {
  readonly dir: string
  readonly instance: string
  readonly system: System | undefined
  readonly logger: Logger | undefined
  /** `undefined`: that of the folder. */
  readonly shards: number | undefined
  readonly allowDown: boolean
  readonly settings: Settings
  readonly minDurable: ReadonlyMap<number, number>
  readonly replication: readonly FollowerTerms[]
  readonly mailboxMax: number
  readonly attach: boolean
  readonly app: AppTree | undefined
  /** Nothing acts: `app: false`. */
  readonly isStoreAlone: boolean
  readonly acts: boolean
  readonly onProgress: (progress: StartProgress) => void
}

type NumberRule = {
  readonly kind: 'number'
  readonly min: number
  readonly max: number
  readonly whole: boolean
}

type Rule =
  | NumberRule
  | { readonly kind: 'boolean' | 'string' | 'function' | 'any' }
  | { readonly kind: 'word'; readonly words: readonly unknown[] }
  | { readonly kind: 'object'; readonly rules: Record<string, Rule> }

const MiB = 1024 * 1024
const day = 86_400_000

const count = (min: number, max = Number.MAX_SAFE_INTEGER): Rule => ({
  kind: 'number',
  min,
  max,
  whole: true,
})
const time = (min: number, max = 365 * day): Rule => ({ kind: 'number', min, max, whole: false })
const object = (rules: Record<string, Rule>): Rule => ({ kind: 'object', rules })
const word = (...words: readonly string[]): Rule => ({ kind: 'word', words })
const any: Rule = { kind: 'any' }
const flag: Rule = { kind: 'boolean' }

const rules: Record<string, Rule> = {
  dir: { kind: 'string' },
  instance: { kind: 'string' },
  system: any,
  logger: any,
  shards: count(1, 1_024),
  allowDown: flag,
  deadlineMs: time(1),
  wal: object({
    maxFileSize: count(MiB / 8, 1_024 * MiB),
    enableFsync: flag,
    syncInterval: time(0),
    maxDelayMs: time(0, 60_000),
    idleMarkerMs: time(0),
    minDurable: any,
    queueBytes: count(256),
    queueCommands: count(1),
    sectorBytes: count(512, 4_096),
    commitments: any,
  }),
  admission: { kind: 'object', rules: { bytes: count(256), commands: count(1) } },
  blobs: object({
    threshold: count(0, 1_024 * MiB),
    segmentBytes: count(4_096, 1_024 * 1_024 * MiB),
    graceMs: time(0),
    sweepMs: time(0),
  }),
  batcher: object({ windows: any, maxCommands: count(1, 65_535), maxBytes: count(256) }),
  overlay: object({ bytes: count(1_024), keys: count(1), hotTtlMs: time(0) }),
  lmdb: object({
    intervalMs: time(0),
    quietMs: time(0),
    maxLagMs: time(0),
    maxOps: count(1),
    ringSlots: count(1, 2 ** 24),
    ringBytes: count(1_024),
    lagBytesMax: count(1_024),
    mapBytes: count(MiB),
    chunkRows: count(1),
    chunkBytes: count(1_024),
    enqueueOps: count(1),
    enqueueBytes: count(1_024),
  }),
  projections: any,
  replication: any,
  snapshot: object({
    minLogBytes: count(1),
    ratio: { kind: 'number', min: 0, max: 1_000, whole: false },
    keep: count(1, 8),
    bytesPerSecond: count(1),
    pinnedBytesMax: count(MiB / 16),
  }),
  retention: { kind: 'object', rules: { log: any } },
  journal: object({
    replay: word('optional', 'required'),
    retention: word('states', 'readers'),
    maxHeldBytes: count(1),
  }),
  mailboxMax: count(1),
  attach: flag,
  app: any,
  acts: flag,
  onProgress: { kind: 'function' },
}

/** @throws KeelsonError `CONFIG` with `details.path`, `expected` and `found` */
export const checkStartOptions = (options: StartOptions): CheckedOptions => {
  checkObject('options', options, rules, '')
  const { dir, instance = 'default', wal = {}, overlay = {}, lmdb = {} } = options
  const { admission = {}, batcher = {}, blobs = {}, snapshot = {} } = options
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0'))
    throw configError('dir', 'the path of a folder', dir)
  if (options.system !== undefined && typeof options.system?.whereis !== 'function')
    throw configError('system', 'a System, as createSystem makes it', options.system)
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(instance))
    throw configError('instance', '1 to 64 letters, digits, _, . or -', instance)
  if (wal.sectorBytes !== undefined && wal.sectorBytes !== 512 && wal.sectorBytes !== 4096)
    throw configError('wal.sectorBytes', '512 or 4096', wal.sectorBytes)
  if (options.acts === true && options.app === false)
    throw configError('acts', 'false: with app: false nothing acts', true)
  const { syncInterval } = wal
  return {
    dir,
    instance,
    system: options.system,
    logger: checkLogger(options),
    shards: options.shards,
    allowDown: options.allowDown ?? false,
    minDurable: checkMinDurable(wal.minDurable),
    replication: checkReplication(options.replication),
    mailboxMax: options.mailboxMax ?? 100_000,
    attach: options.attach ?? false,
    app: options.app === undefined || options.app === false ? undefined : checkAppTree(options.app),
    isStoreAlone: options.app === false,
    acts: options.acts ?? false,
    onProgress: harmless(options.onProgress ?? (() => undefined)),
    settings: {
      journal: {
        replay: options.journal?.replay ?? 'optional',
        retention: options.journal?.retention ?? 'states',
        maxHeldBytes: options.journal?.maxHeldBytes ?? 1024 * MiB,
      },
      projections: checkProjections(options.projections),
      deadlineMs: options.deadlineMs ?? 30_000,
      wal: {
        maxFileSize: wal.maxFileSize ?? 16 * MiB,
        enableFsync: wal.enableFsync ?? true,
        syncInterval: syncInterval === undefined ? undefined : Math.max(10, syncInterval),
        maxDelayMs: wal.maxDelayMs ?? 0,
        idleMarkerMs: wal.idleMarkerMs ?? 100,
        queueBytes: wal.queueBytes ?? 16 * MiB,
        queueCommands: wal.queueCommands ?? 65_536,
        sectorBytes: wal.sectorBytes ?? 512,
        commitments: checkCommitments('wal.commitments', wal.commitments),
      },
      admission: { bytes: admission.bytes ?? 64 * MiB, commands: admission.commands ?? 262_144 },
      blobs: {
        threshold: blobs.threshold ?? 256 * 1_024,
        segmentBytes: blobs.segmentBytes ?? 256 * MiB,
        graceMs: blobs.graceMs ?? 600_000,
        sweepMs: blobs.sweepMs ?? 600_000,
      },
      batcher: {
        windows: checkWindows(batcher.windows),
        maxCommands: batcher.maxCommands ?? 10_000,
        maxBytes: batcher.maxBytes ?? 4 * MiB,
      },
      overlay: {
        bytes: overlay.bytes ?? 64 * MiB,
        keys: overlay.keys ?? 2_000_000,
        hotTtlMs: overlay.hotTtlMs ?? 0,
      },
      lmdb: {
        intervalMs: lmdb.intervalMs ?? 50,
        quietMs: lmdb.quietMs ?? 20,
        maxLagMs: lmdb.maxLagMs ?? 250,
        maxOps: lmdb.maxOps ?? 25_000,
        ringSlots: lmdb.ringSlots ?? 65_536,
        ringBytes: lmdb.ringBytes ?? 16 * MiB,
        lagBytesMax: lmdb.lagBytesMax ?? 256 * MiB,
        mapBytes: lmdb.mapBytes ?? 1024 * 1024 * MiB,
        chunkRows: lmdb.chunkRows ?? 10_000,
        chunkBytes: lmdb.chunkBytes ?? 4 * MiB,
        enqueueOps: lmdb.enqueueOps ?? 100_000,
        enqueueBytes: lmdb.enqueueBytes ?? 16 * MiB,
      },
      snapshot: {
        minLogBytes: snapshot.minLogBytes ?? 256 * MiB,
        ratio: snapshot.ratio ?? 1,
        keep: snapshot.keep ?? 1,
        bytesPerSecond: snapshot.bytesPerSecond,
        pinnedBytesMax: snapshot.pinnedBytesMax ?? 1_024 * MiB,
      },
      retention: checkRetention(options.retention?.log),
    },
  }
}

const checkLogger = ({ logger, system }: StartOptions): Logger | undefined => {
  if (logger === undefined) return undefined
  if (system !== undefined) throw configError('logger', 'absent: the System has its own', logger)
  const { error, warn, info } = (logger ?? {}) as Partial<Logger>
  if (![error, warn, info].every((log) => typeof log === 'function'))
    throw configError('logger', 'an object with the functions error, warn and info', logger)
  return logger
}

const checkObject = (
  name: string,
  found: unknown,
  allowed: Record<string, Rule>,
  prefix: string,
): void => {
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw configError(name, 'an object', found)
  for (const [option, value] of Object.entries(found)) {
    const path = prefix + option
    const rule = Object.hasOwn(allowed, option) ? allowed[option] : undefined
    if (!rule) throw unknownOption('CONFIG', path, Object.keys(allowed))
    if (value !== undefined) checkValue(path, value, rule)
  }
}

const checkValue = (path: string, value: unknown, rule: Rule): void => {
  if (rule.kind === 'object') checkObject(path, value, rule.rules, `${path}.`)
  else if (rule.kind === 'number') checkNumber(path, value, rule)
  else if (rule.kind === 'word') {
    if (!rule.words.includes(value)) throw configError(path, rule.words.join(' or '), value)
  } else if (rule.kind !== 'any' && typeof value !== rule.kind)
    throw configError(path, `a ${rule.kind}`, value)
}

const checkNumber = (path: string, value: unknown, { min, max, whole }: NumberRule): void => {
  const right = typeof value === 'number' && value >= min && value <= max
  if (!right || (whole && !Number.isSafeInteger(value)))
    throw configError(path, `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`, value)
}

/** A throw of the user's callback must not stop a start in the middle. */
const harmless =
  (onProgress: NonNullable<StartOptions['onProgress']>) =>
  (progress: StartProgress): void => {
    try {
      onProgress(progress)
    } catch {
      // Ignored.
    }
  }
