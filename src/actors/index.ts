/** What other folders may use of the durable actors. */

export { Admission, Allowance } from './admission/allowance.ts'
export * as BlobStore from './blobs/blob-store.ts'
export { BatcherHandle } from './control/batcher-handle.ts'
export * as Control from './control/control.ts'
export {
  ControlHandle,
  type ControlOptions,
  type ResumeOptions,
  type SuspendOptions,
} from './control/control-handle.ts'
export {
  type PauseTerms,
  pauseWrites,
  type WritePause,
} from './control/write-pause.ts'
export { leaveNow } from './log/log-append.ts'
export * as WalWriter from './log/wal-writer.ts'
export * as Applier from './projection/applier.ts'
export * as LmdbWriter from './projection/lmdb-writer.ts'
export { levelOf, type Settings } from './shard/settings.ts'
export { Shard, type ShardPhase, type Suspension } from './shard/shard.ts'
export { defaultInstance, instanceName, shardName } from './shard/shard-name.ts'
export { type ShardFacts, type StorageEvents, tell } from './shard/storage-events.ts'
export {
  isWindow,
  namespaceFault,
  WriteWindows,
  windowMsMax,
  windowsMax,
} from './shard/write-windows.ts'
export { Batch } from './store/batch.ts'
export type { RangeOptions } from './store/range-query.ts'
export { Store } from './store/store.ts'
export type {
  BatchAnswer,
  CompareAnswer,
  CreatedAnswer,
  CreatedManyAnswer,
  DeletedAnswer,
  ExistedAnswer,
  LengthAnswer,
  NoAnswer,
  PreviousAnswer,
  ReleasedAnswer,
  RemovedAnswer,
  SetAnswer,
  UntilAnswer,
  Written,
  WrittenMany,
} from './store/store-answers.ts'
export type { Pairs } from './store/store-commands.ts'
export type { RangePage, StoreEntry } from './store/store-reader.ts'
export type { ByteSource } from './store/stream-source.ts'
export { Compound } from './store/value-reading.ts'
export type { StreamedIn } from './store/value-streams.ts'
export * as Batcher from './writing/batcher.ts'
export * as Expirer from './writing/expirer.ts'
export type {
  ClearOptions,
  ExpiryOptions,
  LockedPutOptions,
  LockOptions,
  LockTerms,
  OwnedWriteOptions,
  OwnerOption,
  PutOptions,
  PutTerms,
  SetOptions,
  SetTerms,
  StreamOptions,
  UnlockOptions,
  WriteOptions,
} from './writing/write-options.ts'
