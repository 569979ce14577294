/**
 * The timeout that a handler asks for with its answer: it runs while the mailbox is empty, any message but a system
 * request calls it off, and after a system request it starts anew at its full length.
 */

import type { Process } from '../process/process.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import { Envelope, kinds, type Message } from '../words/envelope.ts'

/** The one timeout of one server. */
export class ServerTimeout implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  #ms: number | undefined = undefined
  #armed = false
  /** Tells the message of the present timeout from one that was called off while it was queued. */
  #round = 0

  constructor(process: Process) {
    this.#process = process
  }

  /** Asks for a timeout of `ms`. */
  set(ms: number): void {
    this.#ms = ms
  }

  /** No timeout is asked for any more. */
  forget(): void {
    this.#ms = undefined
  }

  /** The mailbox is empty: the time begins to run. 0 is over at once. */
  arm(): void {
    if (this.#ms === undefined || this.#armed) return
    this.#armed = true
    if (this.#ms === 0) this.#process.mailbox.push(this.#message())
    else this.#process.kernel.timers.add(this, this.#ms)
  }

  /** A message is taken: the time stops. */
  disarm(): void {
    if (!this.#armed) return
    this.#armed = false
    this.#round++
    this.#process.kernel.timers.remove(this)
  }

  /** Whether `message` is of a timeout that still holds. */
  isCurrent(message: Message): boolean {
    return message.payload === this.#round
  }

  fire(): void {
    this.#process.deliver(this.#message())
  }

  #message(): Message {
    return new Envelope(kinds.timeout, '', this.#round)
  }
}
