/**
 * The runtime: OTP for Node. Processes, messages, links, monitors, timers, names and supervision.
 * It knows no storage, and imports only `errors.ts` and `clock.ts`. Its rooms, each importing only
 * rooms above it:
 *
 * - queues: the mailbox ring, the run queue with its quantum, the heap of timers
 * - words: the vocabulary: refs and names, messages, exit reasons, monitors, timers, telemetry
 * - names: local names, `via` names, and the tables of registries
 * - process: the process itself, its pending calls, its links and monitors, messaging
 * - server: GenServer, its context and loop, `sys`, and the System that owns all processes
 * - supervision: Supervisor, DynamicSupervisor, Registry, pools, restart policy, child
 *   specifications
 * - machine: an XState machine, computed turn by turn apart from its process
 * - state-machine: the processes of such machines; a separate entry, so that XState loads only for
 *   its users
 * - task: tasks, their streams and supervisors
 * - threads: servers that run in threads of their own
 * - sharing: what the processes of a System share: groups, tables
 *
 * Start reading at `server/gen-server.ts`, then `process/process.ts` and
 * `supervision/supervisor-server.ts`.
 */
export {
  isIn,
  type MachineOutline,
  type MachineState,
  machineOutline,
} from './machine/machine-outline.ts'
export { NameWaits } from './names/name-waits.ts'
export { asPart } from './names/parts.ts'
export { isVia, type Via } from './names/via.ts'
export { guardedAbort, whenRead } from './process/abort-waits.ts'
export type { Behaviour } from './process/behaviour.ts'
export type { CallOptions, PositionOption } from './process/call-options.ts'
export { crashText } from './process/crash-report.ts'
export {
  type Answered,
  call,
  callAgain,
  callNow,
  callOfPeer,
  cast,
  castMessage,
  madeThrough,
  type Positioned,
  send,
  sendHeld,
} from './process/messaging.ts'
// The parts that durable actors are made of: they hold what a process sends.
export type { Answerable, Beginner, ExitTarget, Outputs } from './process/outputs.ts'
export { direct } from './process/outputs.ts'
export { type CallList, type CallPlace, isCall, type PendingCall } from './process/pending-call.ts'
export { type Process, processOf, type StartGate } from './process/process.ts'
export {
  bytesHeld,
  machineOf,
  messageNames,
  type ProcessInfo,
  type ProcessSummary,
  type ProcessTies,
  replyShownBy,
  summaryOf,
  tiesOf,
  type WaitingMessage,
  waitingMessages,
} from './process/process-info.ts'
export { type Shutdown, shutDown } from './process/shutdown.ts'
export { TimeSlice } from './queues/time-slice.ts'
export type { HeapEntry } from './queues/timer-heap.ts'
export { type Acceptance, type Accepts, refuse } from './server/acceptance.ts'
export { type FormatStatus, shownStatus } from './server/format-status.ts'
export type * from './server/gen-server.ts'
export { HandlerLimit } from './server/handler-limit.ts'
export {
  type MessageSchemas,
  messageSchemas,
  type Parses,
  type WithSchemas,
} from './server/message-schemas.ts'
export {
  badAnswer,
  type Ignore,
  ignore,
  isAnswer,
  NextStep,
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
  unchanged,
} from './server/next-step.ts'
export { ServerContext } from './server/server-context.ts'
export type * from './server/start-options.ts'
export { notStarted } from './server/start-options.ts'
export {
  getState,
  getStatus,
  replaceState,
  resume,
  statistics,
  stop as stopProcess,
  suspend,
  trace,
} from './server/sys.ts'
export {
  createSystem,
  heardIn,
  kernelOf,
  otherLoggers,
  placeIn,
  refOfName,
  type SystemOptions,
  tracerOf,
  traceWith,
} from './server/system.ts'
export {
  type SystemMonitor,
  type SystemMonitorOptions,
  systemMonitor,
} from './server/system-monitor.ts'
export type { ServerStatus, Statistics } from './server/system-requests.ts'
export * as pg from './sharing/pg.ts'
export {
  Table,
  type TableHeir,
  type TableKeeperMessages,
  type TableName,
  type TableOptions,
  type TableProtection,
  type TableTransfer,
  type TableUser,
  tableKeeper,
} from './sharing/table.ts'
export {
  type ChildrenFault,
  childrenFault,
  type JudgedSpec,
} from './supervision/child-fault.ts'
export {
  type ChildContext,
  type ChildSpec,
  worker,
} from './supervision/child-spec.ts'
export {
  type DynamicSupervisorMessages,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
  startDynamicChild,
  startDynamicSupervisor,
  startOrGet,
  terminateDynamicChild,
} from './supervision/dynamic-supervisor.ts'
export {
  type PartitionSupervisorOptions,
  type Partitions,
  partitionSupervisor,
  partitions,
} from './supervision/partition-supervisor.ts'
export * as Pool from './supervision/pool.ts'
export * as Registry from './supervision/registry.ts'
export { via } from './supervision/registry.ts'
export {
  type AutoShutdown,
  type Backoff,
  givesUp,
  type Restart,
  type RestartOption,
  recentRestarts,
  restartWaitMs,
  type Strategy,
} from './supervision/restart-policy.ts'
export type { ChildCount, ChildInfo } from './supervision/supervised-children.ts'
export {
  countChildren,
  deleteChild,
  madeAt,
  restartChild,
  startChild,
  startSupervisor,
  supervisor,
  terminateChild,
  whichChildren,
} from './supervision/supervisor.ts'
export type {
  ChildResult,
  SupervisorMessages,
} from './supervision/supervisor-server.ts'
export type { TaskContext, TaskFunction, TaskOutcome, TaskValue } from './task/owned-task.ts'
export type { AsyncStreamOptions } from './task/stream-input.ts'
export { Task, type TaskOptions, type TaskRunOptions } from './task/task.ts'
export type { TaskWaitOptions } from './task/task-gathering.ts'
export type { StreamOutcome } from './task/task-stream.ts'
export {
  startTaskSupervisor,
  type TaskChildOptions,
  type TaskOwner,
  TaskSupervisor,
  type TaskSupervisorMessages,
  type TaskSupervisorOptions,
  taskSupervisor,
} from './task/task-supervisor.ts'
export type { ThreadServerOptions } from './threads/thread-link.ts'
export { threadServer } from './threads/thread-server.ts'
export {
  Address,
  addressOf,
  type Directory,
  type HolderWait,
  isRef,
  type Lead,
  type Messages,
  type Name,
  name,
  type Part,
  type Ref,
} from './words/address.ts'
export type { AppContext, SystemEvents } from './words/app-context.ts'
export { Envelope, type ExitMessage, isExit, kinds, type Message } from './words/envelope.ts'
export {
  describeReason,
  type ExitReason,
  exit,
  foreseen,
  isOrderly,
  isShutdown,
} from './words/exit-reason.ts'
export { type JsonLoggerOptions, jsonLogger } from './words/json-logger.ts'
export {
  type Log,
  type Logger,
  type LogLevel,
  loggerOf,
  logLine,
  type ObjectFirstLogger,
  objectFirst,
  textLogger,
  withFacts,
} from './words/logger.ts'
export type { Fired, Timer } from './words/message-timer.ts'
export type * from './words/messages.ts'
export type { DownMessage, Monitor } from './words/monitor.ts'
export { isThenable } from './words/outside-code.ts'
export type {
  Ancestor,
  CrashFacts,
  StatusParts,
  SupervisorReport,
  TraceEvent,
} from './words/telemetry.ts'
export {
  type ProcessFacts,
  type Telemetry,
  type TelemetryEvents,
  telemetry,
} from './words/telemetry.ts'
export type {
  RetryFacts,
  SendEnd,
  SendFacts,
  Traced,
  TracedProcess,
  TraceOrigin,
  Tracer,
  TraceScope,
  TurnEnd,
  TurnFacts,
  WorkFacts,
} from './words/tracer.ts'
export { carriedAs, reasonFromWire, reasonToWire, type WireReason } from './words/wire-reason.ts'
