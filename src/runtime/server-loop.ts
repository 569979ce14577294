/**
 * Runs a server: takes one message after another, calls its handler, and does what the handler answers. A handler that
 * answers at once costs no promise; one that answers a promise keeps the process busy until it settles. What a handler
 * answers after its process has ended is dropped.
 */
import { KeelsonError } from '../errors.ts'
import { Envelope, kinds, type Message } from './envelope.ts'
import { describeReason, type ExitReason, isOrderly, reasonOf } from './exit-reason.ts'
import { NextStep, unchanged } from './next-step.ts'
import type { PendingCall } from './pending-call.ts'
import type { Behaviour, ExitMessage, Process } from './process.ts'
import { Ring } from './ring.ts'
import type { ServerTable } from './server-table.ts'
import { ServerTimeout } from './server-timeout.ts'
import { type SystemRequest, SystemRequests } from './system-requests.ts'

/** What came of `init`, before whoever started the server is told. */
export type Begun =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: ExitReason }
  | { readonly ignore: true }

/** What the loop hands its server as context. */
export interface LoopContext {
  from: unknown
  /** The process has ended. */
  ended(): void
}

type Phase = 'starting' | 'running' | 'terminating'

/** The behaviour of a server's process. */
export class ServerLoop implements Behaviour {
  readonly #process: Process
  readonly #server: ServerTable
  readonly #context: LoopContext
  readonly #onBegun: (begun: Begun) => void
  readonly #timeout: ServerTimeout
  #arg: unknown
  #state: unknown = undefined
  #phase: Phase = 'starting'
  #suspended = false
  #aside: Ring<Message> | undefined = undefined
  #requests: SystemRequests | undefined = undefined
  /** The call at hand; a `reply` answers it. */
  #call: PendingCall | undefined = undefined
  /** Why the server is terminating, and what to answer when that is done. */
  #reason: ExitReason = undefined
  #lastReply: { readonly call: PendingCall; readonly value: unknown } | undefined = undefined
  #onValue: ((value: unknown) => void) | undefined = undefined
  #onError: ((error: unknown) => void) | undefined = undefined

  constructor(
    process: Process,
    server: ServerTable,
    arg: unknown,
    context: LoopContext,
    onBegun: (begun: Begun) => void,
  ) {
    this.#process = process
    this.#server = server
    this.#arg = arg
    this.#context = context
    this.#onBegun = onBegun
    this.#timeout = new ServerTimeout(process)
  }

  // What the process asks of its behaviour.

  begin(): void {
    let answer: unknown
    try {
      answer = this.#server.init(this.#arg, this.#context)
    } catch (thrown) {
      return this.#refuse(reasonOf(thrown))
    }
    this.#arg = undefined
    if (isThenable(answer)) this.#await(answer)
    else this.#start(answer)
  }

  handle(message: Message): void {
    if (this.#suspended && !this.#isUrgent(message)) return this.#putAside(message)
    if (message.kind === kinds.timeout && !this.#timeout.isCurrent(message)) return
    this.#timeout.disarm()
    if (message.kind === kinds.system) return this.#request(message as SystemRequest)
    this.#timeout.forget()
    this.#requests?.received(message)
    this.#process.current = message
    switch (message.kind) {
      case kinds.call:
        return this.#handleCall(message as PendingCall)
      case kinds.cast:
        return this.#run(this.#server.casts[message.name], message)
      case kinds.info:
        return this.#handleInfo(message)
      case kinds.continue:
        return this.#run(this.#server.continues[message.name], message)
      case kinds.exit:
        return this.#handleExit(message)
      case kinds.down:
        return this.#handleOptional(this.#server.down, message)
      default:
        return this.#handleOptional(this.#server.timeout, message)
    }
  }

  idle(): void {
    if (this.#phase === 'running' && !this.#suspended) this.#timeout.arm()
  }

  ended(reason: ExitReason): void {
    this.#timeout.disarm()
    this.#aside = undefined
    this.#context.ended()
    if (this.#phase !== 'starting') return
    // A signal cut `init` off. A starter that traps learns it from the answer, not from an exit message besides (OTP).
    const { parent } = this.#process
    if (parent.trapping) this.#process.unlink(parent)
    this.#onBegun({ ok: false, reason })
  }

  status(): 'starting' | 'waiting' | 'suspended' | 'terminating' {
    return this.#phase === 'running' ? (this.#suspended ? 'suspended' : 'waiting') : this.#phase
  }

  // Starting.

  #start(answer: unknown): void {
    if (!this.#process.alive) return
    if (!(answer instanceof NextStep)) return this.#started(answer)
    switch (answer.kind) {
      case 'ok':
        this.#started(answer.state)
        return this.#follow(answer)
      case 'ignore':
        this.#phase = 'terminating'
        this.#onBegun({ ignore: true })
        return this.#process.end('normal')
      case 'stop':
        return this.#refuse(answer.reason)
      default:
        return this.#refuse(['bad_return_value', answer])
    }
  }

  #started(state: unknown): void {
    this.#state = state
    this.#phase = 'running'
    this.#onBegun({ ok: true })
  }

  /** A refused start: the starter is told first, then links and monitors. There is no state, so no `terminate`. */
  #refuse(reason: ExitReason): void {
    if (!this.#process.alive) return
    this.#phase = 'terminating'
    this.#onBegun({ ok: false, reason })
    this.#process.end(reason)
  }

  // Messages.

  #handleCall(call: PendingCall): void {
    this.#call = call
    this.#context.from = call
    this.#run(this.#server.calls[call.name], call)
  }

  #handleInfo(message: Message): void {
    const handler = this.#server.infos[message.name]
    if (handler !== undefined) return this.#run(handler, message)
    if (this.#server.info === undefined) return this.#warn(message)
    const { name, payload } = message
    this.#invoke(this.#server.info, { name, payload })
  }

  #handleExit(message: Message): void {
    const { from, reason } = message.payload as ExitMessage
    if (from !== undefined && from === this.#process.parent.address) this.#terminate(reason)
    else this.#handleOptional(this.#server.exit, message)
  }

  #handleOptional(handler: ServerTable['exit'], message: Message): void {
    if (handler === undefined) this.#warn(message)
    else if (message.kind === kinds.timeout) this.#invokeTimeout()
    else this.#invoke(handler, message.payload)
  }

  #warn(message: Message): void {
    const what = message.kind === kinds.info ? `info ${message.name}` : 'message'
    this.#process.kernel.logger.warn(`${this.#process}: unexpected ${what}`, {
      kind: message.kind,
      name: message.name,
      payload: message.payload,
    })
  }

  #run(handler: ServerTable['exit'], message: Message): void {
    if (handler !== undefined) return this.#invoke(handler, message.payload)
    const what = `${this.#process} has no handler for ${message.name}`
    this.#fail(new KeelsonError('INVALID_ARGUMENT', what, { details: { message: message.name } }))
  }

  #invoke(
    handler: (state: unknown, payload: unknown, context: unknown) => unknown,
    payload: unknown,
  ): void {
    let answer: unknown
    try {
      answer = handler(this.#state, payload, this.#context)
    } catch (thrown) {
      return this.#fail(reasonOf(thrown))
    }
    if (answer instanceof NextStep) this.#follow(answer)
    else if (isThenable(answer)) this.#await(answer)
    else this.#fail(['bad_return_value', answer])
  }

  #invokeTimeout(): void {
    const handler = this.#server.timeout
    if (handler !== undefined)
      this.#invoke((state, _, context) => handler(state, context), undefined)
  }

  // Answers.

  #follow(step: NextStep): void {
    if (!this.#process.alive) return
    const call = this.#call
    this.#call = undefined
    switch (step.kind) {
      case 'noReply':
      case 'ok':
        this.#state = step.state
        break
      case 'reply':
        if (call === undefined) return this.#fail(['bad_return_value', step])
        this.#state = step.state
        this.#requests?.replied(step.value)
        call.reply(step.value)
        break
      case 'stopReply':
        if (call === undefined) return this.#fail(['bad_return_value', step])
        this.#lastReply = { call, value: step.value }
        this.#state = step.state
        return this.#terminate(step.reason)
      case 'stop':
        if (step.state !== unchanged) this.#state = step.state
        return this.#terminate(step.reason)
      default:
        return this.#fail(['bad_return_value', step])
    }
    if (step.then !== undefined) this.#then(step.then)
  }

  #then(then: NonNullable<NextStep['then']>): void {
    if (then.continue !== undefined) {
      const [name, payload] = then.continue
      this.#process.mailbox.unshift(new Envelope(kinds.continue, name, payload))
    } else if (then.timeoutMs !== undefined) this.#timeout.set(then.timeoutMs)
  }

  #await(answer: PromiseLike<unknown>): void {
    this.#process.busy = true
    this.#process.busySince = this.#process.kernel.clock.now()
    this.#onValue ??= (value) => this.#settled(value)
    this.#onError ??= (error) => this.#rejected(reasonOf(error))
    answer.then(this.#onValue, this.#onError)
  }

  #settled(value: unknown): void {
    if (!this.#process.alive) return
    this.#process.busy = false
    if (this.#phase === 'starting') this.#start(value)
    else if (this.#phase === 'terminating') this.#finish()
    else if (value instanceof NextStep) this.#follow(value)
    else this.#fail(['bad_return_value', value])
    this.#process.proceed()
  }

  #rejected(reason: ExitReason): void {
    if (!this.#process.alive) return
    this.#process.busy = false
    if (this.#phase === 'starting') return this.#refuse(reason)
    if (this.#phase === 'running') return this.#fail(reason)
    this.#reason = reason
    this.#finish()
  }

  // Ending.

  #fail(reason: ExitReason): void {
    this.#call = undefined
    this.#terminate(reason)
  }

  #terminate(reason: ExitReason): void {
    if (!this.#process.alive) return
    this.#phase = 'terminating'
    this.#reason = reason
    if (this.#server.terminate === undefined) return this.#finish()
    let answer: unknown
    try {
      answer = this.#server.terminate(this.#state, reason, this.#context)
    } catch (thrown) {
      this.#reason = reasonOf(thrown)
    }
    if (isThenable(answer)) this.#await(answer)
    else this.#finish()
  }

  /** The reply of a stop goes out after `terminate`, as in OTP, and before anybody learns of the end. */
  #finish(): void {
    if (!this.#process.alive) return
    this.#lastReply?.call.reply(this.#lastReply.value)
    const reason = this.#reason
    if (!isOrderly(reason)) {
      this.#process.kernel.logger.error(`${this.#process} ended: ${describeReason(reason)}`, {
        pid: this.#process.pid,
        reason,
      })
    }
    this.#process.end(reason)
  }

  // Suspension and system requests.

  #isUrgent(message: Message): boolean {
    if (message.kind === kinds.system) return true
    return (
      message.kind === kinds.exit &&
      (message.payload as ExitMessage).from === this.#process.parent.address
    )
  }

  #putAside(message: Message): void {
    this.#aside ??= new Ring()
    this.#aside.push(message)
    this.#process.aside++
    this.#process.handled--
  }

  #request(request: SystemRequest): void {
    if (request.name === 'stop') return this.#terminate(request.payload)
    this.#requests ??= new SystemRequests()
    const answer = this.#requests.handle(request, {
      state: this.#state,
      suspended: this.#suspended,
      process: this.#process,
    })
    this.#state = answer.state
    if (answer.suspended !== this.#suspended) this.#suspend(answer.suspended)
  }

  #suspend(on: boolean): void {
    this.#suspended = on
    if (on || this.#aside === undefined) return
    this.#process.mailbox.prepend(this.#aside)
    this.#process.aside = 0
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function'
