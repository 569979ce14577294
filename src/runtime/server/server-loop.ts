/**
 * Runs a server: takes one message after another, calls its handler, and applies the result. A
 * handler that returns at once costs no promise. One that returns a promise keeps the process busy
 * until it settles. A result that arrives after the end of the process is dropped. It is apart from
 * `system.ts` because a loop knows one process, and the System all of them.
 */
import { ownOf } from '../../own-names.ts'
import type { Begun, Behaviour, LoopContext, MessageNames } from '../process/behaviour.ts'
import { type Answerable, isNotDurable } from '../process/outputs.ts'
import { isCall, type PendingCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import { type AsyncContext, type Carrier, handOn } from '../queues/async-context.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { describeMessage, Envelope, kinds, type Message } from '../words/envelope.ts'
import { type ExitReason, reasonOf } from '../words/exit-reason.ts'
import { isThenable } from '../words/outside-code.ts'
import type { ShownMessage, StatusParts, TraceEvent } from '../words/telemetry.ts'
import { isRefused } from './acceptance.ts'
import { shownStatus } from './format-status.ts'
import { HandlerLimit } from './handler-limit.ts'
import { badAnswer, badReturn, isAnswer, isFollowed, NextStep, unchanged } from './next-step.ts'
import { type Handler, noHandler, type ServerTable } from './server-table.ts'
import { changed, isFromParent, SystemRequests, stopping } from './system-requests.ts'

// The timeout of a handler's result. It runs while the mailbox is empty. Any message but a system
// request and a refused one cancels it; after a system request it starts again at its full length.

/** The one timeout of one server. */
export class ServerTimeout implements HeapEntry, Carrier {
  /** Of the handler that asked for it. */
  declare context?: AsyncContext | undefined
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  #ms: number | undefined = undefined
  #armed = false
  /** Identifies the message of the present timeout: a cancelled one may still be queued. */
  #round = 0

  constructor(process: Process) {
    this.#process = process
  }

  /** Asks for a timeout of `ms`. */
  set(ms: number): void {
    this.#ms = ms
    if (this.context !== undefined) this.context = undefined
    this.#process.kernel.carry(this)
  }

  /** Forgets the timeout. */
  forget(): void {
    this.#ms = undefined
  }

  /** The mailbox is empty: starts the timeout. 0 fires at once. */
  arm(): void {
    if (this.#ms === undefined || this.#armed) return
    this.#armed = true
    if (this.#ms === 0) this.#process.mailbox.push(this.#message())
    else this.#process.kernel.timers.add(this, this.#ms)
  }

  /** A message is taken: stops the timeout. */
  disarm(): void {
    if (!this.#armed) return
    this.#armed = false
    this.#round++
    this.#process.kernel.timers.remove(this)
  }

  /** Whether `message` belongs to the present timeout. */
  isCurrent(message: Message): boolean {
    return message.payload === this.#round
  }

  fire(): void {
    this.#process.deliver(this.#message())
  }

  #message(): Message {
    const message = new Envelope(kinds.timeout, '', this.#round)
    handOn(this, message)
    return message
  }
}

/** The behaviour of a server's process. */
export class ServerLoop implements Behaviour {
  readonly answersSys = true
  readonly #process: Process
  readonly #server: ServerTable
  readonly #context: LoopContext
  /** Of its handlers and of `terminate`, if they have one. Made when the first is pending. */
  #limit: HandlerLimit | undefined = undefined
  #timeout: ServerTimeout | undefined = undefined
  #arg: unknown
  #state: unknown = undefined
  #phase: 'starting' | 'running' | 'terminating' = 'starting'
  #requests: SystemRequests | undefined = undefined
  /** The present call. `reply` answers it. */
  #call: Answerable | undefined = undefined
  /** Why the server terminates. */
  #reason: ExitReason = undefined
  /** Sends the reply of a `stopReply` after `terminate`. */
  #lastReply: (() => void) | undefined = undefined
  #onValue: ((value: unknown) => void) | undefined = undefined
  #onError: ((error: unknown) => void) | undefined = undefined

  constructor(process: Process, server: ServerTable, arg: unknown, context: LoopContext) {
    this.#process = process
    this.#server = server
    this.#arg = arg
    this.#context = context
  }

  // The behaviour of the process.

  get messages(): MessageNames {
    const { calls, casts, infos, call, cast, info } = this.#server
    return {
      calls: call ? undefined : Object.keys(calls),
      casts: cast ? undefined : Object.keys(casts),
      infos: info ? undefined : Object.keys(infos),
    }
  }

  get state(): unknown {
    const { sys } = this.#server
    return sys === undefined ? this.#state : sys.shown(this.#state)
  }

  get machine(): unknown {
    return this.#server.machine
  }

  aside(index: number): Message | undefined {
    return this.#requests?.aside(index)
  }

  begin(): void {
    const arg = this.#arg
    this.#arg = undefined
    try {
      this.#take(this.#server.init(arg, this.#context))
    } catch (thrown) {
      this.#failed(reasonOf(thrown))
    }
  }

  handle(message: Message): void {
    if (this.#requests?.putsAside(message)) return
    if (message.kind === kinds.timeout && !this.#timeout?.isCurrent(message)) return
    // A refused message is none: the timeout goes on.
    if (this.#isRefused(message)) return
    this.#timeout?.disarm()
    if (message.kind === kinds.system) this.#request(message as PendingCall)
    else this.#dispatch(message)
  }

  idle(): void {
    if (this.#phase === 'running' && !this.#requests?.isSuspended) this.#timeout?.arm()
  }

  ended(reason: ExitReason): void {
    this.#timeout?.disarm()
    this.#limit?.disarm()
    this.#requests?.ended()
    this.#context.ended()
    this.#state = undefined
    if (this.#phase !== 'starting') return
    // A signal ended `init`. A starter that traps exits learns it from the result of the start, not
    // from an exit message too (OTP). One that has its result already gets that message.
    const isResult = this.#context.begun({ ok: false, reason })
    const { parent } = this.#process
    if (isResult && parent.trapping) this.#process.unlink(parent)
  }

  status(): 'starting' | 'waiting' | 'suspended' | 'terminating' {
    if (this.#phase !== 'running') return this.#phase
    return this.#requests?.isSuspended ? 'suspended' : 'waiting'
  }

  shown(lastMessage: ShownMessage | undefined, reason?: ExitReason): StatusParts {
    const { state } = this
    return shownStatus(this.#server.formatStatus, { state, lastMessage, reason })
  }

  stepped(make: () => TraceEvent): void {
    this.#requests?.stepped(make)
  }

  // Messages.

  #isRefused(message: Message): boolean {
    const { accepts, isOtpOutside, infos } = this.#server
    const isOwnInfo = message.kind === kinds.info && message.name in infos
    const isOtp = isOtpOutside && !this.#process.instance && !isOwnInfo
    if (accepts && !isOtp && isRefused(accepts, this.#process, message)) return true
    return isCall(message) && isNotDurable(this.#process.outputs, message)
  }

  #dispatch(message: Message): void {
    this.#timeout?.forget()
    this.#requests?.received(message)
    this.#process.current = message
    const { name, payload } = message
    switch (message.kind) {
      case kinds.call:
        if (isCall(message)) this.#call = this.#process.outputs.answering(message)
        this.#context.from = this.#call
        this.#require(this.#server.calls[name] ?? this.#server.call, message)
        break
      case kinds.cast:
        this.#require(this.#server.casts[name] ?? this.#server.cast, message)
        break
      case kinds.continue:
        this.#require(this.#server.continues[name], message)
        break
      case kinds.info: {
        const declared = this.#server.infos[name]
        if (declared !== undefined) this.#invoke(declared, payload)
        else this.#offer(this.#server.info, { name, payload }, message)
        break
      }
      case kinds.exit:
        if (isFromParent(this.#process, message)) this.#terminate(message.payload.reason)
        else this.#offer(this.#server.exit, payload, message)
        break
      case kinds.down:
        this.#offer(this.#server.down, payload, message)
        break
      default:
        this.#offer(this.#server.timeout, undefined, message)
    }
  }

  /**
   * A declared message without a handler is a mistake of the sender or of the server's types. The
   * server ends.
   */
  #require(handler: Handler | undefined, message: Message): void {
    if (handler !== undefined) this.#invoke(handler, message.payload)
    else this.#failed(noHandler(this.#process, message))
  }

  /** Messages of these kinds are logged if the server has no handler for them. */
  #offer(handler: Handler | undefined, payload: unknown, message: Message): void {
    if (handler !== undefined) this.#invoke(handler, payload)
    else {
      const { name, payload: unexpected } = message
      const what = describeMessage(message)
      this.#process.kernel.logger.warn(`${this.#process}: unexpected ${what}`, {
        ...this.#process.logged,
        name,
        payload: this.#process.shownPayload(what, unexpected),
      })
    }
  }

  #invoke(handler: Handler, payload: unknown): void {
    let answer: unknown
    try {
      answer = handler(this.#state, payload, this.#context)
    } catch (thrown) {
      this.#failed(reasonOf(thrown))
      return
    }
    this.#take(answer)
  }

  // Answers.

  /** Takes the result of `init`, a handler or `terminate`, at once or when its promise settles. */
  #take(answer: unknown): void {
    if (!this.#process.alive) return
    const isStep = NextStep.is(answer)
    if (!isStep && this.#awaits(answer)) return
    if (this.#phase === 'starting') this.#start(answer)
    else if (this.#phase === 'terminating') this.#finish()
    else if (isStep) this.#follow(answer)
    else this.#failed(badAnswer(answer, this.#call !== undefined))
  }

  /**
   * Whether `answer` is a thenable, which is then awaited. A throw of its `then` counts as a throw
   * of the handler.
   */
  #awaits(answer: unknown): boolean {
    try {
      if (!isThenable(answer)) return false
      this.#process.busy = true
      this.#process.busySince = this.#process.kernel.clock.now()
      if (this.#phase !== 'starting') this.#armLimit()
      this.#onValue ??= (value) => this.#settled(() => this.#take(value))
      this.#onError ??= (error) => this.#settled(() => this.#failed(reasonOf(error)))
      // `Promise.resolve` makes it settle once.
      Promise.resolve(answer).then(this.#onValue, this.#onError)
    } catch (thrown) {
      this.#process.busy = false
      this.#limit?.disarm()
      this.#failed(reasonOf(thrown))
    }
    return true
  }

  #armLimit(): void {
    this.#limit ??= HandlerLimit.of(this.#process, this.#process.handlerTimeoutMs)
    this.#limit?.arm(this.#reason)
  }

  #settled(goOn: () => void): void {
    if (!this.#process.alive) return
    this.#process.busy = false
    this.#limit?.disarm()
    try {
      goOn()
    } catch (thrown) {
      this.#process.broke(thrown)
    }
    this.#process.proceed()
  }

  #start(answer: unknown): void {
    if (!NextStep.is(answer)) this.#started(answer)
    else if (answer.kind === 'ok' && isFollowed(answer)) {
      this.#started(answer.state)
      this.#then(answer)
    } else if (answer.kind === 'ignore') this.#refuse({ ignore: true }, 'normal')
    else {
      const reason = answer.kind === 'stop' ? answer.reason : badReturn(answer)
      this.#refuse({ ok: false, reason }, reason)
    }
  }

  #started(state: unknown): void {
    this.#state = state
    this.#phase = 'running'
    // Many servers wait in `init` alone.
    this.#onValue = this.#onError = undefined
    this.#context.begun({ ok: true })
  }

  /**
   * A refused start: the starter is notified first, then links and monitors. There is no state, so
   * `terminate` does not run.
   */
  #refuse(begun: Begun, reason: ExitReason): void {
    this.#phase = 'terminating'
    const { formatStatus } = this.#server
    const status = { state: undefined, lastMessage: undefined, reason }
    const shown = shownStatus(formatStatus, status).reason
    // For supervisors alone: the result belongs to the code that starts the process.
    if (formatStatus) Object.defineProperty(begun, 'shown', { value: shown })
    this.#context.begun(begun)
    this.#process.end(reason, shown)
  }

  #follow(step: NextStep): void {
    const call = this.#call
    this.#call = undefined
    if (!isAnswer(step, call !== undefined)) {
      this.#failed(badAnswer(step, call !== undefined))
      return
    }
    if (step.state !== unchanged) this.#state = step.state
    if (step.kind === 'reply') {
      this.#requests?.replied(step.value)
      call?.reply(step.value)
      this.#then(step)
    } else if (step.kind === 'noReply') this.#then(step)
    else {
      if (step.kind === 'stopReply') this.#lastReply = () => call?.reply(step.value)
      this.#terminate(step.reason)
    }
  }

  #then({ next }: NextStep): void {
    if (next === undefined) return
    const [step, timeoutMs] = [ownOf(next, 'continue'), ownOf(next, 'timeoutMs')]
    if (step !== undefined) {
      const [name, payload] = step
      const message = new Envelope(kinds.continue, name, payload)
      this.#process.mailbox.unshift(this.#process.kernel.carry(message))
    } else if (timeoutMs !== undefined) {
      this.#timeout ??= new ServerTimeout(this.#process)
      this.#timeout.set(timeoutMs)
    } else if (ownOf(next, 'hibernate') && this.#process.depth === 0) this.#process.mailbox.clear()
  }

  // Ending.

  /**
   * `init`, a handler or `terminate` threw or rejected. The reason of `terminate` replaces the
   * first one.
   */
  #failed(reason: ExitReason): void {
    if (!this.#process.alive) return
    this.#call = undefined
    if (this.#phase === 'starting') this.#refuse({ ok: false, reason }, reason)
    else if (this.#phase === 'running') this.#terminate(reason)
    else {
      this.#reason = reason
      this.#finish()
    }
  }

  #terminate(reason: ExitReason): void {
    this.#phase = 'terminating'
    this.#reason = reason
    this.#requests?.terminates()
    const { terminate } = this.#server
    if (terminate === undefined) this.#finish()
    else this.#invoke((state, _, context) => terminate(state, reason, context), undefined)
  }

  /**
   * The reply of a stop is sent after `terminate`, as in OTP, and before links and monitors are
   * notified.
   */
  #finish(): void {
    this.#lastReply?.()
    this.#process.fail(this.#reason)
  }

  // System requests.

  #request(request: PendingCall): void {
    if (request.name === 'stop') {
      request.note = stopping
      this.#terminate(request.payload)
      return
    }
    this.#requests ??= new SystemRequests(this.#process)
    const { sys } = this.#server
    if (sys === undefined) this.#state = this.#requests.handle(request, this.#state)
    else if (request.name === 'replaceState')
      sys.replace(this.#state, request, (state) => changed(request, state))
    else this.#requests.handle(request, sys.shown(this.#state))
  }
}
