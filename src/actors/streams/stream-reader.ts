/** The messages of a stream as an async iterator, which reads as fast as it is asked. */
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { offsetOf } from '../../storage/index.ts'
import type { ReadingTerms, ShardStreams, Stop } from './shard-streams.ts'
import { messageValue, type Reading, type ReadingPlace } from './stream-reading.ts'

/** A message, and the offset from which a later reader goes on after it. */
export type StreamMessage<T = unknown> = { readonly value: T; readonly offset: string }

/** The bytes that one reading takes: it is parsed message by message. */
const readingBytes = 64 * 1024

/** A reader of a stream. */
export class StreamReader<T = unknown> implements AsyncIterableIterator<StreamMessage<T>> {
  readonly #streams: ShardStreams
  readonly #owner: string
  readonly #isLive: boolean
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => this.#end()
  readonly #stop: Stop = { isStopped: false, wake: () => undefined }
  /** Calls of `next` are answered one after another. */
  readonly #turns = new SerialQueue()
  #place: ReadingPlace
  #reading: Reading | undefined
  #at = 0

  /** @internal For `StreamHandle.read`. */
  constructor(
    streams: ShardStreams,
    { owner, place, waits }: Pick<ReadingTerms, 'owner' | 'place' | 'waits'>,
    signal: AbortSignal | undefined,
  ) {
    this.#streams = streams
    this.#owner = owner
    this.#place = place
    this.#isLive = waits
    this.#signal = signal
    signal?.addEventListener('abort', this.#aborted)
  }

  /**
   * The next message. A live reader is done after the last message of a closed stream, any other one
   * after the last message that is there.
   * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`, `CORRUPT`. The reader has then ended
   */
  next(): Promise<IteratorResult<StreamMessage<T>, undefined>> {
    return this.#turns.run(() => this.#next())
  }

  /** Ends the reader: calls of `next` that wait are answered with `done`. */
  async return(): Promise<IteratorResult<StreamMessage<T>, undefined>> {
    this.#end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#stop.isStopped = true
    this.#reading = undefined
    this.#stop.wake()
  }

  async #next(): Promise<IteratorResult<StreamMessage<T>, undefined>> {
    try {
      while (!this.#stop.isStopped) {
        const message = this.#given()
        if (message) return { done: false, value: message }
        if (this.#isOver()) break
        const terms = { owner: this.#owner, place: this.#place, bytesMax: readingBytes }
        const reading = await this.#streams.read({ ...terms, waits: this.#isLive }, this.#stop)
        if (!reading) break
        this.#reading = reading
        this.#place = reading.next
        this.#at = 0
      }
    } catch (error) {
      this.#end()
      throw error
    }
    return this.return()
  }

  #given(): StreamMessage<T> | undefined {
    const reading = this.#reading
    const message = reading?.messages[this.#at]
    if (!reading || message === undefined) return undefined
    this.#at++
    const offset = offsetOf({ birth: reading.next.birth ?? '', number: reading.first + this.#at })
    return { value: messageValue(message) as T, offset }
  }

  /** Whether the last reading was the last one of all. */
  #isOver(): boolean {
    return (
      this.#reading !== undefined &&
      (this.#reading.isClosed || (!this.#isLive && this.#reading.isAtEnd))
    )
  }
}
