/**
 * `app.streams`: durable streams of messages that belong to no actor, in all shards. The handles that users have, which
 * check what is given, are apart from `instance-streams.ts`, which other members ask too.
 */
import { argument, type Given, object, optional, wholeFrom } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  compareKeys,
  entityStream,
  isEntity,
  offsetOf,
  type ProducerNumber,
  placeIn,
  producerIdBytesMax,
  type StreamDone,
  type StreamHead,
  type StreamRefusal,
  streamNameOf,
  streamOwner,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { checkSignal, listOf, ownOptions } from '../core/argument-check.ts'
import { overOwners } from '../core/at-owner.ts'
import { sentBytesMax } from '../core/shard-client.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { type InstanceStreams, type ListedStream, listed, listMax } from './instance-streams.ts'
import { RawStreams } from './raw-streams.ts'
import { deletedStream } from './stream-forks.ts'
import type { OtherPart, Sent, SentMessages } from './stream-gather.ts'
import { messageText } from './stream-message.ts'
import { type StreamMessage, StreamReader } from './stream-reader.ts'
import { messageValue, type ReadingPlace } from './stream-reading.ts'

const keepFields = {
  /** Messages of the last so many ms. */
  ageMs: optional(wholeFrom(1)),
  /** The last so many bytes of messages. */
  bytes: optional(wholeFrom(1)),
  /** The last so many messages. */
  messages: optional(wholeFrom(1)),
}

const keepOptions = object(keepFields)

/** The messages that a stream keeps: those within every bound that is given. Whole chunks go. */
export type StreamKeep = Given<typeof keepFields>

/** The options of a stream. */
export type OpenStreamOptions = {
  /**
   * The messages that it keeps. The first append of this handle sets it. Without it the stream keeps
   * what it kept before; a new one keeps everything.
   */
  readonly keep?: StreamKeep
}

/**
 * Numbers an append, so that its caller may repeat it: the requests of producer `id` count from 0 in
 * each epoch. All three, or none.
 */
export type StreamAppendOptions = {
  /** 1 to 256 bytes. */
  readonly id?: string
  readonly epoch?: number
  readonly seq?: number
}

/** Where and how to read. */
export type StreamReadOptions = {
  /**
   * `'start'` (default): the first message that is kept. `'now'`: the next one that comes once the
   * reader was asked for a message. Or an offset: the message after it.
   */
  readonly from?: string
  /** Whether to wait for messages to come, until the stream is closed; by default true. */
  readonly live?: boolean
  /** Ends the reader as `return` does. One that is aborted already is refused with its reason. */
  readonly signal?: AbortSignal
}

/** A page of messages. `next`: the offset of the page after it; `isClosed`: there will be none. */
export type StreamPage<T = unknown> = {
  readonly messages: readonly StreamMessage<T>[]
  readonly next: string | undefined
  /** There is no further message yet. */
  readonly isAtEnd: boolean
  readonly isClosed: boolean
}

/** The facts of a stream. Times in ms since 1970. */
export type StreamFacts = {
  readonly name: string
  /** The offset before the first message that is kept. */
  readonly start: string
  /** The offset of the last message. */
  readonly end: string
  /** How many messages are kept. */
  readonly messages: number
  /** The bytes of the chunks that are kept, without their frames. */
  readonly bytes: number
  readonly isClosed: boolean
  readonly madeMs: number
  readonly writtenMs: number
}

/** Which streams to list. */
export type StreamListOptions = {
  /** Only names that begin so. */
  readonly prefix?: string
  /** Only names after this one. */
  readonly after?: string
  /** At most so many, 1 to 1,000; by default 100. */
  readonly limit?: number
  /** The streams of this actor, named as events name it: `chat/lobby`. */
  readonly of?: string
}

/** The most messages of one append, and their most bytes: a link takes no more. */
const appendMax = { messages: 10_000, bytes: sentBytesMax }

/** The streams of an instance. */
export class Streams {
  readonly #streams: InstanceStreams
  readonly #access: Access

  /** @internal */
  constructor(streams: InstanceStreams, access: Access) {
    this.#streams = streams
    this.#access = access
  }

  /** @internal For `keelson/streams`. */
  raw(): RawStreams {
    return new RawStreams(this.#streams, this.#access)
  }

  /** @internal For the close of the instance. */
  drained(): Promise<void> {
    return this.#streams.drained()
  }

  /**
   * The stream with a name: 1 to 256 bytes without `{`, `}` and NUL. Nothing is written before the
   * first append, which makes it.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  open<T = unknown>(name: string, options: OpenStreamOptions = noOptions): StreamHandle<T> {
    const { keep } = ownOptions(options, ['keep'])
    const keeps = keep === undefined ? undefined : keepOptions(keep, argument('keep'))
    return new StreamHandle(this.#streams, this.#access, streamOwner(name), keeps)
  }

  /**
   * The streams by themselves, or those of an actor, in the order of their names.
   * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`, `CLOSED`
   */
  async list(options: StreamListOptions = noOptions): Promise<readonly StreamFacts[]> {
    this.#access.check()
    const {
      prefix = '',
      after = '',
      limit = 100,
      of,
    } = ownOptions(options, ['prefix', 'after', 'limit', 'of'])
    for (const [path, given] of Object.entries({ prefix, after }))
      if (typeof given !== 'string') throw invalidArgument(path, 'a text', given)
    wholeFrom(1, listMax)(limit, argument('limit'))
    if (of !== undefined && !isEntity(of)) throw invalidArgument('of', "'chat/lobby'", of)
    const terms = { prefix, after, limit, of: of ?? '' }
    const { shards } = this.#streams
    const found = await overOwners(
      of === undefined ? shards : [this.#streams.shardOf(of)],
      (shards) => listed(shards, terms),
      'streams.list',
      [prefix, after, limit, terms.of],
      (sent: readonly ListedStream[]) => sent,
    )
    const all = found.flat().sort(([a], [b]) => compareKeys(a, b))
    return all.slice(0, limit).map(([name, head]) => factsOf(name, head))
  }
}

/** A stream, for its readers. Its messages are values that JSON keeps. */
export class StreamSource<T = unknown> {
  /** Its name. */
  readonly name: string
  /** @internal For `keelson/streams`. */
  readonly owner: string
  readonly #streams: InstanceStreams
  readonly #access: Access
  readonly #owner: string
  readonly #shard: WritingShard

  /** @internal */
  constructor(streams: InstanceStreams, access: Access, owner: string) {
    this.name = streamNameOf(owner)
    this.owner = owner
    this.#streams = streams
    this.#access = access
    this.#owner = owner
    this.#shard = streams.shardOf(owner)
  }

  /**
   * The messages in their order, each once it is durable. A live reader waits, also for a stream that
   * has not begun, until the stream is closed. A slow reader costs no memory. End it with `return` or
   * by its `signal`, or leave the `for await` loop.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CLOSED`; at a message `BAD_CURSOR` if the stream does not
   * have the offset: it was trimmed, or deleted; `SHARD_DOWN`, `CORRUPT`
   */
  read(options: StreamReadOptions = noOptions): StreamReader<T> {
    this.#access.check()
    const own = ownOptions(options, ['from', 'live', 'signal'])
    const { from, live = true, signal } = own
    if (typeof live !== 'boolean') throw invalidArgument('live', 'a boolean', live)
    checkSignal(signal)
    const terms = { owner: this.#owner, place: readingPlace(from), waits: live }
    return new StreamReader<T>(this.#streams.of(this.#shard), terms, signal)
  }

  /**
   * The messages that are there from an offset on, up to about 64 KiB.
   * @throws KeelsonError as `read`
   */
  async page(options: Pick<StreamReadOptions, 'from'> = noOptions): Promise<StreamPage<T>> {
    this.#access.check()
    const { from } = ownOptions(options, ['from'])
    const place = readingPlace(from)
    const terms = { owner: this.#owner, place, bytesMax: pageBytes, waits: false }
    const stop = { isStopped: false, wake: () => undefined }
    const reading = await this.#streams.of(this.#shard).read(terms, stop)
    if (!reading) throw new Error('a page was stopped')
    const { messages, first, next, isAtEnd, isClosed } = reading
    const { birth, number } = next
    const offset = (at: number): string => offsetOf({ birth: birth ?? '', number: at })
    return {
      messages: messages.map((message, at) => ({
        value: messageValue(message) as T,
        offset: offset(first + at + 1),
      })),
      next: birth === undefined || typeof number !== 'number' ? undefined : offset(number),
      isAtEnd,
      isClosed,
    }
  }

  /** The facts of the stream; `undefined` without one. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
  async head(): Promise<StreamFacts | undefined> {
    this.#access.check()
    const head = await this.#streams.head(this.#owner)
    return head && !head.terms?.isDeleted ? factsOf(this.name, head) : undefined
  }
}

/**
 * The stream of an entity with a name, for its readers.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const streamOf = <T>(
  streams: InstanceStreams,
  access: Access,
  entity: string,
  name: string,
): StreamSource<T> => new StreamSource<T>(streams, access, entityStream(entity, name))

/** A stream by itself. Its messages are values that JSON keeps. */
export class StreamHandle<T = unknown> extends StreamSource<T> {
  readonly #streams: InstanceStreams
  readonly #access: Access
  readonly #owner: string
  readonly #shard: WritingShard
  /** The part that sets what it keeps; `undefined` once that is done. */
  #keep: OtherPart | undefined

  /** @internal For `Streams.open`. */
  constructor(
    streams: InstanceStreams,
    access: Access,
    owner: string,
    keeps: ReturnType<typeof keepOptions> | undefined,
  ) {
    super(streams, access, owner)
    this.#streams = streams
    this.#access = access
    this.#owner = owner
    this.#shard = streams.shardOf(owner)
    if (keeps) {
      const { ageMs = 0, bytes = 0, messages = 0 } = keeps
      const bounds = { ageMs, bytesMax: bytes, messagesMax: messages }
      this.#keep = { owner, act: 'keep', keeps: bounds }
    }
  }

  /**
   * Appends a message. Resolves with its offset once it is durable; nobody has to wait for it, but
   * its rejection is to be handled, as that of every promise. The appends of one handle take effect in
   * the order of the calls.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that JSON would change; `TOO_LARGE` beyond 1
   * MiB, or for a stream at its bound; `CONFLICT` if it is closed, or a request of the producer is
   * missing; `FENCED` for an earlier epoch of the producer; `BUSY` if too many appends wait; as every
   * write does
   */
  append(message: T, options: StreamAppendOptions = noOptions): Promise<string> {
    return this.#appended([message], options, false)
  }

  /**
   * Appends messages, all or none, one after another. Resolves with the offset of the last one.
   * @throws KeelsonError as `append`; `TOO_LARGE` beyond 10,000 messages or 6 MiB
   */
  appendMany(messages: Iterable<T>, options: StreamAppendOptions = noOptions): Promise<string> {
    return this.#appended(messages, options, false)
  }

  /**
   * Closes the stream, with a last message if there is one. Resolves with the offset of its end. A
   * closed one stays so, until it is deleted; closing it again without a message changes nothing.
   * @throws KeelsonError as `append`
   */
  close(...last: readonly [] | readonly [last: T]): Promise<string> {
    return this.#appended(last, noOptions, true)
  }

  async #appended(
    messages: Iterable<unknown>,
    options: StreamAppendOptions,
    closes: boolean,
  ): Promise<string> {
    this.#access.check()
    const sent = sentMessages(messages, closes, producerIn(options))
    const keep = this.#keep
    this.#keep = undefined
    try {
      const given = await this.#gather.append(this.#owner, sent, keep)
      const { birth, end } = this.#done(given)
      return offsetOf({ birth, number: end - given.after })
    } catch (error) {
      this.#keep ??= keep
      throw error
    }
  }

  /**
   * Removes the messages up to the one of an offset, this one included. Their offsets, but for the
   * last, are not read any more. Resolves once their room is free.
   * @throws KeelsonError `INVALID_ARGUMENT`; `BAD_CURSOR` if the stream does not have the offset; as
   * every write does
   */
  async trim(upTo: string): Promise<void> {
    this.#access.check()
    const before = placeIn(upTo, 'upTo')
    const part = { owner: this.#owner, act: 'trim', before } as const
    while (this.#done(await this.#gather.send(part)).isLeft) this.#access.check()
  }

  /**
   * Deletes the stream: it is gone once this resolves, and its room is freed after that. An append
   * makes another one. False: there was none. @throws KeelsonError as every write does
   */
  async delete(): Promise<boolean> {
    this.#access.check()
    return deletedStream(this.#streams, this.#owner)
  }

  get #gather() {
    return this.#streams.of(this.#shard).gather
  }

  #done({ answer }: Sent): StreamDone {
    if (answer.kind === 'stream') return answer
    if (answer.kind === 'refusedPart') throw refusalOf(this.name, answer)
    throw new Error(`an act on a stream was answered like a ${answer.kind}`)
  }
}

const pageBytes = 64 * 1024

const readingPlace = (from: unknown = 'start'): ReadingPlace =>
  from === 'start' || from === 'now' ? { birth: undefined, number: from } : placeIn(from, 'from')

const sentMessages = (
  messages: Iterable<unknown>,
  closes: boolean,
  producer: ProducerNumber | undefined,
): SentMessages => {
  const list = listOf(messages, 'messages')
  if (list.length === 0 && !closes) throw invalidArgument('messages', 'at least one', list)
  const isOne = list.length === 1
  const texts = list.map((each, at) => messageText(each, isOne ? ['message'] : ['messages', at]))
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  if (texts.length <= appendMax.messages && bytes <= appendMax.bytes)
    return { messages: texts, bytes, closes, producer }
  throw new KeelsonError(
    'TOO_LARGE',
    `an append takes at most ${appendMax.messages} messages and ${appendMax.bytes} bytes`,
    { details: { messages: texts.length, bytes } },
  )
}

const count = wholeFrom(0)

const producerIn = (options: StreamAppendOptions): ProducerNumber | undefined => {
  if (options === noOptions) return undefined
  const { id, epoch, seq } = ownOptions(options, ['id', 'epoch', 'seq'])
  if (id === undefined && epoch === undefined && seq === undefined) return undefined
  const bytes = typeof id === 'string' ? Buffer.byteLength(id) : 0
  if (
    id === undefined ||
    bytes < 1 ||
    bytes > producerIdBytesMax ||
    id.includes('\0') ||
    !id.isWellFormed()
  )
    throw invalidArgument('id', `text of 1 to ${producerIdBytesMax} bytes without NUL`, id)
  return {
    id,
    epoch: count(epoch as number, argument('epoch')),
    seq: count(seq as number, argument('seq')),
    counts: 'requests',
  }
}

const refusals = {
  closed: ['CONFLICT', 'the stream is closed'],
  gap: ['CONFLICT', 'requests of the producer before this one are missing'],
  differs: ['CONFLICT', 'the stream was made in another way'],
  order: ['CONFLICT', 'an append of this order, or of a greater one, was before'],
  type: ['CONFLICT', 'the stream has bytes and no JSON'],
  deleted: ['CONFLICT', 'the stream was deleted, and has forks'],
  fenced: ['FENCED', 'the epoch of the producer has ended'],
  bytes: ['TOO_LARGE', 'the stream has as many bytes as it may keep'],
  producers: ['TOO_LARGE', 'the stream has as many producers as it may have'],
  births: ['TOO_LARGE', 'the stream was deleted and made too often at once'],
  forks: ['TOO_LARGE', 'the stream has as many forks as it may have'],
  place: ['BAD_CURSOR', 'the stream does not have this offset'],
  none: ['BAD_CURSOR', 'there is no such stream'],
} as const satisfies Readonly<Record<StreamRefusal['why'], readonly [string, string]>>

/** The error of a part that was refused. */
export const refusalOf = (stream: string, { why, producer }: StreamRefusal): KeelsonError => {
  const [code, message] = refusals[why]
  return new KeelsonError(code, message, {
    details: { stream, why, ...(producer && { epoch: producer.epoch, seq: producer.next }) },
  })
}

const factsOf = (name: string, head: StreamHead): StreamFacts => {
  const { birth, floor, next, bytes, isClosed, madeMs, writtenMs } = head
  return {
    name,
    start: offsetOf({ birth, number: floor }),
    end: offsetOf({ birth, number: next }),
    messages: next - floor,
    bytes,
    isClosed,
    madeMs,
    writtenMs,
  }
}
