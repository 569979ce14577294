/**
 * A process: a mailbox, links, monitors, the way it takes signals, and its end. What it does with a message is its
 * behaviour's business. Signals work at once, whatever the process is doing; everything else waits in the mailbox.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import type { Names } from '../names/names.ts'
import { Ring } from '../queues/ring.ts'
import type { Runnable, RunQueue } from '../queues/run-queue.ts'
import type { TimerHeap } from '../queues/timer-heap.ts'
import { Address, addressOf, isRef, type Ref } from '../words/address.ts'
import { Envelope, type ExitMessage, kinds, type Message } from '../words/envelope.ts'
import { describeReason, type ExitReason, isOrderly } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import type { MessageTimer } from '../words/message-timer.ts'
import type { Monitor } from '../words/monitor.ts'
import { announce, type ProcessFacts, type Telemetry } from '../words/telemetry.ts'
import type { AbortWaits } from './abort-waits.ts'
import type { Behaviour } from './behaviour.ts'
import { direct, type Outputs } from './outputs.ts'
import { CallList, type Waiter } from './pending-call.ts'
import type { Listed } from './process-list.ts'
import { Ties, tellTies } from './ties.ts'

/** What a process needs of the System that it lives in. */
export interface Kernel {
  readonly clock: Clock
  readonly runQueue: RunQueue
  readonly timers: TimerHeap
  readonly aborts: AbortWaits
  readonly events: Telemetry
  readonly logger: Logger
  readonly names: Names<Process>
  /** Is told that a process ended, and sees to it that `tellEnd` is called, once, soon, and not from within another's. */
  ended(process: Process): void
}

/** Facts about a process that do not change, and where it begins. */
export interface ProcessOptions {
  readonly kind: string
  readonly label: string | undefined
  readonly mailboxMax: number
  readonly app: unknown
  /** Whose it is, for telemetry. */
  readonly instance: string | undefined
  /** Who started it. */
  readonly starter: Process | undefined
  /** Whether it is linked to its starter, which then is the parent whose exits it obeys. */
  readonly linked: boolean
}

/** One process. */
export class Process implements Runnable, Listed<Process> {
  readonly pid: number
  readonly kernel: Kernel
  readonly kind: string
  readonly label: string | undefined
  readonly app: unknown
  readonly instance: string | undefined
  starter: Process | undefined
  /** Whose exit signals end it when it traps: the linked starter, else itself. */
  parent: Process
  readonly address: Address<Process>
  before: Process | undefined = undefined
  after: Process | undefined = undefined
  readonly mailbox = new Ring<Message>()
  readonly mailboxMax: number
  behaviour!: Behaviour
  /** Through this its code acts on others. */
  outputs: Outputs = direct
  name: string | undefined = undefined
  alive = true
  reason: ExitReason = undefined
  trapping = false
  /** A handler is pending; no message is taken until it settled. */
  busy = false
  busySince = 0
  current: Message | undefined = undefined
  /** When its end became certain: the exit of its parent waits, or a stop, or that of whom it ends with. */
  toldToEndAt: number | undefined
  /** Messages put aside by a suspended server; they count as waiting. */
  aside = 0
  handled = 0
  restarts = 0
  #queued = false
  #begun = false
  /** The depth at which the next thing happens: half full tells the bus, full refuses; a quarter brings the first back. */
  #mark: number
  #ties: Ties<Process> | undefined = undefined
  #timers: Set<MessageTimer> | undefined = undefined
  #owed: CallList | undefined = undefined
  #made: Set<Waiter> | undefined = undefined
  #onToldToEnd: (() => void) | undefined = undefined

  constructor(pid: number, kernel: Kernel, options: ProcessOptions) {
    this.pid = pid
    this.kernel = kernel
    this.kind = options.kind
    this.label = options.label
    this.app = options.app
    this.instance = options.instance
    this.mailboxMax = options.mailboxMax
    this.starter = options.starter
    this.toldToEndAt = options.linked ? options.starter?.toldToEndAt : undefined
    this.parent = options.linked && options.starter !== undefined ? options.starter : this
    this.address = new Address<Process>(kernel.names, this, undefined, undefined)
    this.#mark = Math.ceil(options.mailboxMax / 2)
    this.link(this.parent)
  }

  /** Links and monitors; most processes have some, many have none. */
  get ties(): Ties<Process> {
    this.#ties ??= new Ties()
    return this.#ties
  }

  /** Calls whose answer this process owes. */
  get owed(): CallList {
    this.#owed ??= new CallList()
    return this.#owed
  }

  /** What this process waits for: answers of calls, ends of tasks, the passing of time. */
  get made(): Set<Waiter> {
    this.#made ??= new Set()
    return this.#made
  }

  /** Timers whose message is for this process. */
  get timers(): Set<MessageTimer> {
    this.#timers ??= new Set()
    return this.#timers
  }

  /** Messages that wait. */
  get depth(): number {
    return this.mailbox.length + this.aside
  }

  /** Who it is, for telemetry. */
  facts(): ProcessFacts {
    const { instance, pid, name, kind, label } = this
    return { at: this.kernel.clock.now(), instance, pid, name, kind, label }
  }

  toString(): string {
    return this.label ?? this.name ?? `${this.kind} ${this.address}`
  }

  start(): void {
    this.#enqueue()
  }

  /** Takes a message of a user, unless the mailbox is full or the process has ended: then it answers false. */
  admit(message: Message): boolean {
    if (this.depth >= this.#mark && !this.#admitsAtMark()) return false
    this.deliver(message)
    return true
  }

  /** Takes a message that is never refused; it fills the mailbox like any other, and says so like any other. */
  deliver(message: Message): void {
    if (this.depth >= this.#mark) this.#admitsAtMark()
    if (!this.alive) return
    this.mailbox.push(message)
    if (!this.busy && !this.#queued) this.#enqueue()
  }

  /** Takes a message that will end it in its turn. */
  deliverEnd(message: Message): void {
    this.deliver(message)
    this.tellToEnd()
  }

  /** Its end is certain from now on, though no message says so yet. */
  tellToEnd(): void {
    if (this.toldToEndAt !== undefined) return
    this.toldToEndAt = this.kernel.clock.monotonic()
    this.#onToldToEnd?.()
  }

  /** Calls `listener` when the process is told to end, at once when it was: what it waits for, it may give up. */
  onceToldToEnd(listener: (() => void) | undefined): void {
    this.#onToldToEnd = listener
    if (this.toldToEndAt !== undefined) listener?.()
  }

  run(quantum: number): number {
    // `#queued` stays true during the turn, so that what arrives meanwhile does not queue the process a second time.
    let count = 0
    if (!this.#begun && this.alive) {
      this.#begun = true
      count = 1
      this.behaviour.begin()
    }
    while (count < quantum && this.alive && !this.busy) {
      const message = this.mailbox.shift()
      if (message === undefined) break
      this.behaviour.handle(message)
      count++
    }
    this.handled += count
    this.#queued = false
    this.proceed()
    return count
  }

  /** Goes on, after a turn or after a pending handler settled, when there is anything to go on with. */
  proceed(): void {
    if (this.#mark === this.mailboxMax && this.depth <= this.mailboxMax / 4)
      this.#mark = Math.ceil(this.mailboxMax / 2)
    if (!this.alive || this.busy || this.#queued) return
    if (this.mailbox.length === 0) this.behaviour.idle()
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
    this.ties.links.add(other)
    other.ties.links.add(this)
  }

  unlink(other: Process): void {
    this.ties.links.delete(other)
    other.ties.links.delete(this)
  }

  /** Is watched by `monitor` from now on; when the process has ended, that fires at once with `noproc`. */
  watchBy(monitor: Monitor<Process>): void {
    if (this.alive) {
      monitor.target = this
      this.ties.watchers.add(monitor)
      monitor.owner?.ties.watching.add(monitor)
    } else monitor.fire('noproc')
  }

  /** Takes a monitor on this process back; false when it has fired. */
  unwatch(monitor: Monitor<Process>): boolean {
    monitor.owner?.ties.watching.delete(monitor)
    return this.ties.watchers.delete(monitor)
  }

  /**
   * An exit signal from `from`, by a link or sent by hand. `kill` sent by hand cannot be trapped and shows as `killed`.
   * `normal` from somebody else ends nobody.
   */
  signal(from: Process | undefined, reason: ExitReason, byLink: boolean): void {
    if (!this.alive) return
    if (reason === 'kill' && !byLink) this.end('killed')
    else if (this.trapping) {
      const message: ExitMessage = { from: from?.address, reason }
      this.deliver(new Envelope(kinds.exit, '', message))
      if (from === this.parent) this.tellToEnd()
    } else if (reason !== 'normal' || from === this) this.end(reason)
  }

  /** Ends the process now. Names are free at once; links, monitors and callers are told before the next message of anybody. */
  end(reason: ExitReason): void {
    if (!this.alive) return
    this.alive = false
    this.reason = reason
    this.kernel.names.release(this)
    this.mailbox.clear()
    this.behaviour.ended(reason)
    this.kernel.ended(this)
  }

  /** Ends the process for a reason of its own: when that is no orderly one, the log says so afterwards. */
  fail(reason: ExitReason): void {
    if (!this.alive) return
    this.end(reason)
    if (isOrderly(reason)) return
    const what = `${this} ended: ${describeReason(reason)}`
    this.kernel.logger.error(what, { pid: this.pid, reason })
  }

  /** Tells everybody. */
  tellEnd(): void {
    const { reason } = this
    for (const wait of this.#made ?? []) wait.makerEnded(reason)
    if (this.#ties !== undefined) tellTies<Process>(this, reason)
    while (this.#owed?.first !== undefined) this.#owed.first.holderEnded(reason)
    for (const timer of this.#timers ?? []) timer.cancel()
    this.#ties = this.#timers = undefined
    // A chain of processes that each start the next and end must not hold all its ancestors.
    this.starter = undefined
    this.parent = this
  }
}

/** The process that `context` belongs to. @throws KeelsonError `INVALID_ARGUMENT` when it is not a context */
export const processOf = (context: { readonly self: Ref }): Process => {
  if (!isRef(context?.self)) throw invalidArgument('context', 'the context of a process', context)
  const { process } = addressOf(context.self) as Address<Process>
  if (process === undefined) throw new Error('a context is that of a process')
  return process
}
