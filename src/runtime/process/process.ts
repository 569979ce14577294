/**
 * A process: a mailbox, links, monitors, signals, and its end. Its behaviour decides how messages
 * are handled. Signals take effect at once; everything else waits in the mailbox.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { redacted } from '../../redaction.ts'
import type { Names } from '../names/names.ts'
import type { Carrier } from '../queues/async-context.ts'
import type { Runnable, RunQueue } from '../queues/run-queue.ts'
import type { TimerHeap } from '../queues/timer-heap.ts'
import { Address, addressOf, isRef, type Ref } from '../words/address.ts'
import { describeMessage, Envelope, kinds, type Message } from '../words/envelope.ts'
import {
  type End,
  type ExitReason,
  endOf,
  isOrderly,
  reasonDetails,
  reasonOf,
} from '../words/exit-reason.ts'
import type { Heard } from '../words/hearing.ts'
import type { Logger } from '../words/logger.ts'
import type { MessageTimer } from '../words/message-timer.ts'
import type { Monitor } from '../words/monitor.ts'
import { announce, type ProcessFacts, type Telemetry } from '../words/telemetry.ts'
import type { Tracer } from '../words/tracer.ts'
import type { AbortWaits } from './abort-waits.ts'
import type { Behaviour } from './behaviour.ts'
import { crashReport } from './crash-report.ts'
import { Mailbox } from './mailbox.ts'
import { direct, type Outputs } from './outputs.ts'
import { CallList, type Handling, type PendingCall, type Waiter } from './pending-call.ts'
import type { Listed } from './process-list.ts'
import { notifyTies, Ties } from './ties.ts'

/** The parts of the System that a process uses. */
export interface Kernel {
  readonly clock: Clock
  readonly runQueue: RunQueue
  readonly timers: TimerHeap
  readonly aborts: AbortWaits
  readonly events: Telemetry
  readonly heard: Heard
  readonly tracer: Tracer | undefined
  readonly logger: Logger
  /** They get every line of the log too. */
  readonly otherLoggers: Set<Logger>
  readonly names: Names<Process>
  /** The plain messages of handlers that are logged; `undefined` in production. */
  readonly plainSends: Set<string> | undefined
  /** Whether messages get a context or a time. Asked for every message, as the next ones. */
  readonly attends: boolean
  /** Whether calls are traced, or their results wanted. */
  readonly watchesCalls: boolean
  /** Whether turns of durable actors are traced, or their times wanted. */
  readonly watchesTurns: boolean
  /** A message comes: it gets the present context, and one in 64 for durable actors its time. */
  attend(message: Message, isDurable: boolean | undefined): void
  /** Notes the present context in `carrier`, if the System passes contexts on. */
  carry<C extends Carrier>(carrier: C): C
  /**
   * Notes that a process ended. It calls `notifyEnd` once, soon, and never from within that of
   * another process.
   */
  ended(process: Process): void
}

/**
 * Decides whether a child may start. `undefined`: it may. A promise: it may not, and the gate is
 * asked again when the promise resolves. A promise that rejects fails a start that has a caller, and
 * the start of a whole tree; a child that waits for its restart then waits until it is ended.
 */
export type StartGate = () => Promise<unknown> | undefined

/** The facts of a process that do not change, and its starter. */
export interface ProcessOptions {
  readonly kind: string
  readonly label: string | undefined
  readonly mailboxMax: number
  /** The most ms that a handler or `terminate` may be pending; absent without a limit. */
  readonly handlerTimeoutMs: number | undefined
  readonly app: unknown
  /** The instance that it belongs to, for telemetry. */
  readonly instance: string | undefined
  /** The gate at which the children of supervisors wait, from it downwards. */
  readonly startGate: StartGate | undefined
  /** The process that started it. */
  readonly starter: Process | undefined
  /** Whether it is linked to its starter. The starter is then its parent. */
  readonly linked: boolean
}

/** One process. */
export class Process implements Runnable, Listed<Process>, Carrier {
  /** Of the code that started it, until its first turn. */
  declare context?: Carrier['context']
  readonly pid: number
  readonly kernel: Kernel
  readonly kind: string
  readonly label: string | undefined
  readonly app: unknown
  readonly instance: string | undefined
  readonly startGate: StartGate | undefined
  starter: Process | undefined
  /**
   * An exit signal of this process ends it even when it traps exits: the linked starter, or itself
   * if there is none.
   */
  parent: Process
  readonly address: Address<Process>
  before: Process | undefined = undefined
  after: Process | undefined = undefined
  readonly mailbox = new Mailbox()
  readonly mailboxMax: number
  handlerTimeoutMs: number | undefined
  behaviour!: Behaviour
  /** Through this its code acts on others. */
  outputs: Outputs = direct
  name: string | undefined = undefined
  alive = true
  reason: ExitReason = undefined
  /** The reason as logs and errors may show it. */
  shownReason: ExitReason = undefined
  trapping = false
  /** While it is set, calls of users are refused with its answer. */
  refusal: (() => KeelsonError) | undefined = undefined
  /** A handler is pending; no message is taken until it settled. */
  busy = false
  busySince = 0
  current: Message | undefined = undefined
  /**
   * When its end became certain: an exit of its parent or a stop is in its mailbox, or its parent
   * is ending.
   */
  shutdownAt: number | undefined
  /** Messages put aside by a suspended server; they count as waiting. */
  aside = 0
  handled = 0
  restarts = 0
  /** Timers whose message is for this process. Most never have one. */
  timers: Set<MessageTimer> | undefined = undefined
  #queued = false
  #begun = false
  /** Its end was announced. That of a durable actor waits for its last turn. */
  #isOver = false
  /**
   * The next threshold of the mailbox: at half the bound it emits `mailbox.high`, at the bound it
   * refuses. Below a quarter the first threshold holds again.
   */
  #mark: number
  #ties: Ties<Process> | undefined = undefined
  #owed: CallList | undefined = undefined
  #made: Set<Waiter> | undefined = undefined
  #starting: Set<Process> | undefined = undefined
  #onShutdown: (() => void) | undefined = undefined

  constructor(pid: number, kernel: Kernel, options: ProcessOptions) {
    this.pid = pid
    this.kernel = kernel
    this.kind = options.kind
    this.label = options.label
    this.app = options.app
    this.instance = options.instance
    this.startGate = options.startGate
    this.mailboxMax = options.mailboxMax
    this.handlerTimeoutMs = options.handlerTimeoutMs
    this.starter = options.starter
    this.parent = (options.linked ? options.starter : undefined) ?? this
    this.shutdownAt = this.parent.shutdownAt
    this.address = new Address<Process>(kernel.names, this, undefined, undefined)
    this.#mark = Math.ceil(options.mailboxMax / 2)
    this.link(this.parent)
  }

  /** Links and monitors; most processes have some, many have none. */
  get ties(): Ties<Process> {
    this.#ties ??= new Ties()
    return this.#ties
  }

  /** The calls that this process has to answer. */
  get owed(): CallList {
    this.#owed ??= new CallList()
    return this.#owed
  }

  /** The waits of this process: for answers, tasks, sleeps. */
  get made(): Set<Waiter> {
    this.#made ??= new Set()
    return this.#made
  }

  /** The servers that it starts linked and whose `init` has not finished. */
  get starting(): Set<Process> {
    this.#starting ??= new Set()
    return this.#starting
  }

  /** Messages that wait. */
  get depth(): number {
    return this.mailbox.length + this.aside
  }

  /** The message whose handler is pending. */
  get handling(): Handling | undefined {
    const { busy, current, busySince: since } = this
    return busy && current ? { message: describeMessage(current), since } : undefined
  }

  /** Its identity, for telemetry. */
  facts(): ProcessFacts {
    const { instance, pid, name, kind, label } = this
    return { at: this.kernel.clock.now(), instance, pid, name, kind, label }
  }

  /** Its identity in a line of the log. */
  get logged(): { readonly pid: number; readonly instance?: string; readonly entity?: string } {
    const { pid, instance, label } = this
    const isEntity = this.outputs.isDurable && label !== undefined
    return { pid, ...(instance && { instance }), ...(isEntity && { entity: label }) }
  }

  toString(): string {
    return this.label ?? this.name ?? `${this.kind} ${this.address}`
  }

  /** Its label, name or kind, and its number; of a forwarder, the name of the process elsewhere. */
  get title(): string {
    return this.behaviour.title ?? `${this.label ?? this.name ?? this.kind} ${this.address}`
  }

  start(): void {
    this.#enqueue()
  }

  /**
   * The turn that asked for it was refused: it ends before it begins, and its starter does not
   * notice.
   */
  withdraw(): void {
    this.unlink(this.parent)
    this.end('shutdown')
  }

  /** Takes a user's message. False: the mailbox is full, or the process has ended. */
  admit(message: Message): boolean {
    if (this.depth >= this.#mark && !this.#admitsAtMark()) return false
    this.deliver(message)
    return true
  }

  /** Takes a message that is never refused. It counts towards the mailbox bound like any other. */
  deliver(message: Message): void {
    if (this.depth >= this.#mark) this.#admitsAtMark()
    if (!this.alive) return
    if (this.kernel.attends) this.kernel.attend(message, this.outputs.isDurable)
    this.mailbox.push(message)
    if (!this.busy && !this.#queued) this.#enqueue()
  }

  /** Takes a message that will end it in its turn. */
  deliverEnd(message: Message): void {
    this.deliver(message)
    this.requestShutdown()
  }

  /** Its end is certain, though no message says so yet. */
  requestShutdown(): void {
    if (this.shutdownAt !== undefined) return
    this.shutdownAt = this.kernel.clock.monotonic()
    this.#onShutdown?.()
  }

  /**
   * Calls `listener` when the process gets the request to end, or at once if it has it: the process
   * may cancel its waits.
   */
  onceShutdown(listener: (() => void) | undefined): void {
    this.#onShutdown = listener
    if (this.shutdownAt !== undefined) listener?.()
  }

  run(quantum: number): number {
    // `#queued` stays true during the turn, so that an arriving message does not queue the process
    // twice.
    let count = 0
    try {
      if (!this.#begun && this.alive) {
        count = 1
        this.#begin()
      }
      while (count < quantum && this.alive && !this.busy) {
        const message = this.mailbox.shift()
        if (message === undefined) break
        count++
        if (message.context === undefined) this.behaviour.handle(message)
        else message.context.run(() => this.behaviour.handle(message))
      }
    } catch (thrown) {
      this.broke(thrown)
    }
    this.handled += count
    this.#queued = false
    this.proceed()
    return count
  }

  #begin(): void {
    this.#begun = true
    const { context } = this
    if (context === undefined) this.behaviour.begin()
    else {
      this.context = undefined
      context.run(() => this.behaviour.begin())
    }
  }

  /**
   * Its machinery threw, outside of a handler: the process ends with that as its reason. It could
   * not go on, and the other processes must.
   */
  broke(thrown: unknown): void {
    this.busy = false
    this.fail(reasonOf(thrown))
  }

  /** Continues after a turn, or after a pending handler settled, if there is work. */
  proceed(): void {
    if (this.#mark === this.mailboxMax && this.depth <= this.mailboxMax / 4)
      this.#mark = Math.ceil(this.mailboxMax / 2)
    if (!this.alive || this.busy || this.#queued) return
    try {
      if (this.mailbox.length === 0) this.behaviour.idle()
    } catch (thrown) {
      this.broke(thrown)
      return
    }
    if (this.mailbox.length > 0) this.#enqueue()
  }

  #enqueue(): void {
    this.#queued = true
    this.kernel.runQueue.add(this)
  }

  #admitsAtMark(): boolean {
    const { depth, mailboxMax } = this
    if (depth >= mailboxMax) return false
    this.#mark = mailboxMax
    announce(this.kernel, 'mailbox.high', () => ({ ...this.facts(), depth, mailboxMax }))
    // A listener may have ended the process, or filled its mailbox.
    return this.alive && this.depth < mailboxMax
  }

  /** Links the two. The caller makes sure that both live. */
  link(other: Process): void {
    if (other === this) return
    expectOf(this.kernel, other)
    this.ties.links.add(other)
    other.ties.links.add(this)
  }

  unlink(other: Process): void {
    this.ties.links.delete(other)
    other.ties.links.delete(this)
  }

  /** Adds `monitor`. If the end of the process was announced, it fires at once with `noproc`. */
  watchBy(monitor: Monitor<Process>): void {
    if (this.#isOver) monitor.fire('noproc')
    else {
      monitor.target = this
      this.ties.watchers.add(monitor)
      monitor.owner?.ties.watching.add(monitor)
    }
  }

  /** Removes a monitor on this process. False: it has fired. */
  unwatch(monitor: Monitor<Process>): boolean {
    monitor.owner?.ties.watching.delete(monitor)
    return this.ties.watchers.delete(monitor)
  }

  /**
   * Takes an exit signal from `from`, by a link or sent by hand. A `kill` sent by hand cannot be
   * trapped, and the reason becomes `killed`. A `normal` from another process ends nothing.
   */
  signal(from: Process | undefined, reason: ExitReason, byLink: boolean): void {
    if (!this.alive) return
    if (reason === 'kill' && !byLink) this.end('killed')
    else if (this.trapping) {
      this.deliver(new Envelope(kinds.exit, '', { from: from?.address, reason }))
      // To a bare process the end of its parent is a message like any other (OTP).
      if (from === this.parent && this.behaviour.answersSys) this.requestShutdown()
    } else if (reason !== 'normal' || from === this) this.end(reason)
  }

  /**
   * Ends the process now. Its names are free at once. Links, monitors and callers are notified
   * before any process handles its next message.
   */
  end(reason: ExitReason, shownReason = reason): void {
    if (!this.alive) return
    this.alive = false
    this.reason = reason
    this.shownReason = shownReason
    this.kernel.names.release(this)
    this.mailbox.clear()
    this.behaviour.ended(reason)
    this.kernel.ended(this)
  }

  /** Ends the process for its own reason. A reason that is not orderly is reported. */
  fail(reason: ExitReason): void {
    if (!this.alive) return
    const report = isOrderly(reason) ? undefined : crashReport(this, reason)
    this.end(reason, report?.reason)
    report?.announce()
  }

  /** The payload of the message `what`, as its server lets it be shown in a log. */
  shownPayload(what: string, payload: unknown): unknown {
    const { behaviour } = this
    const shown = behaviour.shown?.({ what, payload })
    return shown ? shown.lastMessage?.payload : redacted(payload)
  }

  /** Notifies links, monitors, callers and waits. */
  notifyEnd(): void {
    this.#isOver = true
    const { reason } = this
    const end = endOf(this)
    for (const wait of this.#made ?? []) wait.makerEnded(end)
    if (this.#ties !== undefined) notifyTies<Process>(this, reason)
    this.#failOwed(this.#owed?.takeAll() ?? [], end)
    for (const timer of this.timers ?? []) timer.cancel()
    this.#ties = this.timers = undefined
    // A process must not keep the chain of its ancestors in memory.
    this.starter = undefined
    this.parent = this
  }

  /**
   * Fails `calls`, which this process had to answer: of very many, the rest in further turns. A
   * call that was handed to another process is left to that process.
   */
  #failOwed(calls: readonly PendingCall[], end: End): void {
    for (const call of calls.slice(0, failedPerTurn))
      if (call.list === undefined) call.holderEnded(end, this)
    if (calls.length > failedPerTurn)
      this.kernel.clock.soon(() => this.#failOwed(calls.slice(failedPerTurn), end))
  }
}

/** Calls that are failed in one turn of the event loop: an error for each takes about 8 µs. */
const failedPerTurn = 500

/**
 * Throws `INVALID_ARGUMENT` unless `process` is of the System of `kernel`. Two Systems share
 * nothing: only messages cross, as from any other code.
 */
export const expectOf = (kernel: Kernel, process: Process): void => {
  if (process.kernel === kernel) return
  throw invalidArgument('process', 'a process of this System', process.title)
}

/**
 * The calling process, which must live.
 * @throws KeelsonError `EXITED` in code of a process that has ended, `INVALID_ARGUMENT`
 */
export const livingOf = (context: { readonly self: Ref }): Process => {
  const process = processOf(context)
  if (process.alive) return process
  throw hasEnded(process)
}

/** The error of an operation after the end of its process. */
export const hasEnded = (process: Process): KeelsonError =>
  new KeelsonError('EXITED', 'the process has ended', {
    details: reasonDetails(endOf(process)),
  })

/**
 * The process that `context` belongs to. @throws KeelsonError `INVALID_ARGUMENT` when it is not a
 * context
 */
export const processOf = (context: { readonly self: unknown }): Process => {
  if (!isRef(context?.self)) throw invalidArgument('context', 'the context of a process', context)
  const { process } = addressOf<Process>(context.self)
  if (process === undefined) throw new Error('a context is that of a process')
  return process
}
