/** What other folders may use of the supervisors: starting an instance, and the user's tree. */
export { App, type Health, type ShardHealth } from './app.ts'
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
export { registeredName, startChild, startDynamicChild, startSupervisor } from './child-tree.ts'
export { type Ports, startInstance } from './instance.ts'
export { treeNames } from './instance-tree.ts'
export { loadModule } from './module-loader.ts'
export { start } from './start.ts'
export { checkStartOptions, type StartOptions, type StartProgress } from './start-options.ts'
