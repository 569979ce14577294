/**
 * A unit of durable streams: a list of parts, each of which one stream takes or refuses by itself.
 * Gathered appends of many callers are one unit. It is apart from the other units, which know no
 * parts. Pure.
 *
 *     unit      u32 parts, each: entity | u8 act, with 80 for a stream of the entity: its name | its fields
 *     append    u8 flags: 1 closes, 2 has a producer, 4 that counts messages |
 *               id | u64 epoch | u64 number | u32 messages | sized: messages, each u32 length, bytes
 *     begin     id
 *     trim      8 bytes birth | u64 number
 *     keep      u64 ms | u64 bytes | u64 messages; 0 for no bound
 *     reopen, delete   nothing
 */
import { u32In } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { entityBytesMax } from '../values/entity-key.ts'
import {
  entityOfStream,
  isEntityStream,
  isStream,
  type StreamPlace,
  streamNameOf,
} from '../values/stream-key.ts'
import { messageHeadBytes, type StreamKeeps } from '../values/stream-row.ts'
import type { PayloadReader, PayloadSink } from './payload.ts'

/** The longest id of a producer, in bytes of UTF-8. */
export const producerIdBytesMax = 256

/** The longest name of a stream, in bytes of UTF-8. */
export const streamNameBytesMax = 256

/** The longest message, in bytes. */
export const messageBytesMax = 1024 * 1024

/** An append of a producer: a number that was there is dropped, and one after a gap refused. */
export type ProducerNumber = {
  readonly id: string
  readonly epoch: number
  /** The number of its first message, over all epochs; or of the request, from 0 in each epoch. */
  readonly seq: number
  readonly counts: 'messages' | 'requests'
}

/** Messages for a stream, packed: each u32 length and its bytes. */
export type StreamAppend = {
  readonly act: 'append'
  readonly count: number
  readonly packed: Uint8Array
  readonly closes: boolean
  readonly producer: ProducerNumber | undefined
}

/** The change of one stream. An append, a begin and a keep make it, if there is none. */
export type StreamAct =
  | StreamAppend
  /** Raises the epoch of a producer. */
  | { readonly act: 'begin'; readonly id: string }
  /** Opens a closed stream again. */
  | { readonly act: 'reopen' }
  /** Removes the messages before a place. */
  | { readonly act: 'trim'; readonly before: StreamPlace }
  | { readonly act: 'keep'; readonly keeps: StreamKeeps }
  | { readonly act: 'delete' }

/** A part: a change of the stream of an owner. */
export type StreamPart = StreamAct & { readonly owner: string }

/** Parts for streams of one shard. */
export type StreamsUnit = { readonly kind: 'streams'; readonly parts: readonly StreamPart[] }

const acts = { append: 1, begin: 2, reopen: 3, trim: 4, keep: 5, delete: 6 } as const

/** The flags of a removal: it is the last one, or one of a stream of the entity. */
export const removalFlags = { last: 1, stream: 2 } as const

/** In an act: the stream is one of the entity. */
const ofEntity = 0x80

const flags = { closes: 1, producer: 2, messages: 4 } as const

/** Writes the body of the unit. @throws KeelsonError `INVALID_ARGUMENT` */
export const writeStreams = (sink: PayloadSink, { parts }: Pick<StreamsUnit, 'parts'>): void => {
  if (parts.length === 0) throw invalid('a unit of streams must have at least one part')
  sink.u32(parts.length)
  for (const part of parts) writePart(sink, part)
}

const writePart = (sink: PayloadSink, part: StreamPart): void => {
  const { owner } = part
  const isOfEntity = isEntityStream(owner)
  sink.text('an owner of a stream', entityOfStream(owner), entityBytesMax)
  sink.u8(acts[part.act] | (isOfEntity ? ofEntity : 0))
  if (isOfEntity) sink.text('a name of a stream', streamNameOf(owner), streamNameBytesMax)
  switch (part.act) {
    case 'append':
      writeAppend(sink, part)
      break
    case 'begin':
      sink.text('an id of a producer', part.id, producerIdBytesMax)
      break
    case 'trim':
      sink.bytes(Buffer.from(part.before.birth, 'hex'))
      sink.u64(part.before.number)
      break
    case 'keep':
      sink.u64(part.keeps.ageMs)
      sink.u64(part.keeps.bytesMax)
      sink.u64(part.keeps.messagesMax)
      break
  }
}

const writeAppend = (
  sink: PayloadSink,
  { closes, producer, count, packed }: StreamAppend,
): void => {
  const counting = producer?.counts === 'messages' ? flags.messages : 0
  sink.u8((closes ? flags.closes : 0) | (producer ? flags.producer | counting : 0))
  if (producer) {
    sink.text('an id of a producer', producer.id, producerIdBytesMax)
    sink.u64(producer.epoch)
    sink.u64(producer.seq)
  }
  sink.u32(count)
  sink.sized(packed)
}

const invalid = (message: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', message)

/** Reads the body of the unit, up to its end. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION` */
export const readStreams = (reader: PayloadReader): StreamsUnit => {
  const parts = reader.list(() => readPart(reader))
  if (parts.length === 0) throw reader.damaged('a unit of streams without a part')
  return { kind: 'streams', parts }
}

const readPart = (reader: PayloadReader): StreamPart => {
  const entity = reader.text('an owner of a stream', entityBytesMax)
  const coded = reader.u8()
  const act = coded & ~ofEntity
  const owner =
    coded === act ? entity : `${entity}\0${reader.text('a name of a stream', streamNameBytesMax)}`
  if (!isStream(owner)) throw reader.damaged('a part with the name of its owner')
  switch (act) {
    case acts.append:
      return readAppend(reader, owner)
    case acts.begin:
      return { owner, act: 'begin', id: reader.text('an id of a producer', producerIdBytesMax) }
    case acts.reopen:
      return { owner, act: 'reopen' }
    case acts.trim: {
      const from = reader.take(8)
      const birth = asBuffer(reader.bytes).toString('hex', from, from + 8)
      return { owner, act: 'trim', before: { birth, number: reader.u64() } }
    }
    case acts.keep: {
      const keeps = { ageMs: reader.u64(), bytesMax: reader.u64(), messagesMax: reader.u64() }
      return { owner, act: 'keep', keeps }
    }
    case acts.delete:
      return { owner, act: 'delete' }
    default:
      throw new KeelsonError('UNSUPPORTED_VERSION', `an unknown act on a stream: ${act}`, {
        details: { what: 'act on a stream', code: act },
      })
  }
}

const readAppend = (reader: PayloadReader, owner: string): StreamPart => {
  const set = reader.u8()
  const known = flags.closes | flags.producer | flags.messages
  const counts = (set & flags.messages) === 0 ? 'requests' : 'messages'
  const hasProducer = (set & flags.producer) !== 0
  if ((set & ~known) !== 0 || (counts === 'messages' && !hasProducer))
    throw reader.damaged('the flags of an append')
  const producer = hasProducer
    ? {
        id: reader.text('an id of a producer', producerIdBytesMax),
        epoch: reader.u64(),
        seq: reader.u64(),
        counts: counts as 'requests' | 'messages',
      }
    : undefined
  const count = reader.u32()
  const packed = reader.sized()
  const closes = (set & flags.closes) !== 0
  if ((count === 0 && !closes) || !arePacked(packed, count))
    throw reader.damaged('the messages of an append')
  return { owner, act: 'append', count, packed, closes, producer }
}

/** Whether bytes are so many messages, none longer than a message may be. */
const arePacked = (packed: Uint8Array, count: number): boolean => {
  let at = 0
  for (let each = 0; each < count; each++) {
    if (at + messageHeadBytes > packed.length) return false
    const length = u32In(packed, at)
    if (length > messageBytesMax) return false
    at += messageHeadBytes + length
  }
  return at === packed.length
}

/** The messages of an append, as views. */
export function* messagesOf({ packed }: StreamAppend): IterableIterator<Uint8Array> {
  for (let at = 0; at < packed.length; ) {
    const from = at + messageHeadBytes
    at = from + u32In(packed, at)
    yield packed.subarray(from, at)
  }
}
