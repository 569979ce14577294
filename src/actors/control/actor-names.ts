/**
 * The actors of an instance, for its users: their names, and the messages that a user may send. All
 * else that they understand is between them and not part of the package. `sys` works on each of
 * them. This file loads none of their code.
 */
import type { Name } from '../../runtime/index.ts'
import type { Messages as OfBlobStore } from '../blobs/blob-store.ts'
import { instanceName, type ShardName, shardName } from '../core/shard-name.ts'
import type { Messages as OfWalWriter } from '../log/wal-writer.ts'
import type { Messages as OfApplier } from '../projection/applier.ts'
import type { Messages as OfLmdbWriter } from '../projection/lmdb-writer.ts'
import type { Messages as OfSnapshotter } from '../snapshots/snapshotter.ts'
import type { Messages as OfBatcher } from '../writing/batcher.ts'
import type { Messages as OfControl } from './control.ts'

/** Some of the calls of an actor. */
type Offered<M extends { calls: object }, Calls extends keyof M['calls']> = {
  calls: Pick<M['calls'], Calls>
}

/** Of an actor that takes no message of a user. */
type Nothing = Record<never, never>

/** The calls of `blob_store(shard)`. */
export type BlobStoreMessages = Offered<OfBlobStore, 'sweep' | 'describe'>
/** The calls of `wal_writer(shard)`. */
export type WalWriterMessages = Offered<OfWalWriter, 'sync' | 'settled' | 'describe'>
/** The calls of `applier(shard)`. */
export type ApplierMessages = Offered<OfApplier, 'describe'>
/** The calls of `batcher(shard)`. */
export type BatcherMessages = Offered<OfBatcher, 'flush' | 'stop' | 'describe'>
/** The calls of `lmdb_writer(shard)`. */
export type LmdbWriterMessages = Offered<OfLmdbWriter, 'flush' | 'request' | 'discard' | 'describe'>
/** The calls of `snapshotter(shard)`. */
export type SnapshotterMessages = Offered<OfSnapshotter, 'snapshot' | 'describe'>
/** The calls of `control`. */
export type ControlMessages = Offered<OfControl, keyof OfControl['calls']>

/** Large values: `BlobStore.name(shard)`. */
export const BlobStore = { name: shardName<BlobStoreMessages>('blob_store') }
/** The log: `WalWriter.name(shard)`. */
export const WalWriter = { name: shardName<WalWriterMessages>('wal_writer') }
/** Applies committed frames: `Applier.name(shard)`. */
export const Applier = { name: shardName<ApplierMessages>('applier') }
/** Windows of writes: `Batcher.name(shard)`. */
export const Batcher = { name: shardName<BatcherMessages>('batcher') }
/** Drives subscriptions: `JournalActor.name(shard)`. It takes no message of a user. */
export const JournalActor = { name: shardName<Nothing>('journal') }
/** The projection: `LmdbWriter.name(shard)`. */
export const LmdbWriter = { name: shardName<LmdbWriterMessages>('lmdb_writer') }
/** Removes expired rows: `Expirer.name(shard)`. It takes no message of a user. */
export const Expirer = { name: shardName<Nothing>('expirer') }
/** Wakes durable actors: `Alarms.name(shard)`. It takes no message of a user. */
export const Alarms = { name: shardName<Nothing>('alarms') }
/** Snapshots: `Snapshotter.name(shard)`. */
export const Snapshotter = { name: shardName<SnapshotterMessages>('snapshotter') }

/** Requests to many shards: `Control.name()`, or `Control.name(instance)`. */
export const Control = {
  name: (instance?: string): Name<ControlMessages> => instanceName('control', instance),
}

/**
 * Sends to the replica with this place in the options, from 0: `Replicator.name(place)`. It takes no
 * message of a user.
 */
export const Replicator: { readonly name: ShardName<Nothing> } = {
  name: (instanceOrPlace: string | number, place?: number) =>
    place === undefined
      ? instanceName(`replicator(${instanceOrPlace})`)
      : instanceName(`replicator(${place})`, String(instanceOrPlace)),
}
