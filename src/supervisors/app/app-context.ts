/**
 * `context.app` of the user's processes: the parts of their instance. The type is the runtime's, so
 * that every `context` has it; its fields are declared here. The caller of `start` has the same
 * parts with an access of their own, which ends first.
 */

import {
  type Access,
  type BackupOptions,
  type BackupParts,
  type BackupReport,
  BatcherHandle,
  BlobsHandle,
  backUp,
  ControlHandle,
  deleteWorker,
  EntityHandle,
  type EntityKind,
  type Fields,
  InstanceStreams,
  Journal,
  LmdbWriterHandle,
  type PastOptions,
  type PastPage,
  ProjectionView,
  type StateChange,
  Store,
  type StreamSource,
  Streams,
  shardAt,
  startDurableWorker,
  startKind,
  unblockWorker,
  WalHandle,
  type WriteWindows,
  workerDiff,
  workerHistory,
  workerStream,
} from '../../actors/index.ts'
import { aboveZero, argument, object, or } from '../../check.ts'
import { configError, invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { AppContext, Registry } from '../../runtime/index.ts'
import type { Readiness } from '../tree/readiness.ts'
import { type DurableActors, durableActors } from '../users-tree/durable-parts.ts'
import { type Health, type HealthParts, type RunningBuild, reportedHealth } from './health.ts'
import type { Member, MemberLinks } from './member-links.ts'
import { type HealthOfAll, healthOfAll } from './members-health.ts'

/** The key of the parts of an instance in its handles, which is for the project's own code. */
export const innerParts = Symbol('inner parts')

declare module '../../runtime/words/app-context.ts' {
  interface AppContext {
    /** Reads and writes by key, in all shards. */
    readonly store: Store
    /** The journal of shard 0, and by `on` that of another shard. */
    readonly journal: Journal
    /** Durable streams of messages that belong to no actor. */
    readonly streams: Streams
    /** Suspends, flushes, moves and reopens shards, and makes snapshots and backups. */
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
     * Another member of the instance, or this one: `member('b').ref('mailer')` leads to the process
     * of that name there. @throws KeelsonError `INVALID_ARGUMENT`; `CONFIG` without members
     */
    member(name: string): Member
    /**
     * A stream that turns of the durable worker of this name write, for its readers, as
     * `entity(kind).stream`. @throws KeelsonError `INVALID_ARGUMENT`
     */
    workerStream<T = unknown>(name: string, stream: string): StreamSource<T>
    /**
     * The present health of the instance; `shards` has an item for each of its shards. Of members that
     * share a folder it is that of this one: a shard at another member is `elsewhere`, and `members` has
     * the last report of each of the others. The call asks for the next reports.
     */
    health(): Health
    /**
     * The health of all members that share the folder, and of each shard as its owner says. It asks
     * them, and names one that does not answer within `timeoutMs`, 2,000 by default.
     * @throws KeelsonError `CLOSED`, `INVALID_ARGUMENT`
     */
    healthOfAll(options?: { readonly timeoutMs?: number }): Promise<HealthOfAll>
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

/** The parts from which the handles of an instance are made. */
export type InstanceParts = HealthParts & {
  readonly instance: string
  readonly windows: WriteWindows
  readonly registry: Registry.Handle
  readonly backups: BackupParts
  readonly readiness: Readiness
  /** The other members of a folder, and the owner of each shard. */
  readonly members: MemberLinks | undefined
  /** When this process began to start it, in ms since 1970. */
  readonly since: number
  /** The program that runs. */
  readonly runs: RunningBuild
  /** Aborted when the instance closes. */
  readonly ending: AbortSignal
  /** Of calls without a deadline of their own, in ms. */
  readonly deadlineMs: number
  /** The parts of which an instance has one, however often they are asked for, by their classes. */
  readonly kept: Map<unknown, unknown>
}

/** A member has 2,000 ms to answer about its health, unless it is given another time. */
const askOptions = object({ timeoutMs: or(aboveZero(), 2_000) })

/** Handles of an instance whose calls are taken until `access` ends. */
export const appContext = (all: InstanceParts, access: Access): AppContext => {
  const { system, instance, shards, windows, registry, entities, ...parts } = all
  return {
    instance,
    store: new Store(system, shards, access),
    journal: new Journal(system, shards, access),
    streams: new Streams(streamsOf(all), access),
    control: new ControlHandle({ system, instance, shards, access, deadlineMs: parts.deadlineMs }),
    batcher: new BatcherHandle(system, shards, windows, parts.deadlineMs, access),
    blobs: new BlobsHandle(system, shards, access),
    projection: (name) => new ProjectionView(system, shards, name, parts.deadlineMs, access),
    wal: (shard) => new WalHandle(system, shardAt(shards, shard), access),
    lmdbWriter: (shard) => new LmdbWriterHandle(system, shardAt(shards, shard), access),
    registry,
    entity: (kind) => new EntityHandle(entities, idOf(kind), access, () => streamsOf(all)),
    deleteWorker: (name) => deleteWorker(entities, access, name),
    unblockWorker: (name) => unblockWorker(entities, access, name),
    workerHistory: (name, options) => workerHistory(entities, access, name, options),
    workerDiff: (name, lsn, lsn2, options) =>
      workerDiff(entities, access, name, [lsn, lsn2], options),
    workerStream: (name, stream) => workerStream(streamsOf(all), access, name, stream),
    member: (name) => {
      if (parts.members) return parts.members.at(name)
      throw configError('cluster', 'a member of a folder', undefined)
    },
    health: () => reportedHealth(all),
    healthOfAll: async (options = noOptions) => {
      access.check()
      const { timeoutMs } = askOptions(options, argument('', 'a question'))
      return healthOfAll(all, timeoutMs)
    },
    backup: async (dir, options = noOptions) => {
      access.check()
      return backUp(parts.backups, dir, options)
    },
    [durableActors]: {
      entities,
      startKind,
      startDurableWorker,
      streams: () => streamsOf(all),
      entityIn: (kind, shards) =>
        new EntityHandle(entities, kind, access, () => streamsOf(all), shards),
    },
    [innerParts]: all,
  }
}

/** The streams of an instance, of which it has one. */
export const streamsOf = ({ system, shards, kept }: InstanceParts): InstanceStreams =>
  InstanceStreams.of(kept, () => new InstanceStreams(system, shards))

const idOf = (kind: { readonly id: string } | string): string => {
  const id: unknown = typeof kind === 'string' ? kind : kind?.id
  if (typeof id === 'string') return id
  throw invalidArgument('kind', 'a kind, or its name', kind)
}
