/** What of inspection is public: ingestion as a function, the shape of a configuration file, and the tree as data and text. */
export type { KeelsonConfig } from './configuration-file.ts'
export {
  type IngestFailure,
  type IngestOptions,
  type IngestProgress,
  ingest,
  type RecordStore,
} from './ingest.ts'
export type { RecordFormat } from './record-splitter.ts'
export { type Surveyed, surveyTree } from './tree-survey.ts'
export { type TreeNode, treeView } from './tree-view.ts'
