/** A behaviour: how a server or a bare process uses its turns and its messages. */
import type { Message } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { ShownMessage, StatusParts, TraceEvent } from '../words/telemetry.ts'

/** The names of the messages that a server has handlers for. */
export interface MessageNames {
  readonly calls: readonly string[] | undefined
  /** `undefined`: it takes casts of any name. */
  readonly casts: readonly string[] | undefined
  /** `undefined`: it takes infos of any name. */
  readonly infos: readonly string[] | undefined
}

/** The behaviour of a process. */
export interface Behaviour {
  /** The messages that it understands; absent for a bare process. */
  readonly messages?: MessageNames
  /** Its state, whatever is in it; not to be shown. Absent for a bare process. */
  readonly state?: unknown
  /** The definition of its state machine, if it runs one. */
  readonly machine?: unknown
  /** Whether it answers requests of `sys`, including a stop. */
  readonly answersSys: boolean
  /** The name by which errors call it, if that is not its label and its number. */
  readonly title?: string
  /** The first turn. */
  begin(): void
  /**
   * Handles one message. It may leave the process `busy`; then the next message waits until
   * `proceed`.
   */
  handle(message: Message): void
  /** The mailbox is empty. May be called again before the next message. */
  idle(): void
  /** A message that a suspended server has set aside; absent for a bare process. */
  aside?(index: number): Message | undefined
  /** The process has ended, by itself or by a signal. */
  ended(reason: ExitReason): void
  /** The status, for process information. */
  status(): 'starting' | 'waiting' | 'suspended' | 'terminating'
  /**
   * Returns the parts that logs and reports may show: its state, a message, the reason of its
   * crash. Absent: all of them.
   */
  shown?(message: ShownMessage | undefined, reason?: ExitReason): StatusParts
  /** Traces a step that is not a message. `make` is called only if there is a trace. */
  stepped?(make: () => TraceEvent): void
}

/** The context as the server's loop uses it. */
export interface LoopContext {
  from: unknown
  /** The result of `init`. The waiting starter is notified once. False: it does not wait. */
  begun(begun: Begun): boolean
  /** The process has ended. */
  ended(): void
}

/** The result of `init`, before the starter is notified. */
export type Begun =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: ExitReason }
  | { readonly ignore: true }
