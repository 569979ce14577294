/** Keelson: OTP for Node.js with a durable storage tree inside. What this file exports is the public surface. */
export * from './actors/index.ts'
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
  type AppTree,
  type Health,
  type ShardHealth,
  type StartOptions,
  type StartProgress,
  start,
  supervisor,
  worker,
} from './supervisors/index.ts'
