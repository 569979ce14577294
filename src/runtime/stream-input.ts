/**
 * The input of a stream of tasks: pulled one by one, when there is room, whether it answers at once or with a promise.
 * It is opened with the first pull, read by one, and closed once at most.
 */
import { KeelsonError } from '../errors.ts'
import { isThenable } from './thenable.ts'

/** What an input tells. */
export interface InputEvents<I> {
  readonly onInput: (input: I) => void
  readonly onEnd: () => void
  /** It threw, or rejected; nothing more comes. */
  readonly onError: (error: unknown) => void
}

/** An iterable, sync or async, and how far it was read. */
export class StreamInput<I> {
  /** Settles when what `close` asked of the input is done, and rejects when that failed. */
  closed: Promise<unknown> = Promise.resolve()
  readonly #inputs: Iterable<I> | AsyncIterable<I>
  readonly #events: InputEvents<I>
  #iterator: Iterator<I> | AsyncIterator<I> | undefined = undefined
  #isPulling = false
  #isDone = false

  /** Throws `INVALID_ARGUMENT` for what cannot be iterated. */
  constructor(inputs: Iterable<I> | AsyncIterable<I>, events: InputEvents<I>) {
    if (!isIterable(inputs))
      throw new KeelsonError('INVALID_ARGUMENT', 'the input of a stream: no iterable', {
        details: { option: 'inputs', found: inputs },
      })
    this.#inputs = inputs
    this.#events = events
  }

  /** There is nothing more in it. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Asks for the next input. False when nothing came at once: it is at its end, or its answer is awaited. */
  pull(): boolean {
    if (this.#isDone || this.#isPulling) return false
    try {
      this.#iterator ??= open(this.#inputs)
      const answer = this.#iterator.next()
      if (!isThenable(answer)) return this.#take(answer as IteratorResult<I>)
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

  /** Tells the input that no more is wanted. An input that owes an answer is told too, but not waited for. */
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

/** Also a text is one: nothing here may ask for more than its properties. */
const isIterable = (inputs: unknown): boolean => {
  const given = inputs as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined
  return (
    typeof given?.[Symbol.asyncIterator] === 'function' ||
    typeof given?.[Symbol.iterator] === 'function'
  )
}

const open = <I>(inputs: Iterable<I> | AsyncIterable<I>): Iterator<I> | AsyncIterator<I> => {
  const { [Symbol.asyncIterator]: isAsync } = inputs as Partial<AsyncIterable<I>>
  return typeof isAsync === 'function'
    ? (inputs as AsyncIterable<I>)[Symbol.asyncIterator]()
    : (inputs as Iterable<I>)[Symbol.iterator]()
}

const closingOf = async (iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined) => {
  await iterator?.return?.()
}

const ignore = (): void => {}
