/**
 * The input of a stream of tasks. It is pulled one item at a time when there is room, whether it
 * answers at once or with a promise. It is opened by the first pull, has one reader, and is closed
 * at most once.
 */
import { argument, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { isDelay } from '../queues/timer-heap.ts'
import type { Target } from '../server/gen-server.ts'
import { isThenable } from '../words/outside-code.ts'
import type { TaskSupervisorMessages } from './task-supervisor.ts'

// The options of a stream of tasks, and their defaults.

/** How a stream runs its tasks. */
export interface AsyncStreamOptions {
  /**
   * The most tasks at a time; 8 by default. Without `ordered`, values that were not taken yet count
   * too.
   */
  readonly maxConcurrency?: number | undefined
  /**
   * Whether outcomes come in the order of their inputs; true by default. False: as they are ready.
   */
  readonly ordered?: boolean | undefined
  /**
   * The most inputs whose outcome was not taken yet, with `ordered`: 1,000 by default, at least
   * `maxConcurrency`. The bound matters only while the consumer waits for a task that is slower
   * than later ones. Later tasks then run ahead, as in OTP, up to this bound.
   */
  readonly maxAhead?: number | undefined
  /**
   * The time limit of one task in ms; 5,000 by default, `Infinity` for none. A task beyond it is
   * killed.
   */
  readonly timeoutMs?: number | undefined
  /**
   * A task beyond its time limit ends the stream with `TIMEOUT` (`exit`, the default), or is an
   * outcome (`kill_task`).
   */
  readonly onTimeout?: 'exit' | 'kill_task' | undefined
  /** The task supervisor of the tasks. */
  readonly supervisor?: Target<TaskSupervisorMessages> | undefined
  /**
   * False: a crash is an outcome, even if the owner does not trap exits, and tasks outlive the
   * owner.
   */
  readonly link?: boolean | undefined
}

/** Options with all defaults. */
export type StreamSettings = {
  readonly [K in keyof Omit<AsyncStreamOptions, 'supervisor'>]-?: NonNullable<AsyncStreamOptions[K]>
} & Pick<AsyncStreamOptions, 'supervisor'>

/** The options with their defaults. Throws `INVALID_ARGUMENT` with `details.option`. */
export const streamSettings = (given: AsyncStreamOptions): StreamSettings => {
  const options = readOptions(given, known, argument('', 'a stream'))
  const { maxConcurrency = 8, ordered = true, timeoutMs = 5_000, onTimeout = 'exit' } = options
  const { maxAhead = 1_000, supervisor, link = true } = options
  if (!isCount(maxConcurrency)) throw invalid('maxConcurrency', maxConcurrency)
  if (!isCount(maxAhead)) throw invalid('maxAhead', maxAhead)
  if (!isDelay(timeoutMs)) throw invalid('timeoutMs', timeoutMs)
  if (onTimeout !== 'exit' && onTimeout !== 'kill_task') throw invalid('onTimeout', onTimeout)
  const ahead = Math.max(maxAhead, maxConcurrency)
  return { maxConcurrency, ordered, maxAhead: ahead, timeoutMs, onTimeout, supervisor, link }
}

const known = [
  'maxConcurrency',
  'ordered',
  'maxAhead',
  'timeoutMs',
  'onTimeout',
  'supervisor',
  'link',
]

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1

const invalid = (option: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${option} of a stream cannot be ${String(found)}`, {
    details: { option, found },
  })

/** The state of an input. */
export interface InputEvents<I> {
  readonly onInput: (input: I) => void
  readonly onEnd: () => void
  /** It threw or rejected: it has no more items. */
  readonly onError: (error: unknown) => void
}

/** An iterable, sync or async, and its position. */
export class StreamInput<I> {
  /** Settles when the input has closed, and rejects when that failed. */
  closed: Promise<unknown> = Promise.resolve()
  readonly #inputs: Iterable<I> | AsyncIterable<I>
  readonly #events: InputEvents<I>
  #iterator: Iterator<I> | AsyncIterator<I> | undefined = undefined
  #isPulling = false
  #isDone = false

  /** Throws `INVALID_ARGUMENT` for a value that cannot be iterated. */
  constructor(inputs: Iterable<I> | AsyncIterable<I>, events: InputEvents<I>) {
    if (!isIterable(inputs))
      throw new KeelsonError('INVALID_ARGUMENT', 'the input of a stream is not iterable', {
        details: { option: 'inputs', found: inputs },
      })
    this.#inputs = inputs
    this.#events = events
  }

  /** It has no more items. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Asks for the next input. False: it is at its end, or its answer is awaited. */
  pull(): boolean {
    if (this.#isDone || this.#isPulling) return false
    try {
      this.#iterator ??= open(this.#inputs)
      const answer = this.#iterator.next()
      if (!isThenable(answer)) return this.#take(answer)
      this.#isPulling = true
      Promise.resolve(answer).then(
        (result) => this.#arrived(result),
        (error) => this.#broke(error),
      )
    } catch (error) {
      this.#broke(error)
    }
    return false
  }

  /** Closes the input. An input that owes an answer is notified too, but not awaited. */
  close(): void {
    if (this.#isDone) return
    this.#isDone = true
    const closing = closingOf(this.#iterator)
    closing.catch(ignore)
    if (!this.#isPulling) this.closed = closing
  }

  #arrived(result: IteratorResult<I>): void {
    this.#isPulling = false
    try {
      this.#take(result)
    } catch (error) {
      this.#broke(error)
    }
  }

  #take({ done, value }: IteratorResult<I>): boolean {
    if (done) {
      this.#isDone = true
      this.#events.onEnd()
      return false
    }
    this.#events.onInput(value)
    return true
  }

  #broke(error: unknown): void {
    this.#isDone = true
    this.#isPulling = false
    this.#events.onError(error)
  }
}

/** A text is iterable too: only its properties may be read here. */
const hasMethod = (inputs: unknown, name: symbol): boolean =>
  typeof Reflect.get(Object(inputs), name) === 'function'

const isIterable = (inputs: unknown): boolean =>
  isAsync(inputs) || hasMethod(inputs, Symbol.iterator)

const isAsync = (inputs: unknown): inputs is AsyncIterable<unknown> =>
  hasMethod(inputs, Symbol.asyncIterator)

const open = <I>(inputs: Iterable<I> | AsyncIterable<I>): Iterator<I> | AsyncIterator<I> =>
  isAsync(inputs) ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]()

const closingOf = async (iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined) => {
  await iterator?.return?.()
}

const ignore = (): void => {}
