/**
 * A bare process: it runs a function from start to end and takes its messages when it asks for them
 * (`receive`). It ends with `normal` when the function returns, and otherwise with the thrown
 * value. Tasks are bare processes; most other needs suit a server better. It is apart from
 * `server-loop.ts` because a message waits here until the function asks for it.
 */
import { KeelsonError } from '../../errors.ts'
import type { Behaviour } from '../process/behaviour.ts'
import { refused } from '../process/guarded.ts'
import { isNotDurable, type Outputs } from '../process/outputs.ts'
import { isCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import { Wait } from '../process/wait.ts'
import { isDelay, noDelay } from '../queues/timer-heap.ts'
import { isExit, kinds, type Message } from '../words/envelope.ts'
import { reasonOf } from '../words/exit-reason.ts'
import { isDown } from '../words/monitor.ts'
import { isThenable } from '../words/outside-code.ts'
import type { Received, System } from './gen-server.ts'
import { ServerContext, type Starter } from './server-context.ts'

/** The function that a bare process runs. */
export type Body = (context: never) => unknown

/** The behaviour of a bare process, and the waiting of its one `receive`. */
export class BareProcess implements Behaviour {
  readonly answersSys = false
  readonly #process: Process
  readonly #context: ReceivingContext
  readonly #body: Body
  readonly #onBegun: () => void
  #receiver: Wait<Received | undefined> | undefined = undefined
  #hasBegun = false

  constructor(process: Process, body: Body, system: System & Starter, onBegun: () => void) {
    this.#process = process
    this.#body = body
    this.#onBegun = onBegun
    const receive = (ms: number): Promise<Received | undefined> => this.#receive(ms)
    this.#context = new ReceivingContext(process, system, receive)
  }

  begin(): void {
    this.#hasBegun = true
    this.#onBegun()
    this.#process.busy = true
    this.#process.busySince = this.#process.kernel.clock.now()
    this.#run()
  }

  handle(message: Message): void {
    const received = receivedOf(message, this.#process.outputs)
    if (received !== undefined) this.#hand(received)
  }

  idle(): void {}

  ended(): void {
    this.#context.ended()
  }

  status(): 'starting' | 'waiting' {
    return this.#hasBegun ? 'waiting' : 'starting'
  }

  /** A body that never waits ends before any other process runs. */
  #run(): void {
    const process = this.#process
    const failed = (thrown: unknown): void => process.fail(reasonOf(thrown))
    try {
      const result = this.#body(this.#context as never)
      if (isThenable(result)) result.then(() => process.fail('normal'), failed)
      else process.fail('normal')
    } catch (thrown) {
      failed(thrown)
    }
  }

  #receive(timeoutMs: number): Promise<Received | undefined> {
    if (!isDelay(timeoutMs)) return refused(noDelay('receive', timeoutMs))
    const receiver = new Wait<Received | undefined>(this.#process)
    if (!this.#process.alive) return receiver.promise
    if (this.#receiver !== undefined) {
      receiver.reject(receivesAlready(this.#process))
      return receiver.promise
    }
    const received = this.#next()
    if (received !== undefined || timeoutMs === 0) receiver.resolve(received)
    else {
      this.#receiver = receiver
      this.#process.busy = false
      // A message may have come whose turn is still to come (OTP takes it).
      receiver.limit(timeoutMs, () => this.#hand(this.#next()))
    }
    return receiver.promise
  }

  #next(): Received | undefined {
    for (let next = this.#process.mailbox.shift(); next; next = this.#process.mailbox.shift()) {
      const received = receivedOf(next, this.#process.outputs)
      if (received !== undefined) return received
    }
    return undefined
  }

  /** Resolves the waiting `receive`. Until the next `receive`, messages wait in the mailbox. */
  #hand(received: Received | undefined): void {
    const receiver = this.#receiver
    this.#process.busy = true
    this.#receiver = undefined
    receiver?.resolve(received)
  }
}

/** The context of a bare process. */
class ReceivingContext extends ServerContext {
  readonly #process: Process
  readonly #receive: (timeoutMs: number) => Promise<Received | undefined>

  constructor(
    process: Process,
    system: System & Starter,
    receive: (timeoutMs: number) => Promise<Received | undefined>,
  ) {
    super(process, system)
    this.#process = process
    this.#receive = receive
  }

  receive(timeoutMs = Number.POSITIVE_INFINITY): Promise<Received | undefined> {
    return this.#receive(timeoutMs)
  }

  sleep(ms: number): Promise<void> {
    if (!isDelay(ms)) return refused(noDelay('sleep', ms))
    // A timer of `system.clock`: a virtual clock moves it.
    const wait = new Wait<void>(this.#process)
    wait.limit(ms, () => wait.resolve())
    return wait.promise
  }
}

/** The message as `receive` shows it. A bare process does not answer `sys`. */
const receivedOf = (message: Message, outputs: Outputs): Received | undefined => {
  const { kind, name, payload } = message
  if (isCall(message)) {
    if (isNotDurable(outputs, message)) return undefined
    return { kind: 'call', name, payload, from: outputs.answering(message) }
  }
  if (isExit(message)) return { kind: 'exit', ...message.payload }
  if (isDown(message)) return { kind: 'down', ...message.payload }
  if (kind === kinds.cast) return { kind: 'cast', name, payload }
  return kind === kinds.info ? { kind: 'info', name, payload } : undefined
}

const receivesAlready = (process: Process): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${process} is waiting for a message already`)
