/** What of inspection is public: ingestion as a function, the shape of a configuration file, and the tree as data and text. */
export type { KeelsonConfig } from './cli/configuration-file.ts'
export {
  type IngestFailure,
  type IngestOptions,
  type IngestProgress,
  ingest,
  type RecordStore,
} from './ingest/ingest.ts'
export type { RecordFormat } from './ingest/record-splitter.ts'
export { type Surveyed, surveyTree } from './prompt/tree-survey.ts'
export { type TreeNode, treeView } from './prompt/tree-view.ts'
