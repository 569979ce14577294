/** The runtime: processes, messages, links, monitors, timers, names and supervision, with the semantics of OTP. */
export { type Messages, type Name, name, type Ref } from './address.ts'
export { type ExitReason, exit, isOrderly, isShutdown } from './exit-reason.ts'
export type * from './gen-server.ts'
export type { Log, Logger } from './logger.ts'
export { type CallOptions, call, cast, send } from './messaging.ts'
export type { Monitor } from './monitor.ts'
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
export type { DownMessage, ExitMessage } from './process.ts'
export { createSystem, type SystemOptions } from './system.ts'
export { type ProcessFacts, type Telemetry, type TelemetryEvents, telemetry } from './telemetry.ts'
