/**
 * The port through which a process acts on others. Every effect of its code that another process
 * can see passes here: calls, casts and infos through its context or a ref bound to it; answers to
 * calls; timers; exit signals sent by hand. A process lets its outputs leave at once (`direct`).
 * One whose turns take effect later holds them here until then.
 */
import { KeelsonError } from '../../errors.ts'
import type { Ref } from '../words/address.ts'
import type { Message } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { PendingCall } from './pending-call.ts'

/** A call as its handler sees it. */
export type Answerable = Pick<PendingCall, 'caller' | 'reply' | 'fail' | 'handTo'>

/** A process that is made, and has not begun. */
export interface Beginner {
  start(): void
  /** It never begins, and its starter does not end by that. */
  withdraw(): void
}

/** A process that is sent a message. */
export interface Addressee {
  admit(message: Message): boolean
}

/**
 * Where the effects of one process go. It sees them in the order in which the process made them.
 */
export interface Outputs {
  /** Whether a handler runs, if the process is also busy without one. */
  readonly isOpen?: boolean
  /** Whether outcomes of calls with an id are kept, and answers have a position. */
  readonly isDurable?: boolean
  /**
   * A message to `target`. False: its mailbox is full, or it has ended. A port that answers true
   * and sends later fails a call that `target` then refuses: nothing else would. `ref`: by which the
   * target was found.
   */
  send(target: Addressee, message: Message, ref?: Ref<unknown>): boolean
  /** The `from` of a call that the process begins to handle: its answer is an output. */
  answering(call: PendingCall): Answerable
  /** Lets a timer run that will send a message in `ms`. */
  startTimer(timer: { start(ms: number): void }, ms: number): void
  /** An exit signal from `from`, the process itself. */
  exit<P>(target: ExitTarget<P>, from: P, reason: ExitReason): void
  /** Lets a process begin that its code started. `isAwaited`: the code waits for its `init`. */
  begin(process: Beginner, isAwaited: boolean): void
  /** Anything else that the world outside can see. `dropped`: it never leaves. They do not throw. */
  hold(output: () => void, dropped?: () => void): void
  /** The process has ended. `notify` notifies its links, its monitors and its callers. */
  ended(notify: () => void): void
}

/** Whether a call was refused because its options need a durable actor, and its target is none. */
export const isNotDurable = (outputs: Outputs, call: PendingCall): boolean =>
  (call.id !== undefined || call.asksPosition) &&
  !outputs.isDurable &&
  call.fail(notDurable(call.name))

const notDurable = (name: string): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `${name}: the process is not durable: it takes no id and has no position`,
  )

/** A process that can be sent an exit signal. */
export interface ExitTarget<P> {
  signal(from: P | undefined, reason: ExitReason, byLink: boolean): void
}

/** Lets everything leave at once. */
export const direct: Outputs = {
  send: (target, message) => target.admit(message),
  answering: (call) => call,
  startTimer: (timer, ms) => timer.start(ms),
  exit: (target, from, reason) => target.signal(from, reason, false),
  begin: (process) => process.start(),
  hold: (output) => output(),
  ended: (notify) => notify(),
}
