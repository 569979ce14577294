/**
 * Keelson: OTP for Node.js with a durable storage tree inside. What this file exports is the public surface; where a name
 * stands both here and in `runtime`, the one here counts.
 */
export {
  Applier,
  Control,
  ControlHandle,
  type ControlOptions,
  LmdbWriter,
  type PutOptions,
  type RangeOptions,
  type RangePage,
  type ResumeOptions,
  type Shard,
  type ShardFacts,
  type ShardPhase,
  type StorageEvents,
  Store,
  type StoreEntry,
  type SuspendOptions,
  type Suspension,
  WalWriter,
  type WriteOptions,
  type Written,
} from './actors/index.ts'
export {
  type ErrorCode,
  type ErrorDetails,
  errorCodes,
  isKeelsonError,
  KeelsonError,
} from './errors.ts'
export {
  type IngestFailure,
  type IngestOptions,
  type IngestProgress,
  ingest,
  type KeelsonConfig,
  type RecordFormat,
  type RecordStore,
  type Surveyed,
  surveyTree,
  type TreeNode,
  treeView,
} from './inspect/index.ts'
export * from './runtime/index.ts'
export {
  App,
  type AppModule,
  type AppNode,
  type AppTree,
  type AppWorker,
  type Health,
  type ShardHealth,
  type StartOptions,
  type StartProgress,
  type SupervisorOptions,
  start,
  startChild,
  startSupervisor,
  supervisor,
  type WorkerOptions,
  worker,
} from './supervisors/index.ts'
