/**
 * The process's side of a thread: its messages in both directions, the bound of pending messages,
 * and which end follows which. A message is pending until the server in the thread has taken it.
 */
import { KeelsonError } from '../../errors.ts'
import { showAsText } from '../../value-text.ts'
import type { Answerable } from '../process/outputs.ts'
import type { PendingCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { redactedParts } from '../server/format-status.ts'
import type { Init } from '../server/gen-server.ts'
import { ignore, stop } from '../server/next-step.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { StatusParts } from '../words/telemetry.ts'
import { reasonFromWire } from '../words/wire-reason.ts'
import type { HostPort, ThreadLimits, Transferable } from './thread-door.ts'
import {
  notCloneable,
  ownMessage,
  type ServerMessage,
  type ShownCrash,
  type ThreadStart,
  type ToProcess,
  type ToThread,
  toWire,
} from './thread-messages.ts'

/** The options of a thread server. */
export interface ThreadServerOptions {
  /**
   * The most pending messages to the thread. Further ones wait in the mailbox, whose bound then
   * counts. 64 by default.
   */
  readonly inFlightMax?: number | undefined
  /** The parts of a message that are moved to the thread instead of copied. None by default. */
  readonly transfer?: ((message: ServerMessage) => readonly Transferable[]) | undefined
  /** Limits of the thread's memory, as in Node's `Worker`. */
  readonly resourceLimits?: ThreadLimits | undefined
}

/** The options with their defaults, and the module. */
export interface ThreadPlan {
  readonly module: string
  readonly inFlightMax: number
  readonly transfer: (message: ServerMessage) => readonly Transferable[]
}

/** The state of a thread server's process. */
export class ThreadLink {
  readonly #process: Process
  readonly #port: HostPort
  readonly #plan: ThreadPlan
  readonly #options: ThreadStart
  readonly #waiting = new Map<number, Answerable>()
  /** Until the thread is ended. */
  #pulse: ThreadPulse | undefined
  #lastId = 0
  #inFlight = 0
  #onStarted: ((started: Init<ThreadLink, never>) => void) | undefined
  #onRoom: (() => void) | undefined
  #isShuttingDown = false
  #pidThere: number | undefined
  #formats = false
  /** Other code in the thread has posted a message. */
  #hasHeardOthers = false
  /** The thread's report of its crash. */
  #crash: ShownCrash | undefined
  #shownReason: ExitReason
  /** The first reason counts: the exit of the thread follows it. */
  #isEnding = false

  constructor(process: Process, port: HostPort, plan: ThreadPlan) {
    this.#process = process
    this.#port = port
    this.#plan = plan
    const { handlerTimeoutMs } = process
    if (handlerTimeoutMs !== undefined)
      this.#pulse = new ThreadPulse(process, handlerTimeoutMs, () => this.#post({ kind: 'ping' }))
    // The server in the thread keeps to it: here a pending handler only waits for room.
    process.handlerTimeoutMs = undefined
    this.#options = { label: String(process), handlerTimeoutMs, begun: this.#pulse?.begun }
    port.on('message', (found: unknown) => this.#heard(found))
    port.on('messageerror', (error) => void this.#ended(error))
    port.on('error', (error) => void this.#ended(error))
    port.on('exit', (status) => void this.#ended(['thread_exited', status]))
  }

  /** Starts the server in the thread. The result of its `init` is the result of this one. */
  start(arg: unknown): Promise<Init<ThreadLink, never>> {
    const started = new Promise<Init<ThreadLink, never>>((resolve) => {
      this.#onStarted = resolve
    })
    try {
      const { module } = this.#plan
      this.#post({ kind: 'start', module, arg, options: this.#options })
    } catch (error) {
      this.#settleStart(stop(notCloneable('the argument of the server', error)))
    }
    return started
  }

  /**
   * Sends a message to the server. Resolves when there is room for another; `undefined`: there is.
   * A call whose payload cannot be cloned is rejected; any other message is logged and dropped.
   */
  send(message: ServerMessage, from?: PendingCall): Promise<void> | undefined {
    const id = ++this.#lastId
    try {
      this.#post({ ...message, id }, this.#plan.transfer(message))
    } catch (error) {
      this.#refuse(message, error, from)
      return undefined
    }
    if (from !== undefined) this.#await(id, from)
    this.#inFlight++
    this.#keepAlive()
    if (this.#inFlight < this.#plan.inFlightMax) return undefined
    return new Promise((resolve) => {
      this.#onRoom = resolve
    })
  }

  /** An exit signal for the server, which traps exits. */
  signal(reason: ExitReason): void {
    this.#post({ kind: 'signal', reason: toWire(reason) })
  }

  /** Ends the server. The promise does not settle: the end of the thread ends the process. */
  end(reason: ExitReason): Promise<void> {
    this.#isShuttingDown = true
    this.#keepAlive()
    this.#post({ kind: 'end', reason: toWire(reason) })
    return new Promise(() => undefined)
  }

  /** Ends the thread at once, whatever it does. */
  async terminate(): Promise<void> {
    this.#pulse?.stop()
    // Messages and answers are counted after this, too.
    this.#pulse = undefined
    this.#port.ref()
    await this.#port.terminate()
  }

  /**
   * The visible status: of a crash the result of `formatStatus` in the thread. If it has one, no
   * other payload is, because it cannot be asked here.
   */
  shown({ lastMessage, reason }: StatusParts): StatusParts {
    if (this.#crash !== undefined) return { ...this.#crash, reason: this.#shownReason }
    const message =
      this.#formats && lastMessage ? { what: lastMessage.what, payload: undefined } : lastMessage
    return redactedParts({ state: this, lastMessage: message, reason })
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    return `thread of ${this.#plan.module}, ${this.#inFlight} messages under way`
  }

  #post(message: ToThread, moved: readonly Transferable[] = []): void {
    this.#port.postMessage(message, moved)
  }

  #heard(found: unknown): void {
    const message = ownMessage(found)
    if (message !== undefined) this.#take(message)
    else if (!this.#hasHeardOthers) {
      this.#hasHeardOthers = true
      const { pid, kernel } = this.#process
      const text = `${this.#process}: a message that code in its thread has posted was dropped`
      kernel.logger.warn(`${text}, and so is each further one`, { pid, message: found })
    }
  }

  #take(message: ToProcess): void {
    switch (message.kind) {
      case 'started':
        this.#pidThere = message.pid
        this.#formats = message.formats
        this.#settleStart(this)
        break
      case 'traps':
        this.#process.trapping = message.on
        break
      case 'ignored':
        this.#settleStart(ignore())
        break
      case 'refused':
        this.#settleStart(stop(reasonFromWire(message.reason)))
        break
      case 'reply':
        this.#answered(message.id)?.reply(message.value)
        break
      case 'failed':
        this.#answered(message.id)?.fail(reasonFromWire(message.reason))
        break
      case 'handled':
        this.#handled(message.count)
        break
      case 'log': {
        const { level, line, reason, crash } = message
        // The process here reports the crash of the server, because it ends by it.
        if (crash !== undefined && crash.pid === this.#pidThere) break
        const { pid, kernel } = this.#process
        kernel.logger[level](`${this.#process} in its thread: ${line}`, {
          pid,
          reason: reasonFromWire(reason),
          ...(crash && { report: crash.report }),
        })
        break
      }
      case 'pong':
        this.#pulse?.answered()
        break
      case 'ended':
        if (message.crash !== undefined) {
          const { state, lastMessage, reason } = message.crash
          this.#crash = { state, lastMessage }
          this.#shownReason = reasonFromWire(reason)
        }
        void this.#ended(reasonFromWire(message.reason))
    }
    this.#keepAlive()
  }

  #settleStart(started: Init<ThreadLink, never>): void {
    this.#onStarted?.(started)
    this.#onStarted = undefined
  }

  /** A call that its caller gave up stays no longer, and does not keep Node alive. */
  #await(id: number, from: PendingCall): void {
    if (from.isSettled) return
    this.#waiting.set(id, from)
    from.onceSettled(() => {
      if (this.#waiting.delete(id)) this.#keepAlive()
    })
  }

  #answered(id: number): Answerable | undefined {
    const from = this.#waiting.get(id)
    this.#waiting.delete(id)
    return from
  }

  #handled(count: number): void {
    this.#inFlight -= count
    if (this.#inFlight >= this.#plan.inFlightMax) return
    this.#onRoom?.()
    this.#onRoom = undefined
  }

  #refuse({ kind, name }: ServerMessage, cause: unknown, from: Answerable | undefined): void {
    const error = notCloneable(`the payload of ${name}`, cause)
    if (from !== undefined) from.fail(error)
    else {
      const what = `${this.#process}: ${kind} ${name} was dropped: ${error.message}`
      this.#process.kernel.logger.error(what, { pid: this.#process.pid, reason: error })
    }
  }

  /** The server or its thread has ended. The process ends when the thread is gone. */
  async #ended(reason: ExitReason): Promise<void> {
    if (this.#isEnding) return
    this.#isEnding = true
    await this.terminate()
    if (this.#onStarted !== undefined) this.#settleStart(stop(reason))
    else this.#process.fail(reason)
  }

  /**
   * Like a process, a thread keeps Node alive only while it has something to do. A thread that does
   * something is asked for its pulse.
   */
  #keepAlive(): void {
    const isBusy = this.#inFlight > 0 || this.#waiting.size > 0 || this.#isShuttingDown
    if (isBusy || this.#onStarted !== undefined) this.#port.ref()
    else this.#port.unref()
    if (isBusy) this.#pulse?.start()
    else this.#pulse?.stop()
  }
}

showAsText(ThreadLink)

/**
 * Notices a handler that never returns. It keeps its whole thread, so none begins after it and a
 * `ping` has no answer. The process ends when there was neither for `ms`: one to two times that
 * after the handler began. A handler whose promise does not settle is ended in the thread.
 */
class ThreadPulse implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  /** Written by the thread. */
  readonly begun = new Int32Array(new SharedArrayBuffer(4))
  readonly #process: Process
  readonly #ms: number
  readonly #ping: () => void
  #isRunning = false
  #isAnswered = true
  #seen = 0

  constructor(process: Process, ms: number, ping: () => void) {
    this.#process = process
    this.#ms = ms
    this.#ping = ping
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#beat()
  }

  stop(): void {
    this.#isRunning = false
    this.#process.kernel.timers.remove(this)
  }

  answered(): void {
    this.#isAnswered = true
  }

  fire(): void {
    // If the loop here was held up, the answer may wait in it: it is taken before the next turn.
    this.#process.kernel.clock.soon(() => this.#look())
  }

  #look(): void {
    // Armed again: what this looks for is over, and the thread has begun again.
    if (!this.#isRunning || this.slot >= 0) return
    if (this.#isAnswered || Atomics.load(this.begun, 0) !== this.#seen) this.#beat()
    else this.#process.fail(hangs(this.#process, this.#ms))
  }

  #beat(): void {
    this.#seen = Atomics.load(this.begun, 0)
    if (this.#isAnswered) this.#ping()
    this.#isAnswered = false
    this.#process.kernel.timers.add(this, this.#ms)
  }
}

const hangs = (process: Process, timeoutMs: number): KeelsonError =>
  new KeelsonError(
    'TIMEOUT',
    `${process}: a handler in its thread has not returned for ${timeoutMs} ms`,
    {
      details: { reason: 'handler_timeout', timeoutMs },
    },
  )
