/**
 * A message for later: `sendAfter`, `castAfter` and `startTimer`. A timer to a process ends with that process. A
 * timer to a name looks the name up when it fires. It outlives the process that started it.
 */

import { showAsText } from '../../value-text.ts'
import { type AsyncContext, type Carrier, handOn } from '../queues/async-context.ts'
import type { HeapEntry, TimerHeap } from '../queues/timer-heap.ts'
import type { Directory } from './address.ts'
import { Envelope, type Kind, type Message } from './envelope.ts'

/** A process that a timer can send to. */
export interface TimerTarget {
  readonly alive: boolean
  timers: Set<MessageTimer> | undefined
  deliver(message: Message): void
}

/** The destination: a process, or the holder of a name when the timer fires. */
export type Destination =
  | { readonly process: TimerTarget }
  | { readonly name: string; readonly directory: Directory<TimerTarget> }

/** One timer. */
export class MessageTimer implements HeapEntry, Carrier {
  declare context?: AsyncContext
  dueAt = 0
  order = 0
  slot = -1
  #heap: TimerHeap
  readonly #destination: Destination
  readonly #kind: Kind
  readonly #name: string
  readonly #payload: unknown
  #isCancelled = false

  constructor(
    heap: TimerHeap,
    destination: Destination,
    kind: Kind,
    name: string,
    payload: unknown,
  ) {
    this.#heap = heap
    this.#destination = destination
    this.#kind = kind
    this.#name = name
    this.#payload = payload
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    return `timer ${this.#name}`
  }

  /**
   * Starts it. For a process that has ended, or for an infinite time, no timer is armed. The target
   * knows its timers.
   */
  start(ms: number): void {
    if (this.#isCancelled) return
    if (!('process' in this.#destination)) this.#heap.add(this, ms)
    else if (this.#destination.process.alive) {
      const { process } = this.#destination
      this.#heap.add(this, ms)
      if (this.slot < 0) return
      process.timers ??= new Set()
      process.timers.add(this)
    }
  }

  /**
   * Cancels it. Returns the milliseconds that were left, or false when it has fired or was
   * cancelled before.
   */
  cancel(): number | false {
    this.#isCancelled = true
    const left = this.#heap.left(this)
    if (left === undefined) return false
    this.#heap.remove(this)
    this.#leaveTarget()
    return left
  }

  /**
   * Lets Node end although it has not fired yet, as `unref` of Node's own timers. Returns the timer.
   */
  unref(): this {
    const heap = this.#heap
    const left = heap.left(this)
    this.#heap = heap.unheld
    if (left !== undefined && this.#heap !== heap) {
      heap.remove(this)
      this.#heap.add(this, left)
    }
    return this
  }

  /** The milliseconds that are left. False: it has fired or was cancelled. */
  read(): number | false {
    return this.#heap.left(this) ?? false
  }

  fire(): void {
    const target = this.#leaveTarget()
    if (!target?.alive) return
    const message = new Envelope(this.#kind, this.#name, this.#payload)
    handOn(this, message)
    target.deliver(message)
  }

  #leaveTarget(): TimerTarget | undefined {
    if ('process' in this.#destination) {
      this.#destination.process.timers?.delete(this)
      return this.#destination.process
    }
    const { directory, name } = this.#destination
    return directory.holderOf(name) ?? directory.wake?.(name)
  }
}

showAsText(MessageTimer)

/**
 * A timer made by `sendAfter`, `castAfter` or `startTimer`. It holds the operating system's process open until
 * it has fired, unless `unref` was called.
 */
export interface Timer {
  /** The milliseconds that are left. False: it has fired or was cancelled. */
  read(): number | false
  /** Lets Node end although it has not fired yet, as `unref` of Node's own timers. */
  unref(): Timer
}

/** The payload of a message that `startTimer` sends. */
export interface Fired<P = unknown> {
  readonly timer: Timer
  readonly payload: P
}
