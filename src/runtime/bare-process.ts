/**
 * A bare process: it runs a function from start to end and takes its messages when it asks for them (`receive`). It ends
 * `normal` when the function returns, else with what it threw. What tasks are made of; servers suit most other needs.
 */
import { KeelsonError } from '../errors.ts'
import type { Behaviour } from './behaviour.ts'
import { type ExitMessage, kinds, type Message } from './envelope.ts'
import { type ExitReason, reasonOf } from './exit-reason.ts'
import type { From, Received, System } from './gen-server.ts'
import type { DownMessage } from './monitor.ts'
import type { PendingCall } from './pending-call.ts'
import type { Process } from './process.ts'
import { ServerContext, type Starter } from './server-context.ts'
import { type HeapEntry, isDelay, noDelay } from './timer-heap.ts'

/** What a bare process runs. */
export type Body = (context: never) => unknown

/** The behaviour of a bare process, and the waiting of its one `receive`. */
export class BareProcess implements Behaviour, HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  readonly #context: ReceivingContext
  readonly #body: Body
  readonly #onBegun: () => void
  #receiver: ((received: Received | undefined) => void) | undefined = undefined
  #hasBegun = false

  constructor(process: Process, body: Body, system: System & Starter, onBegun: () => void) {
    this.#process = process
    this.#body = body
    this.#onBegun = onBegun
    this.#context = new ReceivingContext(process, system, (ms) => this.#receive(ms))
  }

  begin(): void {
    this.#hasBegun = true
    this.#onBegun()
    this.#process.busy = true
    this.#process.busySince = this.#process.kernel.clock.now()
    void this.#run()
  }

  handle(message: Message): void {
    const received = receivedOf(message)
    if (received !== undefined) this.#hand(received)
  }

  idle(): void {}

  ended(): void {
    this.#process.kernel.timers.remove(this)
    this.#context.ended()
  }

  status(): 'starting' | 'waiting' {
    return this.#hasBegun ? 'waiting' : 'starting'
  }

  /** The time of `receive` is over. */
  fire(): void {
    this.#hand(undefined)
  }

  async #run(): Promise<void> {
    let reason: ExitReason = 'normal'
    try {
      await this.#body(this.#context as never)
    } catch (thrown) {
      reason = reasonOf(thrown)
    }
    this.#process.fail(reason)
  }

  #receive(timeoutMs: number): Promise<Received | undefined> {
    if (!isDelay(timeoutMs)) return Promise.reject(noDelay('receive', timeoutMs))
    if (!this.#process.alive) return Promise.reject(endedError(this.#process))
    for (let next = this.#process.mailbox.shift(); next; next = this.#process.mailbox.shift()) {
      const received = receivedOf(next)
      if (received !== undefined) return Promise.resolve(received)
    }
    if (timeoutMs === 0) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#receiver = resolve
      this.#process.busy = false
      this.#process.kernel.timers.add(this, timeoutMs)
    })
  }

  /** Gives the waiting `receive` what it waits for; until the next one, messages wait in the mailbox. */
  #hand(received: Received | undefined): void {
    this.#process.kernel.timers.remove(this)
    this.#process.busy = true
    this.#receiver?.(received)
    this.#receiver = undefined
  }
}

/** The context of a bare process. */
class ReceivingContext extends ServerContext {
  readonly #receive: (timeoutMs: number) => Promise<Received | undefined>

  constructor(
    process: Process,
    system: System & Starter,
    receive: (timeoutMs: number) => Promise<Received | undefined>,
  ) {
    super(process, system)
    this.#receive = receive
  }

  receive(timeoutMs = Number.POSITIVE_INFINITY): Promise<Received | undefined> {
    return this.#receive(timeoutMs)
  }
}

/** The message as `receive` shows it. A bare process does not answer `sys`. */
const receivedOf = (message: Message): Received | undefined => {
  const { kind, name, payload } = message
  switch (kind) {
    case kinds.call:
      return { kind: 'call', name, payload, from: message as PendingCall as From }
    case kinds.cast:
      return { kind: 'cast', name, payload }
    case kinds.info:
      return { kind: 'info', name, payload }
    case kinds.exit:
      return { kind: 'exit', ...(payload as ExitMessage) }
    case kinds.down:
      return { kind: 'down', ...(payload as DownMessage) }
    default:
      return undefined
  }
}

const endedError = (process: Process): KeelsonError =>
  new KeelsonError('EXITED', 'the process has ended', { details: { reason: process.reason } })
