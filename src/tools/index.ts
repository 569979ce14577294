/**
 * Tools: work on a folder that is closed. They need storage alone, and no running instance needs them.
 * The commands are in `inspect`: they read arguments, show progress and print. The rooms:
 *
 * - folder: the logs of a folder, and the locks of all of them
 * - health: what `keelson doctor` finds in a data folder, and its repairs
 * - restore: shards made from a backup, from a replica, or from what is left of a damaged one
 */

export { type HeldFolders, lockAll, shareAll } from './folder/folder-locks.ts'
export {
  expectFolder,
  type LogTarget,
  type WalTarget,
  walTarget,
  wrongFolder,
} from './folder/wal-target.ts'
export type { Finding, Severity } from './health/finding.ts'
export { examiningFolder, lastHolderOf } from './health/folder-examination.ts'
export {
  type AccessFault,
  type DiskFacts,
  type Exposure,
  type FolderFacts,
  folderFindings,
} from './health/folder-findings.ts'
export { examiningLog, knowledgeOf, type LogFacts } from './health/log-facts.ts'
export { loneLogFindings } from './health/log-findings.ts'
export { repair, stepsOf } from './health/repairing.ts'
export { findingMoment, restoringShard } from './restore/restoring.ts'
export { ShardBuilder } from './restore/shard-building.ts'
export { type SalvagedShard, salvagingShard } from './restore/shard-salvage.ts'
export { type SplitResult, type SplitShard, splittingShards } from './restore/shard-splitting.ts'
export {
  type CheckedShard,
  checkingSplit,
  type SplitFinding,
  type SplitFindingKind,
} from './restore/split-checks.ts'
