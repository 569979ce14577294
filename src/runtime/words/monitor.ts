/**
 * One monitor: its owner, its target, and its effect when the target ends. A process gets a down
 * message; code outside of processes gets a callback.
 */
import { showAsText } from '../../value-text.ts'
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

/** Whether it is a down message. */
export const isDown = (message: Message): message is Message & { readonly payload: DownMessage } =>
  message.kind === kinds.down

/** A process that can hold a monitor. */
export interface Watcher {
  deliver(message: Message): void
}

/** A monitor of the process `P`, or of a callback. It fires at most once. */
export class Monitor<P extends Watcher = Watcher> {
  readonly owner: P | undefined
  /**
   * The target as the down message names it: its ref, or its name when it was monitored by name.
   */
  readonly subject: Ref | string
  readonly onDown: ((reason: ExitReason) => void) | undefined
  /** The watched process, once there is one. */
  target: P | undefined = undefined

  constructor(owner: P | undefined, subject: Ref | string, onDown?: (reason: ExitReason) => void) {
    this.owner = owner
    this.subject = subject
    this.onDown = onDown
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    return `monitor of ${this.subject}`
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

showAsText(Monitor)
