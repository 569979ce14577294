/**
 * A call that waits for its answer. One object is the message in the target's mailbox, the entry in
 * the heap of timeouts and the handler's `from`. It settles exactly once: by an answer, the end of
 * its holder, its timeout, or the end of its caller.
 */

import { type ErrorCode, type ErrorDetails, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { showAsText } from '../../value-text.ts'
import type { Carrier } from '../queues/async-context.ts'
import type { HeapEntry, TimerHeap } from '../queues/timer-heap.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { type Kind, kinds, type Message } from '../words/envelope.ts'
import { causeOf, End, type ExitReason, endOf, reasonDetails } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import type { AbortWaits } from './abort-waits.ts'
import type { CallOptions, CallOrigin, PositionOption } from './call-options.ts'

/**
 * The calls that one process has to answer: a list linked through the calls, so that adding and
 * removing take constant time. A call is in one list at most, and in none once it has settled.
 */
export class CallList {
  first: PendingCall | undefined

  /** Adds a call, which leaves its former list. A settled one is owed to nobody. */
  add(call: PendingCall): void {
    call.list?.remove(call)
    if (call.isSettled) return
    call.list = this
    call.before = undefined
    call.after = this.first
    if (this.first !== undefined) this.first.before = call
    this.first = call
  }

  remove(call: PendingCall): void {
    if (call.before === undefined) this.first = call.after
    else call.before.after = call.after
    if (call.after !== undefined) call.after.before = call.before
    call.list = undefined
    call.before = undefined
    call.after = undefined
  }

  /** Takes all calls out, in the order in which they were added: who repeats them keeps that. */
  takeAll(): readonly PendingCall[] {
    const taken: PendingCall[] = []
    for (let call = this.first; call !== undefined; call = this.first) {
      this.remove(call)
      taken.push(call)
    }
    return taken.reverse()
  }
}

/** A message in words, and since when its handler is pending, in ms since 1970. */
export type Handling = { readonly message: string; readonly since: number }

/** Where a call waits: the name and the number of a process, and its handler that is pending. */
export type CallPlace = { readonly title: string; readonly handling: Handling }

/** A process that has calls to answer. */
export interface CallHolder {
  readonly pid: number
  readonly alive: boolean
  readonly reason: ExitReason
  readonly shownReason: ExitReason
  readonly owed: CallList
  readonly handling: Handling | undefined
  /** Its name and its number. */
  readonly title: string
  readonly kernel: { readonly logger: Pick<Logger, 'error'> }
  toString(): string
}

/** Something that a process waits for. The end of the process settles it at the latest. */
export interface Waiter {
  /** The waiting process has ended. */
  makerEnded(end: End): void
}

/** The handler of the call itself, or of a message before it. */
const handlingText = (handling: Handling | undefined): string =>
  handling ? `: it handles ${handling.message} since ${new Date(handling.since).toISOString()}` : ''

/** Gets the outcome of a call: `failure` has the error of one that failed. */
export type OnResult = (failure: { readonly error: unknown } | undefined) => void

/** A process that made a call. Its end settles the call. */
export interface CallMaker {
  readonly made: Set<Waiter>
  readonly address: Ref
  readonly title: string
  toString(): string
}

/** One call in flight. */
export class PendingCall implements Message, HeapEntry, Waiter {
  declare context?: Carrier['context']
  declare arrivedAt?: number | undefined
  readonly kind: Kind
  readonly name: string
  readonly payload: unknown
  readonly maker: CallMaker | undefined
  readonly promise: Promise<unknown>
  /** The position that the answer depends on, set by the durable actor that answers. */
  position: { readonly shard: number; readonly lsn: number } | undefined = undefined
  /** Where it waits at another member, as that has said last. */
  there: CallPlace | undefined = undefined
  /** Gets how it settled, while calls are watched. */
  onResult: OnResult | undefined = undefined
  /** Set by `handTo`: in the error if the holder dies. */
  note: unknown = undefined
  /** Makes the error of its timeout once its answer is decided and on its way. */
  late: (() => KeelsonError) | undefined = undefined
  list: CallList | undefined = undefined
  before: PendingCall | undefined = undefined
  after: PendingCall | undefined = undefined
  dueAt = 0
  order = 0
  slot = -1
  #settled = false
  readonly #timers: TimerHeap
  readonly #options: (CallOptions & PositionOption<boolean>) | undefined
  readonly #origin: CallOrigin | undefined
  #timeoutMs = Number.POSITIVE_INFINITY
  /** The process that was called; another may hold the call by now. */
  readonly #target: CallHolder
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void
  #listeners: Set<() => void> | undefined = undefined

  constructor(
    kind: Kind,
    name: string,
    payload: unknown,
    maker: CallMaker | undefined,
    target: CallHolder,
    timers: TimerHeap,
    options?: CallOptions & PositionOption<boolean>,
    origin?: CallOrigin,
  ) {
    this.kind = kind
    this.name = name
    this.payload = payload
    this.maker = maker
    this.#target = target
    this.#timers = timers
    this.#options = options
    this.#origin = origin
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** The calling process, if it called through a ref with its sender bound. */
  get caller(): Ref | undefined {
    return this.maker?.address
  }

  /** The caller's name for this request. A repeat with the same id gets the first outcome. */
  get id(): string | undefined {
    return this.#options?.id
  }

  /** The caller wants to know the position that the answer depends on. */
  get asksPosition(): boolean {
    return this.#options?.position === true
  }

  /** At another member the call waits for a process with the name, too. */
  get waitsForName(): boolean {
    return this.#options?.waitForName === true
  }

  /** Leaves it, at once, to the member that has made it here: that makes it at the next owner. */
  get giveBack(): CallOrigin['giveBack'] {
    return this.#origin?.giveBack
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    return `call ${this.name}`
  }

  /** Starts to wait for its answer, for at most `timeoutMs` and until its signal aborts. */
  begin(timeoutMs: number, aborts: AbortWaits): void {
    this.#target.owed.add(this)
    this.maker?.made.add(this)
    this.#timeoutMs = timeoutMs
    this.#timers.add(this, timeoutMs)
    const signal = this.#options?.signal
    if (signal !== undefined) this.#obey(signal, aborts)
  }

  /** Where it waits, if a handler of that process is pending. */
  get place(): CallPlace | undefined {
    const { title, handling } = this.#target
    return handling && { title, handling }
  }

  /** The time that its caller has given it. */
  get wholeMs(): number {
    return this.#origin?.wholeMs ?? this.#timeoutMs
  }

  /** Whether the caller has its outcome. */
  get isSettled(): boolean {
    return this.#settled
  }

  /**
   * Calls `listener` once, when the caller has its outcome. Returns a function that ends this: a call
   * that is sent again and again has the listeners of its last way alone.
   */
  onceSettled(listener: () => void): () => void {
    this.#listeners ??= new Set()
    const listeners = this.#listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Its answer is decided and on its way: the end of its holder does not fail it. */
  release(late: () => KeelsonError): void {
    this.list?.remove(this)
    this.late = late
  }

  /** Answers the caller. False: it does not wait any longer. */
  reply(value: unknown): boolean {
    if (this.#settled) return false
    this.#resolve(this.asksPosition ? { value, position: this.position } : value)
    this.#close()
    this.#announce(undefined)
    return true
  }

  /**
   * Rejects the caller with `error` as it is. False: it does not wait any longer. The rejection
   * never counts as unhandled: a process may await one call while a second one fails, and Node
   * would end all processes.
   */
  fail(error: unknown): boolean {
    if (this.#settled) return false
    if (this.maker !== undefined) this.promise.catch(ignore)
    this.#reject(error)
    this.#close()
    this.#announce({ error })
    return true
  }

  /** Makes `target` the holder of the call. If it dies first, `note` is in the error. */
  handTo(target: Ref<unknown>, note?: unknown): void {
    this.note = note
    const holder = addressOf<CallHolder>(target).resolve()
    if (holder?.alive) holder.owed.add(this)
    else this.holderEnded(holder === undefined ? new End('noproc') : endOf(holder), holder)
  }

  /** `holder` died before it answered. */
  holderEnded(end: End, holder: CallHolder | undefined): void {
    const make = (): KeelsonError => {
      const facts = this.note === undefined ? {} : { note: this.note }
      return this.#error('EXITED', `${this.#holderText(holder)} ended: ${end.text}`, end, facts)
    }
    if (end.takeStack()) this.#failWhereAwaited(make)
    else if (!this.#settled) this.fail(withoutStack(make))
  }

  /** The caller died: its pending code gets an error and unwinds. */
  makerEnded(end: End): void {
    this.fail(this.late?.() ?? this.#error('EXITED', `the caller ended: ${end.text}`, end))
  }

  /** The timeout ran out. The message stays in the mailbox and may still be handled. */
  fire(): void {
    const timeoutMs = this.wholeMs
    const { title } = this.#target
    const { there } = this
    const handling = there?.handling ?? this.#target.handling
    const what = `no answer from ${title} within ${Math.ceil(timeoutMs)} ms`
    const facts = { timeoutMs, ...(handling && { handling }) }
    const { late } = this
    this.#failWhereAwaited(
      () =>
        late?.() ??
        this.#error('TIMEOUT', what + handlingText(handling), new End('timeout'), facts),
    )
  }

  /** The error of this call. It names the message, the target, and the caller when it is known. */
  #error(code: ErrorCode, what: string, end: End, facts: ErrorDetails = noOptions): KeelsonError {
    const { name, maker } = this
    const by = maker === undefined ? '' : `, called by ${maker.title}`
    const details: Record<string, unknown> = { message: name }
    Object.defineProperties(details, Object.getOwnPropertyDescriptors(reasonDetails(end)))
    Object.assign(details, facts)
    details.target = this.#target.title
    if (maker !== undefined) details.caller = maker.title
    return new KeelsonError(code, `${name}: ${what}${by}`, {
      details,
      ...causeOf(end.shown),
    })
  }

  #holderText(holder = this.#target): string {
    const { title } = this.#target
    return holder === this.#target ? title : `${holder.title}, which has the call of ${title},`
  }

  /**
   * Rejects the caller with an error whose stack shows the code that awaits the call. V8 finds that
   * code only in a promise's reaction, so the error is made in one on which the call depends.
   */
  #failWhereAwaited(make: () => KeelsonError): void {
    if (this.#settled) return
    const failing = Promise.resolve()
      .then(ignore)
      .then(() => {
        const error = make()
        if (this.maker !== undefined) this.promise.catch(ignore)
        this.#announce({ error })
        throw error
      })
    this.#resolve(failing)
    this.#close()
  }

  #obey(signal: AbortSignal, aborts: AbortWaits): void {
    if (signal.aborted) {
      this.fail(signal.reason)
      return
    }
    this.onceSettled(aborts.add(signal, () => void this.fail(signal.reason)))
  }

  /**
   * The caller has its outcome by now, so nothing that throws here can keep it back. Where no stack is
   * left for the outcome itself, the call has not settled, and another end settles it.
   */
  #close(): void {
    this.#settled = true
    this.list?.remove(this)
    if (this.slot >= 0) this.#timers.remove(this)
    this.maker?.made.delete(this)
    const listeners = this.#listeners
    if (listeners === undefined) return
    this.#listeners = undefined
    for (const listener of listeners) this.#tell(listener)
  }

  #announce(failure: Parameters<OnResult>[0]): void {
    const { onResult } = this
    if (onResult !== undefined) this.#tell(() => onResult(failure))
  }

  /** A listener that throws keeps the outcome from nobody. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch (reason) {
      this.#target.kernel.logger.error(`a listener of ${this} threw`, { reason })
    }
  }
}

showAsText(PendingCall)

/** Whether a message is a call. */
export const isCall = (message: Message): message is PendingCall => message.kind === kinds.call

/** The result of `make`, without a stack. */
const withoutStack = (make: () => KeelsonError): KeelsonError => {
  const { stackTraceLimit } = Error
  // `Reflect.set` does not throw where the intrinsics are frozen.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

const ignore = (): void => {}
