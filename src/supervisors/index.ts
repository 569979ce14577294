/**
 * The supervisors, and what they start. They assemble an instance from options and ports. They
 * import actors, runtime and storage. The layer has no rooms; its files:
 *
 * - start, start-options, machine-ports: `start`, its options, and the real disk, threads and LMDB
 * - instance: what an instance is made of
 * - instance-tree, shard-tree: its supervision tree, and the names in it
 * - folder-claim: the locks, the facts and the creation of a data folder
 * - app, app-context, readiness, closing: the handle of a running instance, what its processes are
 *   given, its health, the wait until it is ready, and its orderly end
 * - app-tree, child-tree, durable-parts, server-check, module-loader: the user's tree as data,
 *   checked and loaded
 *
 * Start reading at `instance-tree.ts`, then `instance.ts`.
 */
export { App } from './app.ts'
export type { AppContext, Health, ShardHealth } from './app-context.ts'
export {
  type AppModule,
  type AppNode,
  type AppTree,
  type AppWorker,
  checkAppTree,
  mapModules,
  type SupervisorOptions,
  supervisor,
  type WorkerOptions,
  worker,
} from './app-tree.ts'
export type { BackupOptions, BackupReport, BackupShard } from './backup.ts'
export { registeredName, startChild, startDynamicChild, startSupervisor } from './child-tree.ts'
export type { CloseReport, CutOff } from './closing.ts'
export { loadedOptions, type Ports, startInstance } from './instance.ts'
export { loadFailure, loadModule } from './module-loader.ts'
export type { HistoryEntry, HistoryOptions } from './projections.ts'
export type { Ready } from './readiness.ts'
export { treeNames } from './shard-tree.ts'
export { start } from './start.ts'
export { checkStartOptions, type StartOptions, type StartProgress } from './start-options.ts'
