/** The runtime: processes, messages, links, monitors, timers, names and supervision, with the semantics of OTP. */
export { isRef, type Messages, type Name, name, type Ref } from './address.ts'
export {
  type ChildFault,
  type ChildrenFault,
  childrenFault,
  type JudgedSpec,
} from './child-fault.ts'
export type { ChildCount, ChildInfo } from './child-info.ts'
export { type ChildContext, type ChildSpec, type WorkerOptions, worker } from './child-spec.ts'
export {
  type DynamicSupervisorMessages,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
} from './dynamic-supervisor.ts'
export type { ExitMessage } from './envelope.ts'
export { describeReason, type ExitReason, exit, isOrderly, isShutdown } from './exit-reason.ts'
export type * from './gen-server.ts'
export type { Log, Logger } from './logger.ts'
export type { Fired, Timer } from './message-timer.ts'
export type * from './messages.ts'
export { type CallOptions, call, cast, madeThrough, send } from './messaging.ts'
export type { DownMessage, Monitor } from './monitor.ts'
export {
  type Ignore,
  ignore,
  type NoReply,
  noReply,
  type Ok,
  ok,
  type Reply,
  reply,
  type Stop,
  type StopReply,
  stop,
  stopReply,
  type Then,
} from './next-step.ts'
export type { TaskContext, TaskFunction, TaskOutcome, TaskValue } from './owned-task.ts'
export type { ProcessInfo } from './process-info.ts'
export * as Registry from './registry.ts'
export { via } from './registry.ts'
export type { AutoShutdown, Restart, Strategy } from './restart-policy.ts'
export type { Shutdown } from './shutdown.ts'
export type * from './start-options.ts'
export type { AsyncStreamOptions } from './stream-options.ts'
export {
  countChildren,
  deleteChild,
  madeAt,
  restartChild,
  type SupervisorOptions,
  startChild,
  startSupervisor,
  supervisor,
  terminateChild,
  whichChildren,
} from './supervisor.ts'
export type {
  ChildResult,
  SupervisorMessages,
} from './supervisor-server.ts'
export {
  getState,
  getStatus,
  replaceState,
  resume,
  statistics,
  stopProcess,
  suspend,
  trace,
} from './sys.ts'
export { createSystem, type SystemOptions } from './system.ts'
export type { ServerStatus, Statistics } from './system-requests.ts'
export { Task, type TaskOptions, type TaskRunOptions } from './task.ts'
export type { TaskWaitOptions } from './task-gathering.ts'
export type { StreamOutcome } from './task-stream.ts'
export {
  startTaskSupervisor,
  type TaskChildOptions,
  type TaskOwner,
  TaskSupervisor,
  type TaskSupervisorMessages,
  type TaskSupervisorOptions,
  taskSupervisor,
} from './task-supervisor.ts'
export { type ProcessFacts, type Telemetry, type TelemetryEvents, telemetry } from './telemetry.ts'
export type { TraceEvent } from './trace-event.ts'
export { isVia, type Via } from './via.ts'
