/**
 * Keelson: OTP for Node.js with a durable storage tree inside. What this file exports is the public surface; where a name
 * stands both here and in `runtime`, the one here counts. Values come from the file that has them, not from the index of
 * its layer, and everything of the store comes from `start`: importing Keelson loads the runtime, and nothing of the storage.
 */
export type {
  Applier,
  Batch,
  BatchAnswer,
  Batcher,
  BatcherHandle,
  ByteSource,
  ClearOptions,
  CompareAnswer,
  Compound,
  Control,
  ControlHandle,
  ControlOptions,
  CreatedAnswer,
  CreatedManyAnswer,
  DeletedAnswer,
  ExistedAnswer,
  ExpiryOptions,
  LengthAnswer,
  LmdbWriter,
  LockedPutOptions,
  LockOptions,
  LockTerms,
  NoAnswer,
  OwnedWriteOptions,
  OwnerOption,
  Pairs,
  PreviousAnswer,
  PutOptions,
  PutTerms,
  RangeOptions,
  RangePage,
  ReleasedAnswer,
  RemovedAnswer,
  ResumeOptions,
  SetAnswer,
  SetOptions,
  SetTerms,
  Shard,
  ShardFacts,
  ShardPhase,
  StorageEvents,
  Store,
  StoreEntry,
  StreamedIn,
  StreamOptions,
  SuspendOptions,
  Suspension,
  UnlockOptions,
  UntilAnswer,
  WalWriter,
  WriteOptions,
  Written,
  WrittenMany,
} from './actors/index.ts'
export {
  type ErrorCode,
  type ErrorDetails,
  errorCodes,
  isKeelsonError,
  KeelsonError,
} from './errors.ts'
export type {
  IngestFailure,
  IngestOptions,
  IngestProgress,
  KeelsonConfig,
  RecordFormat,
  RecordStore,
  Surveyed,
  TreeNode,
} from './inspect/index.ts'
export { ingest } from './inspect/ingest/ingest.ts'
export { surveyTree } from './inspect/prompt/tree-survey.ts'
export { treeView } from './inspect/prompt/tree-view.ts'
export * from './runtime/index.ts'
export { supervisor, worker } from './supervisors/app-tree.ts'
export { startChild, startDynamicChild, startSupervisor } from './supervisors/child-tree.ts'
export type {
  App,
  AppModule,
  AppNode,
  AppTree,
  AppWorker,
  Health,
  ShardHealth,
  StartOptions,
  StartProgress,
  SupervisorOptions,
  WorkerOptions,
} from './supervisors/index.ts'
export { start } from './supervisors/start.ts'
