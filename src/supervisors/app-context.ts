/**
 * `context.app` of the user's processes: the parts of their instance. The type is the runtime's, so
 * that every `context` has it; its fields are declared here. The caller of `start` has the same
 * parts with an access of their own, which ends first.
 */
import {
  type Access,
  BatcherHandle,
  ControlHandle,
  deleteWorker,
  type Entities,
  EntityHandle,
  type EntityKind,
  type Fields,
  Journal,
  LmdbWriterHandle,
  ProjectionView,
  type Shard,
  Store,
  shardAt,
  startDurableWorker,
  startKind,
  type WriteWindows,
} from '../actors/index.ts'
import { invalidArgument } from '../errors.ts'
import type { AppContext, Registry, System } from '../runtime/index.ts'
import { type DurableActors, durableActors } from './durable-parts.ts'

declare module '../runtime/words/app-context.ts' {
  interface AppContext {
    readonly store: Store
    /** The journal of shard 0, and by `on` that of another shard. */
    readonly journal: Journal
    readonly control: ControlHandle
    /** The windows in which writes of a namespace form a group, and commands as data. */
    readonly batcher: BatcherHandle
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
     * @throws KeelsonError `INVALID_ARGUMENT` for any other
     */
    entity<M = unknown, S = unknown, F = Fields>(
      kind: EntityKind<M, S, F> | string,
    ): EntityHandle<M, S, F>
    /**
     * Removes the rows of a durable worker that is out of the tree: state, alarms and remembered
     * calls. A worker of that name begins anew. False: it has none.
     * @throws KeelsonError `CONFLICT` while a process has the name; `INVALID_ARGUMENT`,
     * `SHARD_DOWN`, `NO_SPACE`, `UNKNOWN_OUTCOME`, `CLOSED`
     */
    deleteWorker(name: string): Promise<boolean>
    /** @internal */
    readonly [durableActors]: DurableActors
  }
}

export type { AppContext }

/** What the handles of an instance are made from. */
export type InstanceParts = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly Shard[]
  readonly windows: WriteWindows
  readonly registry: Registry.Handle
  readonly entities: Entities
  /** Of calls without a deadline of their own, in ms. */
  readonly deadlineMs: number
}

/** Handles of an instance whose calls are taken until `access` ends. */
export const appContext = (
  { system, instance, shards, windows, registry, entities, deadlineMs }: InstanceParts,
  access: Access,
): AppContext => ({
  instance,
  store: new Store(system, shards, access),
  journal: new Journal(system, shards, access),
  control: new ControlHandle(system, instance, shards, deadlineMs, access),
  batcher: new BatcherHandle(system, shards, windows, deadlineMs, access),
  projection: (name) => new ProjectionView(system, shards, name, deadlineMs, access),
  lmdbWriter: (shard) => new LmdbWriterHandle(system, shardAt(shards, shard), access),
  registry,
  entity: (kind) => new EntityHandle(entities, idOf(kind), access),
  deleteWorker: (name) => deleteWorker(entities, access, name),
  [durableActors]: { entities, startKind, startDurableWorker },
})

const idOf = (kind: { readonly id: string } | string): string => {
  const id: unknown = typeof kind === 'string' ? kind : kind?.id
  if (typeof id === 'string') return id
  throw invalidArgument('kind', 'a kind, or its name', kind)
}
