/**
 * One monitor: who watches, whom, and what happens when that one ends. A process gets a down message; code outside of
 * processes gets a callback.
 */
import type { Ref } from './address.ts'
import { Envelope, kinds, type Message } from './envelope.ts'
import type { ExitReason } from './exit-reason.ts'

/** The payload of a down message. */
export interface DownMessage {
  readonly monitor: Monitor
  /** The process, or its name when it was monitored by name. */
  readonly target: Ref | string
  readonly reason: ExitReason
}

/** What a process must do to hold a monitor. */
export interface Watcher {
  deliver(message: Message): void
}

/** A monitor held by `P`, or by a callback. Fires once at most. */
export class Monitor<P extends Watcher = Watcher> {
  readonly owner: P | undefined
  /** What the down message calls the target: its ref, or its name when it was monitored by name. */
  readonly subject: Ref | string
  readonly onDown: ((reason: ExitReason) => void) | undefined
  /** The process watched, once it is. */
  target: P | undefined = undefined

  constructor(owner: P | undefined, subject: Ref | string, onDown?: (reason: ExitReason) => void) {
    this.owner = owner
    this.subject = subject
    this.onDown = onDown
  }

  /** What logs and prompts show: not the world behind it. */
  toString(): string {
    return `monitor of ${this.subject}`
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  /** The target ended with `reason`, or was not there (`noproc`). */
  fire(reason: ExitReason): void {
    this.target = undefined
    this.onDown?.(reason)
    this.owner?.deliver(
      new Envelope(kinds.down, '', { monitor: this, target: this.subject, reason }),
    )
  }
}
