/**
 * Streams by their owners, with their messages as they are stored and the answers as the rows gave
 * them: for protocols over streams, which have words of their own for what is refused.
 */
import type { Clock } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import type { StreamAnswer, StreamHead, StreamOrigin } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import type { InstanceStreams } from './instance-streams.ts'
import type { Stop } from './shard-streams.ts'
import {
  deletedStream,
  type ForkedMessages,
  type ForkPoint,
  forkedMessages,
  notedFork,
  settleForks,
} from './stream-forks.ts'
import type { Sent, SentMessages } from './stream-gather.ts'
import { PackedMessages } from './stream-message.ts'
import type { Reading, ReadingPlace } from './stream-reading.ts'

/** How a stream is made. */
export type Making = {
  readonly contentType: string
  readonly ttlMs: number | undefined
  readonly expiresAt: number | undefined
  readonly source: StreamOrigin | undefined
  readonly closes: boolean
  readonly messages: readonly (string | Uint8Array)[]
}

/** The streams of an instance, raw. Every call throws `CLOSED` once the instance is closed. */
export class RawStreams {
  readonly #streams: InstanceStreams
  readonly #access: Access

  constructor(streams: InstanceStreams, access: Access) {
    this.#streams = streams
    this.#access = access
  }

  /** The clock of the instance. */
  get clock(): Clock {
    return this.#streams.system.clock
  }

  /** Logs an error that a protocol cannot give to its caller. */
  report(error: unknown): void {
    this.#streams.system.logger.error(`a request for a stream failed: ${reasonText(error)}`, {
      error,
    })
  }

  /** The head of a stream. One that was deleted and has forks has one that says so. */
  async head(owner: string): Promise<StreamHead | undefined> {
    this.#access.check()
    const head = await this.#streams.head(owner)
    if (!head?.terms?.isDeleted) return head
    await settleForks(this.#streams, owner)
    return this.#streams.head(owner)
  }

  /** Reads from a place. `undefined`: it was stopped. @throws KeelsonError as a reader */
  async read(
    owner: string,
    place: ReadingPlace,
    waits: boolean,
    bytesMax: number,
    stop: Stop,
  ): Promise<Reading | undefined> {
    this.#access.check()
    const shard = this.#streams.of(this.#streams.shardOf(owner))
    return shard.read({ owner, place, bytesMax, waits }, stop, 'http')
  }

  /** Appends. @throws KeelsonError as every write does */
  async append(owner: string, messages: SentMessages): Promise<Sent> {
    this.#access.check()
    return this.#streams.of(this.#streams.shardOf(owner)).gather.append(owner, messages)
  }

  /** Makes a stream, if there is none. @throws KeelsonError as every write does */
  async create(owner: string, { messages, ...making }: Making): Promise<StreamAnswer> {
    this.#access.check()
    if (making.source) {
      const noted = await notedFork(this.#streams, making.source, owner)
      if (noted.kind === 'refusedPart') return noted
    }
    const packed = new PackedMessages()
    for (const message of messages) packed.add(message)
    const { gather } = this.#streams.of(this.#streams.shardOf(owner))
    const part = { owner, act: 'create', count: messages.length, packed: packed.packed() } as const
    return (await gather.send({ ...part, ...making })).answer
  }

  /** The messages for a fork of a stream. @throws KeelsonError as `forkedMessages` */
  forked(owner: string, head: StreamHead, point: ForkPoint): Promise<ForkedMessages> {
    this.#access.check()
    return forkedMessages(this.#streams, owner, head, point)
  }

  /** Deletes a stream. False: there was none. @throws KeelsonError as every write does */
  async delete(owner: string): Promise<boolean> {
    this.#access.check()
    return deletedStream(this.#streams, owner)
  }
}
