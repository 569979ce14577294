/**
 * A producer that a turn has begun in a stream of its actor: its messages of before, and further ones. It
 * is apart from `streams.ts`, whose handles are for users and know no turns.
 */
import {
  entityStream,
  offsetOf,
  readStreamProducer,
  type StreamDone,
  type StreamProducer,
  streamPieces,
  streamProducerKey,
} from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { InstanceStreams } from './instance-streams.ts'
import { headIn, readingFrom } from './stream-reading.ts'
import { refusalOf } from './streams.ts'

/** A message that a producer has sent before: its JSON, and its offset. */
export type SentBefore = { readonly text: string; readonly offset: string }

const readingBytes = 64 * 1024

/** A producer in its present epoch. */
export class BegunStream {
  /** Its messages of before, in their order. */
  readonly before: readonly SentBefore[]
  readonly #streams: InstanceStreams
  readonly #owner: string
  readonly #name: string
  readonly #id: string
  readonly #epoch: number
  /** The number of its next message, over all epochs. */
  #next: number

  private constructor(
    streams: InstanceStreams,
    [owner, name, id]: readonly [string, string, string],
    { epoch, next }: StreamProducer,
    before: readonly SentBefore[],
  ) {
    this.#streams = streams
    this.#owner = owner
    this.#name = name
    this.#id = id
    this.#epoch = epoch
    this.#next = next
    this.before = before
  }

  /**
   * The producer `id` of the stream with a name, right after the turn of the entity that began it is
   * durable. @throws KeelsonError `SHARD_DOWN`, `ELSEWHERE`, `CLOSED`, `CORRUPT`
   */
  static async of(
    streams: InstanceStreams,
    entity: string,
    name: string,
    id: string,
  ): Promise<BegunStream> {
    const owner = entityStream(entity, name)
    const shard = streams.shardOf(owner)
    if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
    const view = shard.view()
    const birth = headIn(view, owner, shard.now())?.birth ?? ''
    const row = view.row(streamProducerKey(owner, birth, id))
    if (!row) throw refusalOf(name, gone)
    const producer = readStreamProducer(row)
    const pieces = [...view.rows(streamPieces(owner, birth, id))]
    const all = [...pieces.map(([, piece]) => readStreamProducer(piece)), producer]
    const before = all.flatMap((piece) => messagesOf(view, shard, owner, birth, piece))
    return new BegunStream(streams, [owner, name, id], producer, before)
  }

  /**
   * Appends JSON. Resolves with its offset once it is durable. @throws KeelsonError `FENCED` if a later
   * turn has begun the producer, or the entity is gone; as every append
   */
  async append(text: string): Promise<string> {
    const producer = { id: this.#id, epoch: this.#epoch, seq: this.#next++, counts: 'messages' }
    const { gather } = this.#streams.of(this.#streams.shardOf(this.#owner))
    const bytes = Buffer.byteLength(text)
    const { answer, after } = await gather.append(this.#owner, {
      messages: [text],
      bytes,
      closes: false,
      producer: producer as { counts: 'messages' } & typeof producer,
    })
    if (answer.kind === 'refusedPart')
      throw refusalOf(this.#name, answer.why === 'none' ? gone : answer)
    const { birth, end } = answer as StreamDone
    return offsetOf({ birth, number: end - after })
  }
}

/** The stream has no such producer. */
const gone = {
  kind: 'refusedPart',
  why: 'fenced',
  birth: undefined,
  next: 0,
  producer: undefined,
} as const

/** The messages of one piece of a producer. */
const messagesOf = (
  view: ReadView,
  shard: WritingShard,
  owner: string,
  birth: string,
  { from, end }: StreamProducer,
): readonly SentBefore[] => {
  const found: SentBefore[] = []
  for (let number = from; number < end; ) {
    const place = { birth, number }
    const { messages } = readingFrom(view, owner, place, readingBytes, shard.now())
    for (const text of messages.slice(0, end - number))
      found.push({ text: String(text), offset: offsetOf({ birth, number: ++number }) })
  }
  return found
}
