/**
 * A server that `sys.suspend` holds: what comes meanwhile is put aside in its order, and put back before what came after
 * `resume`. One resume undoes any number of suspends.
 */
import type { Message } from './envelope.ts'
import type { Process } from './process.ts'
import { Ring } from './ring.ts'

/** The suspension of one server. */
export class Suspension {
  readonly #process: Process
  readonly #aside = new Ring<Message>()
  #isOn = false

  constructor(process: Process) {
    this.#process = process
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** Keeps a message for later. It still counts as waiting. */
  putAside(message: Message): void {
    this.#aside.push(message)
    this.#process.aside++
    this.#process.handled--
  }

  /** Begins or ends it. */
  set(on: boolean): void {
    this.#isOn = on
    if (on) return
    this.#process.aside -= this.#aside.length
    this.#process.mailbox.prepend(this.#aside)
  }

  /** The process has ended. */
  clear(): void {
    this.#process.aside -= this.#aside.length
    this.#aside.clear()
  }
}
