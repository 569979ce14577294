/**
 * One task for each input, a bounded number at a time, and an async iterable of their outcomes
 * (OTP's `Task.async_stream`). It works only when the consumer asks for more: an input may be
 * infinite, and a consumer that stops early stops all tasks.
 */

import { isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { guarded } from '../process/guarded.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import { Wait } from '../process/wait.ts'
import type { HeapEntry } from '../queues/timer-heap.ts'
import type { Ref } from '../words/address.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { Monitor } from '../words/monitor.ts'
import { processBehind, type TaskContext } from './owned-task.ts'
import {
  type AsyncStreamOptions,
  StreamInput,
  type StreamSettings,
  streamSettings,
} from './stream-input.ts'
import { taskEnded, taskLate } from './task-gathering.ts'
import { startUnder, type TaskOwner } from './task-supervisor.ts'

/** The outcome of one input. */
export type StreamOutcome<T = unknown, I = unknown> =
  | { readonly ok: true; readonly value: T; readonly reason?: never; readonly input?: never }
  | {
      readonly ok: false
      /** The reason of the task's end without a value; `'timeout'` when its time limit passed. */
      readonly reason: ExitReason
      readonly input: I
      readonly value?: never
    }

/**
 * Runs `run` for each input in a separate task. The tasks are linked: unless this process traps
 * exits, a crash of one ends it. The iterable has one consumer in this process and runs once. It
 * starts no task before the first `next`; its `return` kills the running tasks and closes the
 * input. It rejects with `TIMEOUT` (see `onTimeout`), with `EXITED` when this process ends or the
 * supervisor is full, and with the error of the input. If the supervisor is missing or ends, this
 * process ends as by a crash of a link (OTP); a process that traps exits gets `NO_PROCESS` or
 * `EXITED`. Throws `INVALID_ARGUMENT`.
 */
export const asyncStream = <I, R>(
  context: TaskOwner,
  inputs: Iterable<I> | AsyncIterable<I>,
  run: (input: I, context: TaskContext) => R,
  options: AsyncStreamOptions = noOptions,
): AsyncIterableIterator<StreamOutcome<Awaited<R>, I>> => {
  const stream = new TaskStream<Awaited<R>, I>(context, inputs, run, streamSettings(options))
  const outcomes = stream.outcomes()
  const iterator: AsyncIterableIterator<StreamOutcome<Awaited<R>, I>> = {
    [Symbol.asyncIterator]: () => iterator,
    next: () => guarded(outcomes.next()),
    return: (value) => {
      // This happens at once, even while the consumer waits for another outcome.
      stream.stop()
      return outcomes.return(value)
    },
    throw: (error) => {
      stream.stop()
      return outcomes.throw(error)
    },
  }
  return iterator
}

/** One input on its way. */
class StreamTask<T, I> implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly input: I
  process: Process | undefined = undefined
  returned: { readonly value: T } | undefined = undefined
  outcome: StreamOutcome<T, I> | undefined = undefined
  isLate = false
  readonly #onLate: (task: StreamTask<T, I>) => void

  constructor(input: I, onLate: (task: StreamTask<T, I>) => void) {
    this.input = input
    this.#onLate = onLate
  }

  fire(): void {
    this.#onLate(this)
  }
}

class TaskStream<T, I> {
  readonly #context: TaskOwner
  readonly #owner: Process
  readonly #input: StreamInput<I>
  readonly #run: (input: I, context: TaskContext) => unknown
  readonly #settings: StreamSettings
  /** The running and starting tasks. */
  readonly #running = new Set<StreamTask<T, I>>()
  /**
   * The next outcome to deliver is first. Ordered: each task from its start. Otherwise: the tasks
   * that are done.
   */
  readonly #line: StreamTask<T, I>[] = []
  #failure: { readonly error: unknown } | undefined = undefined
  #isStopped = false
  #change: Wait<void> | undefined = undefined
  #watch: Monitor<Process> | undefined = undefined
  /**
   * A process that traps exits is not linked to its tasks, so it gets no exit messages. The tasks
   * end with it all the same.
   */
  #isLinking = true

  constructor(
    context: TaskOwner,
    inputs: Iterable<I> | AsyncIterable<I>,
    run: (input: I, context: TaskContext) => unknown,
    settings: StreamSettings,
  ) {
    this.#context = context
    this.#owner = processOf(context)
    this.#run = run
    this.#settings = settings
    this.#input = new StreamInput(inputs, {
      onInput: (input) => this.#start(input),
      onEnd: () => this.#wake(),
      onError: (error) => this.#fail(error),
    })
  }

  async *outcomes(): AsyncGenerator<StreamOutcome<T, I>, undefined> {
    this.#begin()
    try {
      for (;;) {
        if (!this.#owner.alive) await this.#changed()
        if (this.#isStopped) return
        const { ordered } = this.#settings
        if (!ordered) this.#fill()
        const outcome = this.#take()
        if (outcome !== undefined) {
          yield outcome
          continue
        }
        if (this.#failure !== undefined) throw this.#failure.error
        if (ordered) this.#fill()
        // A broken input is at its end too: its error comes first.
        if (this.#failure !== undefined) continue
        if (this.#isDone()) return
        await this.#changed()
      }
    } finally {
      this.stop()
      if (this.#failure === undefined && this.#owner.alive) await this.#input.closed
    }
  }

  /** Kills the running tasks and closes the input. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    if (this.#watch !== undefined) this.#owner.unwatch(this.#watch)
    for (const task of this.#running) this.#kill(task)
    this.#input.close()
    this.#wake()
  }

  #begin(): void {
    const { link } = this.#settings
    this.#isLinking = link && !this.#owner.trapping
    const onDown = (reason: ExitReason): void => this.#ownerEnded(reason)
    this.#watch = new Monitor<Process>(undefined, this.#owner.address, onDown)
    this.#owner.watchBy(this.#watch)
  }

  #fill(): void {
    while (this.#hasRoom() && this.#input.pull());
  }

  #hasRoom(): boolean {
    if (this.#isStopped || this.#failure !== undefined) return false
    const { ordered, maxConcurrency, maxAhead } = this.#settings
    if (ordered) return this.#running.size < maxConcurrency && this.#line.length < maxAhead
    return this.#running.size + this.#line.length < maxConcurrency
  }

  #take(): StreamOutcome<T, I> | undefined {
    const outcome = this.#line[0]?.outcome
    if (outcome !== undefined) this.#line.shift()
    return outcome
  }

  #isDone(): boolean {
    return this.#input.isDone && this.#running.size === 0 && this.#line.length === 0
  }

  #changed(): Promise<void> {
    this.#change = new Wait(this.#owner)
    return this.#change.promise
  }

  #wake(): void {
    this.#change?.resolve()
    this.#change = undefined
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  // Tasks.

  #start(input: I): void {
    if (this.#isStopped) return
    const task = new StreamTask<T, I>(input, (late) => this.#late(late))
    this.#running.add(task)
    if (this.#settings.ordered) this.#line.push(task)
    const { supervisor } = this.#settings
    if (supervisor === undefined) this.#spawn(task, this.#context.spawn.bind(this.#context))
    else {
      startUnder(this.#context, supervisor, (context) => {
        if (this.#isStopped || !this.#owner.alive) return undefined
        return this.#spawn(task, context.spawnLink.bind(context))
      }).catch((error: unknown) => {
        this.#running.delete(task)
        this.#notStarted(error)
      })
    }
    this.#wake()
  }

  /**
   * In OTP a linked process starts the tasks and ends with their supervisor; so the owner ends with
   * it.
   */
  #notStarted(error: unknown): void {
    const reason = goneReason(error)
    if (reason === undefined || this.#owner.trapping) this.#fail(error)
    else if (!this.#isStopped) this.#owner.fail(taskEnded(reason.reason))
  }

  #spawn(task: StreamTask<T, I>, spawn: TaskOwner['spawn']): Ref {
    const run = this.#run
    const ref = spawn(
      async (context) => {
        task.returned = { value: (await run(task.input, context)) as T }
      },
      { kind: 'task' },
    )
    const process = processBehind(ref)
    task.process = process
    if (this.#isLinking && process !== undefined) this.#owner.link(process)
    process?.watchBy(new Monitor<Process>(undefined, ref, (reason) => this.#ended(task, reason)))
    this.#owner.kernel.timers.add(task, this.#settings.timeoutMs)
    return ref
  }

  #ended(task: StreamTask<T, I>, reason: ExitReason): void {
    this.#owner.kernel.timers.remove(task)
    this.#running.delete(task)
    const { input, returned, isLate } = task
    if (isLate && this.#settings.onTimeout === 'exit') {
      this.#fail(taskLate(this.#settings.timeoutMs))
      return
    }
    task.outcome =
      returned === undefined
        ? { ok: false, reason: isLate ? 'timeout' : reason, input }
        : { ok: true, value: returned.value }
    if (!this.#settings.ordered) this.#line.push(task)
    this.#wake()
  }

  #late(task: StreamTask<T, I>): void {
    task.isLate = true
    this.#kill(task)
  }

  #kill({ process }: StreamTask<T, I>): void {
    if (process === undefined) return
    this.#owner.unlink(process)
    process.signal(this.#owner, 'kill', false)
  }

  /** The linked tasks end with their owner, and no more are started. */
  #ownerEnded(reason: ExitReason): void {
    this.#isStopped = true
    this.#input.close()
    const isNotified = this.#settings.link && !this.#isLinking
    for (const task of this.#running) {
      this.#owner.kernel.timers.remove(task)
      if (isNotified) task.process?.signal(this.#owner, reason, true)
    }
  }
}

/**
 * The reason why a supervisor could not be asked, in a record; `undefined` if it was asked and
 * refused.
 */
const goneReason = (error: unknown): { readonly reason: ExitReason } | undefined => {
  if (!isKeelsonError(error) || !('reason' in error.details)) return undefined
  return error.details.reason === 'max_children' ? undefined : { reason: error.details.reason }
}
