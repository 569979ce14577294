/** What other folders may use of the durable actors. */

export * as Applier from './applier.ts'
export { invalidArgument } from './argument-check.ts'
export * as Control from './control.ts'
export {
  ControlHandle,
  type ControlOptions,
  type ResumeOptions,
  type SuspendOptions,
} from './control-handle.ts'
export * as LmdbWriter from './lmdb-writer.ts'
export type { RangeOptions } from './range-query.ts'
export { levelOf, type Settings } from './settings.ts'
export { reasonText, Shard, type ShardPhase, type Suspension } from './shard.ts'
export { defaultInstance, instanceName, shardName } from './shard-name.ts'
export { type ShardFacts, type StorageEvents, tell } from './storage-events.ts'
export { type RangePage, Store, type StoreEntry, type Written } from './store.ts'
export * as WalWriter from './wal-writer.ts'
export type { PutOptions, WriteOptions } from './write-options.ts'
