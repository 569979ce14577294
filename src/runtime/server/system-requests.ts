/**
 * The requests of `sys` to a server, answered between two messages: state, new state, status,
 * suspension, statistics and trace. None of them calls a handler.
 */
import { KeelsonError } from '../../errors.ts'
import { isError } from '../../thrown.ts'
import type { PendingCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import { Ring } from '../queues/ring.ts'
import {
  describeMessage,
  type ExitMessage,
  isExit,
  kinds,
  type Message,
} from '../words/envelope.ts'
import { type ExitReason, reasonOf } from '../words/exit-reason.ts'
import { callOutside, isThenable } from '../words/outside-code.ts'
import type { TraceEvent } from '../words/telemetry.ts'

// A server that `sys.suspend` holds. Messages that arrive are set aside in their order, and put
// back before messages that arrive after `resume`. One resume undoes any number of suspends.

/** The suspension of one server. */
export class SuspendedServer {
  readonly #process: Process
  readonly #aside = new Ring<Message>()
  #isOn = false

  constructor(process: Process) {
    this.#process = process
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** Sets a message aside. It still counts as waiting. */
  putAside(message: Message): void {
    this.#aside.push(message)
    this.#process.aside++
    this.#process.handled--
  }

  /** The message that is `index` places after the first one set aside. */
  at(index: number): Message | undefined {
    return this.#aside.at(index)
  }

  /** Begins or ends it. */
  set(on: boolean): void {
    this.#isOn = on
    if (on) return
    this.#process.aside -= this.#aside.length
    this.#process.mailbox.prepend(this.#aside)
  }

  /** The process has ended. */
  clear(): void {
    this.#process.aside -= this.#aside.length
    this.#aside.clear()
  }
}

/** The numbers of messages and replies since counting began. */
export interface Statistics {
  /** ms since 1970. */
  readonly startedAt: number
  readonly messagesIn: number
  readonly messagesOut: number
}

/** The result of `getStatus`. */
export interface ServerStatus {
  readonly status: 'running' | 'suspended'
  readonly pid: number
  readonly name: string | undefined
  readonly parent: number | undefined
  /** As the server's `formatStatus` shows it. */
  readonly state: unknown
}

/** The part of a server that answers `sys`; made with the first request. */
export class SystemRequests {
  readonly #process: Process
  readonly #suspension: SuspendedServer
  #counts: { startedAt: number; in: number; out: number } | undefined = undefined
  #trace: ((event: TraceEvent) => void) | undefined = undefined

  constructor(process: Process) {
    this.#process = process
    this.#suspension = new SuspendedServer(process)
  }

  get isSuspended(): boolean {
    return this.#suspension.isOn
  }

  /**
   * Whether `message` was set aside until `resume`. System requests and the parent's exit never
   * are.
   */
  putsAside(message: Message): boolean {
    if (!this.#suspension.isOn || message.kind === kinds.system) return false
    if (isFromParent(this.#process, message)) return false
    this.#suspension.putAside(message)
    return true
  }

  /** The server terminates: what was set aside waits in the mailbox, as all the time in OTP. */
  terminates(): void {
    this.#suspension.set(false)
  }

  /** A message that was set aside. */
  aside(index: number): Message | undefined {
    return this.#suspension.at(index)
  }

  /** Answers `request`, and returns the new state. */
  handle(request: PendingCall, state: unknown): unknown {
    if (request.name === 'replaceState') return replace(request, state)
    request.reply(this.#answer(request, state))
    return state
  }

  #answer({ name, payload }: PendingCall, state: unknown): unknown {
    switch (name) {
      case 'getState':
        return state
      case 'getStatus':
        return this.#status()
      case 'statistics':
        return this.#statistics(payload)
      case 'trace':
        this.#trace = payload as ((event: TraceEvent) => void) | undefined
        return undefined
      default:
        this.#suspension.set(name === 'suspend')
        return undefined
    }
  }

  /** The process has ended. */
  ended(): void {
    this.#suspension.clear()
  }

  /** A message is about to be handled. A `continue` does not count as a message. */
  received(message: Message): void {
    if (message.kind === kinds.continue) return
    if (this.#counts !== undefined) this.#counts.in++
    if (this.#trace === undefined) return
    this.#traced({ direction: 'in', what: describeMessage(message), payload: message.payload })
  }

  /** A handler answered its call. */
  replied(value: unknown): void {
    if (this.#counts !== undefined) this.#counts.out++
    this.#traced({ direction: 'out', what: 'reply', payload: value })
  }

  /** Traces a step that is not a message. `make` is called only if there is a trace. */
  stepped(make: () => TraceEvent): void {
    if (this.#trace !== undefined) this.#traced(make())
  }

  /** A listener that throws is removed: a trace must not change what the server does. */
  #traced(event: TraceEvent): void {
    const listener = this.#trace
    if (listener === undefined) return
    const shown = { ...event, payload: this.#process.shownPayload(event.what, event.payload) }
    callOutside(
      () => listener(shown),
      (reason) => {
        if (this.#trace === listener) this.#trace = undefined
        this.#process.kernel.logger.error(`the trace of ${this.#process} threw`, { reason })
      },
    )
  }

  #statistics(command: unknown): Statistics | undefined {
    if (command === 'get') {
      const counts = this.#counts
      return (
        counts && { startedAt: counts.startedAt, messagesIn: counts.in, messagesOut: counts.out }
      )
    }
    if (command !== 'on') this.#counts = undefined
    else this.#counts ??= { startedAt: this.#process.kernel.clock.now(), in: 0, out: 0 }
    return undefined
  }

  #status(): ServerStatus {
    const { pid, name, starter, behaviour } = this.#process
    const status = this.#suspension.isOn ? 'suspended' : 'running'
    const state = behaviour.shown?.(undefined).state
    return { status, pid, name, parent: starter?.pid, state }
  }
}

/** The note of a stop whose turn has come: the end of the server is then its result. */
export const stopping = 'stopping'

/** Whether `message` is the exit of the parent of `process`. */
export const isFromParent = (
  process: Process,
  message: Message,
): message is Message & { readonly payload: ExitMessage } =>
  isExit(message) && message.payload.from === process.parent.address

/** The new state. If the function throws, the caller gets the error and the old state stays. */
const replace = (request: PendingCall, state: unknown): unknown => {
  try {
    const next = changed(request, state)
    request.reply(next)
    return next
  } catch (error) {
    request.fail(error)
    return state
  }
}

/** The state that a `replaceState` makes of the present one. Throws the error for its caller. */
export const changed = ({ payload }: PendingCall, state: unknown): unknown => {
  let next: unknown
  try {
    next = (payload as (state: unknown) => unknown)(state)
  } catch (thrown) {
    throw failureOf(reasonOf(thrown))
  }
  if (!isThenable(next)) return next
  throw new KeelsonError('INVALID_ARGUMENT', 'replaceState takes no asynchronous function')
}

const failureOf = (reason: ExitReason): unknown =>
  isError(reason) ? reason : new Error('replaceState failed', { cause: reason })
