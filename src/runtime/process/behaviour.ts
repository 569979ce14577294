/** What tells a server from a bare process: what it does with its turns and its messages. */
import type { Message } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { TraceEvent } from '../words/telemetry.ts'

/** What a process does. */
export interface Behaviour {
  /** Whether it takes the requests of `sys`, a stop in its turn among them. */
  readonly answersSys: boolean
  /** The first turn. */
  begin(): void
  /** Handles one message. It may leave the process `busy`; then the next message waits until `proceed`. */
  handle(message: Message): void
  /** The mailbox is empty. May be called again before the next message. */
  idle(): void
  /** The process has ended, by its own doing or by a signal. */
  ended(reason: ExitReason): void
  /** The state of things, for process information. */
  status(): 'starting' | 'waiting' | 'suspended' | 'terminating'
  /** Shows a trace what was done besides messages; `make` is called when there is one. */
  stepped?(make: () => TraceEvent): void
}

/** What a server's loop hands its server as context. */
export interface LoopContext {
  from: unknown
  /** What came of `init`; whoever waits for the start is told once. */
  begun(begun: Begun): void
  /** The process has ended. */
  ended(): void
}

/** What came of `init`, before whoever started the server is told. */
export type Begun =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: ExitReason }
  | { readonly ignore: true }
