/**
 * `context.app` of the user's processes: the parts of their instance. The type is the runtime's, so
 * that every `context` has it; its fields are declared here. The caller of `start` has the same
 * parts with an access of their own, which ends first. The health of an instance is here too.
 */

import {
  type Access,
  type ActorsHealth,
  actorsHealth,
  type BackupOptions,
  type BackupParts,
  type BackupReport,
  BatcherHandle,
  BlobsHandle,
  backUp,
  ControlHandle,
  type DerivedHealth,
  deleteWorker,
  type Entities,
  EntityHandle,
  type EntityKind,
  type Fields,
  type Follower,
  type FollowerHealth,
  Journal,
  type JournalHealth,
  LmdbWriterHandle,
  levelOf,
  type Member,
  type Members,
  type OwnerQuestions,
  type PastOptions,
  type PastPage,
  type ProjectionHealth,
  type ProjectionStatus,
  ProjectionView,
  projectionStatus,
  type RecoveryProgress,
  type ShardPhase,
  type SnapshotHealth,
  type Some,
  type SpaceHealth,
  type StateChange,
  Store,
  type StoreRoutes,
  shardAt,
  some,
  startDurableWorker,
  startKind,
  unblockWorker,
  WalHandle,
  type WriteWindows,
  workerDiff,
  workerHistory,
} from '../../actors/index.ts'
import { configError, invalidArgument, isKeelsonError, reasonText } from '../../errors.ts'
import {
  type AppContext,
  type Ref,
  type Registry,
  type System,
  summaryOf,
} from '../../runtime/index.ts'
import type { Readiness } from '../tree/readiness.ts'
import type { Shard } from '../tree/shard.ts'
import { type DurableActors, durableActors } from '../users-tree/durable-parts.ts'
import type { ClusterHealth } from './cluster-health.ts'
import type { CrashLoop, CrashLoops } from './crash-loops.ts'

/** The key of the parts of an instance in its handles, which is for the project's own code. */
export const innerParts = Symbol('inner parts')

declare module '../../runtime/words/app-context.ts' {
  interface AppContext {
    readonly store: Store
    /** The journal of shard 0, and by `on` that of another shard. */
    readonly journal: Journal
    readonly control: ControlHandle
    /** The windows in which writes of a namespace form a group, and commands as data. */
    readonly batcher: BatcherHandle
    /** Large values of commands, before their write. */
    readonly blobs: BlobsHandle
    /** The log of a shard. @throws KeelsonError `INVALID_ARGUMENT` */
    wal(shard: number): WalHandle
    /** The projection of a shard. @throws KeelsonError `INVALID_ARGUMENT` */
    lmdbWriter(shard: number): LmdbWriterHandle
    /**
     * A projection of the configuration. @throws KeelsonError `INVALID_ARGUMENT` for another name
     */
    projection<T = unknown>(name: string): ProjectionView<T>
    /** The instance's Registry with unique keys. */
    readonly registry: Registry.Handle
    /**
     * A kind of entities that runs in the tree, by what `entity` made, or by its name.
     * @throws KeelsonError `INVALID_ARGUMENT` for any other; `NO_PROCESS` for one that is not there yet,
     * while the tree starts
     */
    entity<M = unknown, S = unknown, F = Fields>(
      kind: EntityKind<M, S, F> | string,
    ): EntityHandle<M, S, F>
    /**
     * Removes the rows of a durable worker that is out of the tree: state, alarms and remembered
     * calls. A worker of that name begins without state. False: it has none.
     * @throws KeelsonError `CONFLICT` while a process has the name; `INVALID_ARGUMENT`,
     * `SHARD_DOWN`, `NO_SPACE`, `UNKNOWN_OUTCOME`, `CLOSED`
     */
    deleteWorker(name: string): Promise<boolean>
    /**
     * Lets the parked steps and alarms of a durable worker run again, with all their tries. Answers
     * when that is durable. False: it has none. `health()` lists what is parked.
     * @throws KeelsonError `INVALID_ARGUMENT`, `NO_PROCESS`, `BLOCKED`, `TIMEOUT`, `NO_SPACE`,
     * `SHARD_DOWN`, `CLOSED`
     */
    unblockWorker(name: string): Promise<boolean>
    /**
     * The turns of a durable worker that took effect, the newest first, as `history` of
     * `entity(kind)` gives those of an entity. Without turns: no worker of that name had any.
     * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`
     */
    workerHistory(name: string, options?: PastOptions): Promise<PastPage>
    /**
     * The differences between the states of a durable worker as of two LSNs, at most 100.
     * @throws KeelsonError as `workerHistory`
     */
    workerDiff(
      name: string,
      lsn: number,
      lsn2: number,
      options?: Pick<PastOptions, 'reveal'>,
    ): Promise<readonly StateChange[]>
    /**
     * @internal Another member of the folder, or this one: `member('b').ref('mailer')` leads to the
     * process of that name there. @throws KeelsonError `INVALID_ARGUMENT`; `CONFIG` without members
     */
    member(name: string): Member
    /** The present health of the instance; `shards` has an item for each of its shards. */
    health(): Health
    /**
     * Makes a backup in the folder `dir`, or brings the one there up to date: then only the new
     * parts are written. Everything is verified, the old parts too. Reads and writes go on;
     * snapshots wait until it has ended, and the log grows. `keelson restore` makes a data folder
     * of it, as of the LSN of each shard or an earlier one. If it rejects, the backup that was
     * there can still be restored.
     * @throws KeelsonError `CONFLICT` for a folder with anything else, or of another instance;
     * `LOCKED_DIR` while another backup is made there; `CORRUPT` if something is damaged, with its
     * file; `DEGRADED` if a shard has no sound snapshot at present; `NO_SPACE`, `READ_ONLY`,
     * `SHARD_DOWN`, `TIMEOUT` (`consistent` alone), `CLOSED`, `INVALID_ARGUMENT`
     */
    backup(dir: string, options?: BackupOptions): Promise<BackupReport>
    /** @internal */
    readonly [durableActors]: DurableActors
    /** @internal */
    readonly [innerParts]: InstanceParts
  }
}

export type { AppContext }

/** The health of one shard. */
export type ShardHealth = {
  readonly shard: number
  readonly phase: ShardPhase['kind']
  /** Why it is down. */
  readonly reason: string | undefined
  readonly appliedLsn: number
  readonly projectedLsn: number
  /** The bytes of the log that are applied and not projected. */
  readonly lagBytes: number
  /** How far the projection is rebuilt, while the shard recovers; `undefined` otherwise. */
  readonly recovery: RecoveryProgress | undefined
  readonly suspended: boolean
  /** The holders of its suspensions: a process, or `the app` for its holder. */
  readonly suspendedBy: readonly string[]
  /** Space on its disk: free, needed, and whether writes are refused for want of it. */
  readonly space: SpaceHealth
  /** Its snapshots: the last one, the log since, the next one, the last failure. */
  readonly snapshot: SnapshotHealth
  /** The writer of its projection: whether it makes progress, and why not. */
  readonly projection: ProjectionHealth
  /** Rows that actors derive from the log: what waits, and what was lost. */
  readonly derived: DerivedHealth
  /** Its journal: subscriptions, saved states, and the log that is kept for them. */
  readonly journal: JournalHealth
  /**
   * How far the shard's time is ahead of the machine's clock, because that was set; negative: behind.
   * See `control.acceptClock`.
   */
  readonly clockAheadMs: number
  readonly writes: { readonly entered: number; readonly bytes: number; readonly waiting: number }
}

/**
 * The health of an instance. `durable` is false when its options say so: then an acknowledgement
 * does not mean that data are on disk.
 */
export type Health = {
  readonly durable: boolean
  readonly shards: readonly ShardHealth[]
  /** The durable actors that have trouble: that wait for space, fail, are blocked or overdue. */
  readonly actors: ActorsHealth
  /** The children of supervisors, and entities, that failed three times or more in the last minute. */
  readonly crashing: Some<CrashLoop>
  /** The projections of the configuration, each in the shards that are open. */
  readonly projections: readonly {
    readonly name: string
    readonly shards: readonly ProjectionStatus[]
  }[]
  /** The replicas of the configuration, each with every shard. */
  readonly replication: readonly FollowerHealth[]
  /** The member in its cluster; `undefined` for an instance of one machine. */
  readonly cluster: ClusterHealth | undefined
  /**
   * The health of parts of the user's tree that report it, by their names: `flow` for workflows. It
   * is `{ unknown }` with a reason while a part cannot be read, as its shard is down or unsure.
   */
  readonly parts: Readonly<Record<string, unknown>>
}

/** The parts from which the handles of an instance are made. */
export type InstanceParts = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly Shard[]
  readonly windows: WriteWindows
  readonly registry: Registry.Handle
  readonly entities: Entities
  readonly followers: readonly Follower[]
  readonly backups: BackupParts
  readonly readiness: Readiness
  readonly crashLoops: CrashLoops
  /** The other members of a folder, and the owner of each shard. */
  readonly members: Members | undefined
  /** The way of the store to shards that they have. */
  readonly routes: StoreRoutes | undefined
  /** Questions to them, and the answers to theirs. */
  readonly questions: OwnerQuestions | undefined
  readonly cluster: (() => ClusterHealth) | undefined
  /** Aborted when the instance closes. */
  readonly ending: AbortSignal
  /** Of calls without a deadline of their own, in ms. */
  readonly deadlineMs: number
}

/** Handles of an instance whose calls are taken until `access` ends. */
export const appContext = (all: InstanceParts, access: Access): AppContext => {
  const { system, instance, shards, windows, registry, entities, ...parts } = all
  return {
    instance,
    store: new Store(system, shards, access, parts.routes),
    journal: new Journal(system, shards, access),
    control: new ControlHandle({ system, instance, shards, access, deadlineMs: parts.deadlineMs }),
    batcher: new BatcherHandle(system, shards, windows, parts.deadlineMs, access),
    blobs: new BlobsHandle(system, shards, access),
    projection: (name) => new ProjectionView(system, shards, name, parts.deadlineMs, access),
    wal: (shard) => new WalHandle(system, shardAt(shards, shard), access),
    lmdbWriter: (shard) => new LmdbWriterHandle(system, shardAt(shards, shard), access),
    registry,
    entity: (kind) => new EntityHandle(entities, idOf(kind), access),
    deleteWorker: (name) => deleteWorker(entities, access, name),
    unblockWorker: (name) => unblockWorker(entities, access, name),
    workerHistory: (name, options) => workerHistory(entities, access, name, options),
    workerDiff: (name, lsn, lsn2, options) =>
      workerDiff(entities, access, name, [lsn, lsn2], options),
    member: (name) => {
      if (parts.members) return parts.members.at(name)
      throw configError('cluster', 'a member of a folder', undefined)
    },
    health: () => healthOf(all),
    backup: async (dir, options = {}) => {
      access.check()
      return backUp(parts.backups, dir, options)
    },
    [durableActors]: {
      ...{ entities, startKind, startDurableWorker },
      entityIn: (kind, shards) => new EntityHandle(entities, kind, access, shards),
    },
    [innerParts]: all,
  }
}

const idOf = (kind: { readonly id: string } | string): string => {
  const id: unknown = typeof kind === 'string' ? kind : kind?.id
  if (typeof id === 'string') return id
  throw invalidArgument('kind', 'a kind, or its name', kind)
}

/** The health of the instance with these parts. */
const healthOf = (all: InstanceParts): Health => {
  const { system, shards, entities, followers, crashLoops, cluster } = all
  const [first] = shards
  const now = system.clock.monotonic()
  return {
    durable: first !== undefined && levelOf(first.parts.settings) === 'durable',
    shards: shards.map(shardHealth),
    actors: actorsHealth(entities),
    crashing: some(crashLoops.all),
    projections: (first?.parts.settings.projections ?? []).map(({ name }) => ({
      name,
      shards: projectionStatus(shards, name),
    })),
    replication: followers.map((follower) => follower.health(now)),
    cluster: cluster?.(),
    parts: Object.fromEntries([...entities.reports].map(([name, of]) => [name, partHealth(of)])),
  }
}

/** A part that cannot be read now says why: the health is asked for when something is wrong. */
const partHealth = (report: () => unknown): unknown => {
  try {
    return report()
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return { unknown: reasonText(error) }
  }
}

const holderText = (owner: Ref | undefined): string => {
  if (owner === undefined) return 'the app'
  const { label, name } = summaryOf(owner) ?? {}
  return `${label ?? name ?? ''} ${owner}`.trim()
}

const shardHealth = (shard: Shard): ShardHealth => ({
  shard: shard.index,
  phase: shard.phase.kind,
  reason: shard.phase.kind === 'down' ? reasonText(shard.phase.reason) : undefined,
  appliedLsn: shard.appliedLsn,
  projectedLsn: shard.projectedLsn,
  lagBytes: shard.lagBytes,
  recovery: shard.recovery.present,
  suspended: shard.suspensions.byToken.size > 0,
  suspendedBy: [...shard.suspensions.byToken.values()].map(({ owner }) => holderText(owner)),
  space: shard.space.health,
  snapshot: shard.snapshots.health,
  projection: shard.projection.health,
  derived: shard.derived.health,
  journal: shard.journal.health,
  clockAheadMs: shard.time.aheadMs,
  writes: shard.gate.load,
})
