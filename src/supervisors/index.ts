/**
 * The supervisors, and what they start. They assemble an instance from options and ports. They
 * import actors, runtime and storage. Its rooms, each importing only rooms above it:
 *
 * - users-tree: the user's tree as data: checked, loaded, made into specifications; `entity`
 * - tree: the supervision tree of an instance and of each shard, and the names in it
 * - app: the handle of a running instance, `context.app`, health, and the orderly end
 * - starting: `start`, its options, the data folder, and how an instance comes to run
 *
 * Start reading at `starting/instance.ts`, then `tree/instance-tree.ts`.
 */

export type { BackupOptions, BackupReport, BackupShard } from '../actors/index.ts'
export type { HistoryEntry, HistoryOptions } from '../storage/index.ts'
export { type App, closeShards } from './app/app.ts'
export { type AppContext, type InstanceParts, innerParts, streamsOf } from './app/app-context.ts'
export type { CloseReport, CutOff } from './app/closing.ts'
export type { ClusterEvents, ClusterHealth, MemberPhase } from './app/cluster-health.ts'
export { type Health, healthOf, type MemberStatus, type ShardHealth } from './app/health.ts'
export type { AnyMessages, Member, MemberLinks, Reach } from './app/member-links.ts'
export { answerHealth } from './app/member-reports.ts'
export type { HealthOfAll, MemberHealth } from './app/members-health.ts'
export {
  type Cluster,
  type ClusterOptions,
  type FolderCluster,
  folderMemberOf,
} from './starting/cluster-options.ts'
export {
  claimFolder,
  type FolderClaim,
  refuseOtherShards,
  waysToMore,
} from './starting/folder-claim.ts'
export {
  type FolderEngine,
  type FolderEngineOptions,
  folderEngine,
  membersMax,
} from './starting/folder-engine.ts'
export { instanceShards, loadedOptions, startInstance } from './starting/instance.ts'
export { type LoadMembers, loadedStart, type MembersDoor } from './starting/loaded-start.ts'
export type {
  Linkable,
  MemberWays,
  Ports,
  ShardMoves,
  SharedFolder,
} from './starting/machine-ports.ts'
export { emptyCache, inspectShards } from './starting/shard-inspection.ts'
export { start } from './starting/start.ts'
export {
  type CheckedOptions,
  checkMembersOptions,
  checkStartOptions,
  type KeelsonConfig,
  type MembersOptions,
  type StartOptions,
  type StartProgress,
} from './starting/start-options.ts'
export type { Ready } from './tree/readiness.ts'
export type { Shard } from './tree/shard.ts'
export { treeNames } from './tree/shard-tree.ts'
export {
  type AppModule,
  type AppNode,
  type AppTree,
  type AppWorker,
  checkAppTree,
  isChildSpec,
  isDurable,
  mapModules,
  type SupervisorOptions,
  supervisor,
  type WorkerOptions,
  worker,
} from './users-tree/app-tree.ts'
export { registeredName } from './users-tree/child-tree.ts'
export { declaredActors } from './users-tree/declared-actors.ts'
export { durableActors, kindSpec } from './users-tree/durable-parts.ts'
export { loadFailure, loadModule } from './users-tree/module-loader.ts'
export { retryOptions } from './users-tree/server-check.ts'
