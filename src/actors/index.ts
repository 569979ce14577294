/** What other folders may use of the durable actors. */

export { Admission } from './admission.ts'
export { Allowance } from './allowance.ts'
export * as Applier from './applier.ts'
export { invalidArgument } from './argument-check.ts'
export { Batch } from './batch.ts'
export * as Batcher from './batcher.ts'
export { BatcherHandle } from './batcher-handle.ts'
export * as BlobStore from './blob-store.ts'
export * as Control from './control.ts'
export {
  ControlHandle,
  type ControlOptions,
  type ResumeOptions,
  type SuspendOptions,
} from './control-handle.ts'
export * as Expirer from './expirer.ts'
export * as LmdbWriter from './lmdb-writer.ts'
export type { RangeOptions } from './range-query.ts'
export { levelOf, type Settings } from './settings.ts'
export { reasonText, Shard, type ShardPhase, type Suspension } from './shard.ts'
export { defaultInstance, instanceName, shardName } from './shard-name.ts'
export { type ShardFacts, type StorageEvents, tell } from './storage-events.ts'
export { Store } from './store.ts'
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
} from './store-answers.ts'
export type { Pairs } from './store-commands.ts'
export type { RangePage, StoreEntry } from './store-reader.ts'
export type { ByteSource } from './stream-source.ts'
export { Compound } from './value-reading.ts'
export type { StreamedIn } from './value-streams.ts'
export * as WalWriter from './wal-writer.ts'
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
} from './write-options.ts'
export { flushWindows, type PauseTerms, pauseWrites, type WritePause } from './write-pause.ts'
export {
  isWindow,
  namespaceFault,
  WriteWindows,
  windowMsMax,
  windowsMax,
} from './write-windows.ts'
