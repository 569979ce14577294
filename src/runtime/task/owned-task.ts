/**
 * A task of its owner: a process that computes one value. The result goes to the waiting `await` or
 * `yield` of the owner. If none waits, it goes to the owner's mailbox: the value as the info
 * `task`, then the end as a down message, as in OTP. A task that the owner gave up sends nothing.
 */
import { invalidArgument } from '../../errors.ts'
import { showAsText } from '../../value-text.ts'
import type { Process } from '../process/process.ts'
import type { BareContext } from '../server/gen-server.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { Envelope, kinds, type Message } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { isDown, Monitor } from '../words/monitor.ts'
import { isThenable } from '../words/outside-code.ts'

declare const result: unique symbol

/**
 * A task of a process, for `Task.await`, `Task.yield` and the others. The down message of its end
 * has this `monitor`.
 */
export interface Task<T = unknown> {
  readonly [result]?: T
  /** The owner, which gets its value and its end. */
  readonly owner: Ref
  /** The process that runs it; `undefined` for a task that was complete from the start. */
  readonly ref: Ref | undefined
  readonly monitor: Monitor
}

/** The outcome of a task: its value, or the reason of its end without one. */
export type TaskOutcome<T = unknown> =
  | { readonly ok: true; readonly value: T; readonly reason?: never }
  | { readonly ok: false; readonly reason: ExitReason; readonly value?: never }

/**
 * The payload of the info `task`: the value of a task that was not awaited. Its down message
 * follows.
 */
export interface TaskValue<T = unknown> {
  readonly task: Task<T>
  readonly value: T
}

/** The context of a task's function: the context of a bare process. */
export type TaskContext = BareContext

/**
 * The function of a task. It returns a value or a promise. A throw ends its process with that
 * reason.
 */
export type TaskFunction<R> = (context: TaskContext) => R

/** Starts a bare process. */
export type Spawn = (body: (context: TaskContext) => unknown) => Ref

/** Sends the end of a task to the waiting code, or to the mailbox. */
class TaskMonitor extends Monitor<Process> {
  readonly #isNotified: (reason: ExitReason) => boolean

  constructor(owner: Process, subject: Ref, isNotified: (reason: ExitReason) => boolean) {
    super(owner, subject)
    this.#isNotified = isNotified
  }

  override fire(reason: ExitReason): void {
    this.target = undefined
    if (!this.#isNotified(reason)) super.fire(reason)
  }
}

/** The implementation of `Task`. */
export class OwnedTask<T> implements Task<T> {
  declare readonly [result]?: T
  readonly holder: Process
  /** The process that runs it. */
  readonly process: Process | undefined
  readonly #monitor: TaskMonitor
  #receiver: ((outcome: TaskOutcome<T>) => void) | undefined = undefined
  /** The owner's mailbox has, or had, a message of it. */
  #hasSent = false

  constructor(owner: Process, process: Process | undefined) {
    this.holder = owner
    this.process = process
    this.#monitor = new TaskMonitor(owner, process?.address ?? owner.address, (reason) =>
      this.#ended(reason),
    )
    if (owner.alive) process?.watchBy(this.#monitor)
  }

  /** The text for logs and prompts: they do not show the internals. */
  toString(): string {
    return this.process === undefined ? 'completed task' : `task ${this.process.address}`
  }

  get owner(): Ref {
    return this.holder.address
  }

  get ref(): Ref | undefined {
    return this.process?.address
  }

  get monitor(): Monitor {
    return this.#monitor
  }

  /** Code waits for the outcome. */
  get isExpected(): boolean {
    return this.#receiver !== undefined
  }

  /** No message of it is to come or waits in the mailbox. */
  get isSpent(): boolean {
    if (this.#isWatched) return false
    const { mailbox } = this.holder
    for (let index = 0; index < mailbox.length; index++) {
      const message = mailbox.at(index)
      if (message !== undefined && (this.#isValue(message) || this.#isEnd(message))) return false
    }
    return true
  }

  /** Takes the value. Dropped when the task was given up or has ended. */
  succeeded(value: T): void {
    if (!this.#isWatched) return
    if (this.#receiver === undefined) this.send(value)
    else {
      this.#unwatch()
      this.#give({ ok: true, value })
    }
  }

  /** Puts the value into the owner's mailbox, whatever its bound. */
  send(value: T): void {
    this.#hasSent = true
    this.holder.deliver(new Envelope(kinds.info, 'task', { task: this, value }))
  }

  /** Takes its message from the owner's mailbox: the value, or else the end. */
  take(): TaskOutcome<T> | undefined {
    if (!this.#hasSent) return undefined
    const found = this.holder.mailbox.remove((message) => this.#isValue(message))
    if (found === undefined) return this.#takeEnd()
    this.forget()
    return { ok: true, value: (found.payload as TaskValue<T>).value }
  }

  /** The next outcome goes to `receiver`. */
  expect(receiver: (outcome: TaskOutcome<T>) => void): void {
    this.#receiver = receiver
  }

  /** Nothing waits any longer: later messages go to the mailbox. */
  release(): void {
    this.#receiver = undefined
  }

  /** Gives the task up: its messages, sent or to come, are dropped. */
  forget(): void {
    this.#receiver = undefined
    this.#unwatch()
    this.#takeEnd()
    this.#hasSent = false
  }

  get #isWatched(): boolean {
    return this.process?.ties.watchers.all.has(this.#monitor) ?? false
  }

  #unwatch(): void {
    this.process?.unwatch(this.#monitor)
  }

  #ended(reason: ExitReason): boolean {
    if (this.#receiver === undefined) {
      this.#hasSent = true
      return false
    }
    this.#give({ ok: false, reason })
    return true
  }

  #give(outcome: TaskOutcome<T>): void {
    const receiver = this.#receiver
    this.#receiver = undefined
    receiver?.(outcome)
  }

  #takeEnd(): TaskOutcome<T> | undefined {
    if (!this.#hasSent) return undefined
    const found = this.holder.mailbox.remove((message) => this.#isEnd(message))
    return found && isDown(found) ? { ok: false, reason: found.payload.reason } : undefined
  }

  #isValue({ kind, name, payload }: Message): boolean {
    return kind === kinds.info && name === 'task' && (payload as TaskValue).task === this
  }

  #isEnd(message: Message): boolean {
    return isDown(message) && message.payload.monitor === this.monitor
  }
}

showAsText(OwnedTask)

/** Starts `run` as a task of `owner`, which monitors it from before its first turn. */
export const startOwned = <R>(
  owner: Process,
  spawn: Spawn,
  run: TaskFunction<R>,
): OwnedTask<Awaited<R>> => {
  const succeeded = (value: unknown): void => {
    task.succeeded(value as Awaited<R>)
    // When the owner gets the value, the task has ended, as in OTP: no other message of it comes
    // between.
    task.process?.end('normal')
  }
  const ref = spawn((context) => {
    const value = run(context)
    return isThenable(value) ? value.then(succeeded) : succeeded(value)
  })
  const task = new OwnedTask<Awaited<R>>(owner, processBehind(ref))
  return task
}

/** The process of a new ref. */
export const processBehind = (ref: Ref): Process | undefined => addressOf<Process>(ref).process

/** The task of a `Task`. Throws `INVALID_ARGUMENT` when it is not a task. */
export const ownedOf = <T>(task: Task<T>): OwnedTask<T> => {
  if (task instanceof OwnedTask) return task
  throw invalidArgument('task', 'a task', task)
}
