/**
 * The timeout of a handler's result. It runs while the mailbox is empty. Any message but a system
 * request cancels it; after a system request it starts again at its full length.
 */

import type { Process } from '../process/process.ts'
import { type AsyncContext, type Carrier, handOn } from '../queues/async-context.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { Envelope, kinds, type Message } from '../words/envelope.ts'

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
