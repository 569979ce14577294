/**
 * A unit of durable streams: a list of parts, each of which one stream takes or refuses by itself.
 * Gathered appends of many callers are one unit. It is apart from the other units, which know no
 * parts. Pure.
 *
 *     unit      u32 parts, each: entity | u8 act, with 80 for a stream of the entity: its name | its fields
 *     append    u8 flags: 1 closes, 2 has a producer, 4 that counts messages, 8 has a target, 16 with
 *               an order, 32 of bytes | id | u64 epoch | u64 number | 8 bytes birth | order |
 *               u32 messages | sized: messages, each u32 length, bytes
 *     create    u8 flags: 1 closes, 2 has a TTL, 4 an expiry, 8 an origin | content type | u64 TTL, ms |
 *               u64 expiry, ms | origin: owner, 8 bytes birth, u64 from, u64 number, u64 more |
 *               u32 messages | sized: messages
 *     begin     id
 *     forget    id
 *     trim      8 bytes birth | u64 number
 *     keep      u64 ms | u64 bytes | u64 messages; 0 for no bound
 *     fork      8 bytes birth | owner of the fork
 *     unfork    owner of the fork
 *     reopen, delete, touch, expire, forgetAll   nothing
 */
import { u32In } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { entityBytesMax, isEntity } from '../values/entity-key.ts'
import {
  entityOfStream,
  isEntityStream,
  isStream,
  isStreamOwner,
  type StreamPlace,
  streamNameOf,
} from '../values/stream-key.ts'
import {
  messageHeadBytes,
  type StreamKeeps,
  type StreamOrigin,
  streamTextBytesMax,
} from '../values/stream-row.ts'
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

/** The stream that an append is for: without it, the one that is there or is made, of JSON. */
export type StreamTarget = {
  readonly birth: string
  /** Greater, byte by byte, than that of every append before. */
  readonly order: string | undefined
  /** The messages are bytes and no JSON. */
  readonly isBytes: boolean
}

/** Messages for a stream, packed: each u32 length and its bytes. */
export type StreamAppend = {
  readonly act: 'append'
  readonly count: number
  readonly packed: Uint8Array
  readonly closes: boolean
  readonly producer: ProducerNumber | undefined
  readonly to?: StreamTarget | undefined
}

/** Makes a stream with its first messages. One that is there must have been made the same. */
export type StreamCreate = {
  readonly act: 'create'
  readonly contentType: string
  /** It ends so many ms after the last read or write, or at a time in ms since 1970. */
  readonly ttlMs: number | undefined
  readonly expiresAt: number | undefined
  /** Of a fork. */
  readonly source: StreamOrigin | undefined
  readonly count: number
  readonly packed: Uint8Array
  readonly closes: boolean
}

/** The change of one stream. An append, a begin and a keep make it, if there is none. */
export type StreamAct =
  | StreamAppend
  | StreamCreate
  /** Raises the epoch of a producer. */
  | { readonly act: 'begin'; readonly id: string }
  /** Forgets a producer, which sends nothing any more. */
  | { readonly act: 'forget'; readonly id: string }
  /** Forgets every producer. */
  | { readonly act: 'forgetAll' }
  /** Opens a closed stream again. */
  | { readonly act: 'reopen' }
  /** Removes the messages before a place. */
  | { readonly act: 'trim'; readonly before: StreamPlace }
  | { readonly act: 'keep'; readonly keeps: StreamKeeps }
  /** Ends the stream. One with forks keeps its name. */
  | { readonly act: 'delete' }
  /** It was read: its TTL begins again. */
  | { readonly act: 'touch' }
  /** Removes the stream if it has expired, else its messages that are too old. */
  | { readonly act: 'expire' }
  /** Notes a fork. */
  | { readonly act: 'fork'; readonly birth: string; readonly fork: string }
  /** The fork is gone. Without another one a deleted stream is removed. */
  | { readonly act: 'unfork'; readonly fork: string }

/** A part: a change of the stream of an owner. */
export type StreamPart = StreamAct & { readonly owner: string }

/** Parts for streams of one shard. */
export type StreamsUnit = { readonly kind: 'streams'; readonly parts: readonly StreamPart[] }

const acts = {
  append: 1,
  begin: 2,
  reopen: 3,
  trim: 4,
  keep: 5,
  delete: 6,
  create: 7,
  touch: 8,
  expire: 9,
  fork: 10,
  unfork: 11,
  forget: 12,
  forgetAll: 13,
} as const

/** The flags of a removal: it is the last one, or one of a stream of the entity. */
export const removalFlags = { last: 1, stream: 2 } as const

/** In an act: the stream is one of the entity. */
const ofEntity = 0x80

const flags = { closes: 1, producer: 2, messages: 4, target: 8, order: 16, bytes: 32 } as const

const making = { closes: 1, ttl: 2, expiry: 4, origin: 8 } as const

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
    case 'create':
      writeCreate(sink, part)
      break
    case 'begin':
    case 'forget':
      sink.text('an id of a producer', part.id, producerIdBytesMax)
      break
    case 'fork':
      sink.bytes(Buffer.from(part.birth, 'hex'))
      sink.text('an owner of a stream', part.fork, entityBytesMax)
      break
    case 'unfork':
      sink.text('an owner of a stream', part.fork, entityBytesMax)
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
  { closes, producer, to, count, packed }: StreamAppend,
): void => {
  const counting = producer?.counts === 'messages' ? flags.messages : 0
  const ordered = to?.order === undefined ? 0 : flags.order
  const target = to ? flags.target | ordered | (to.isBytes ? flags.bytes : 0) : 0
  sink.u8((closes ? flags.closes : 0) | (producer ? flags.producer | counting : 0) | target)
  if (producer) {
    sink.text('an id of a producer', producer.id, producerIdBytesMax)
    sink.u64(producer.epoch)
    sink.u64(producer.seq)
  }
  if (to) {
    sink.bytes(Buffer.from(to.birth, 'hex'))
    if (to.order !== undefined) sink.text('an order of an append', to.order, streamTextBytesMax)
  }
  sink.u32(count)
  sink.sized(packed)
}

const writeCreate = (sink: PayloadSink, part: StreamCreate): void => {
  const { contentType, ttlMs, expiresAt, source, count, packed, closes } = part
  const lasting =
    (ttlMs === undefined ? 0 : making.ttl) | (expiresAt === undefined ? 0 : making.expiry)
  sink.u8((closes ? making.closes : 0) | lasting | (source ? making.origin : 0))
  sink.text('a content type', contentType, streamTextBytesMax)
  if (ttlMs !== undefined) sink.u64(ttlMs)
  if (expiresAt !== undefined) sink.u64(expiresAt)
  if (source) {
    sink.text('an owner of a stream', source.owner, entityBytesMax)
    sink.bytes(Buffer.from(source.birth, 'hex'))
    sink.u64(source.from)
    sink.u64(source.number)
    sink.u64(source.more)
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

const readOwner = (reader: PayloadReader): string => {
  const owner = reader.text('an owner of a stream', entityBytesMax)
  if (isEntity(owner) && isStreamOwner(owner)) return owner
  throw reader.damaged('a part with the name of its owner')
}

const readBirth = (reader: PayloadReader): string => {
  const from = reader.take(8)
  return asBuffer(reader.bytes).toString('hex', from, from + 8)
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
    case acts.forget:
      return { owner, act: 'forget', id: reader.text('an id of a producer', producerIdBytesMax) }
    case acts.forgetAll:
      return { owner, act: 'forgetAll' }
    case acts.reopen:
      return { owner, act: 'reopen' }
    case acts.trim: {
      const birth = readBirth(reader)
      return { owner, act: 'trim', before: { birth, number: reader.u64() } }
    }
    case acts.keep: {
      const keeps = { ageMs: reader.u64(), bytesMax: reader.u64(), messagesMax: reader.u64() }
      return { owner, act: 'keep', keeps }
    }
    case acts.delete:
      return { owner, act: 'delete' }
    case acts.create:
      return readCreate(reader, owner)
    case acts.touch:
      return { owner, act: 'touch' }
    case acts.expire:
      return { owner, act: 'expire' }
    case acts.fork: {
      const birth = readBirth(reader)
      return { owner, act: 'fork', birth, fork: readOwner(reader) }
    }
    case acts.unfork:
      return { owner, act: 'unfork', fork: readOwner(reader) }
    default:
      throw new KeelsonError('UNSUPPORTED_VERSION', `an unknown act on a stream: ${act}`, {
        details: { what: 'act on a stream', code: act },
      })
  }
}

const readAppend = (reader: PayloadReader, owner: string): StreamPart => {
  const set = reader.u8()
  const known = Object.values(flags).reduce((sum, each) => sum | each, 0)
  const counts = (set & flags.messages) === 0 ? 'requests' : 'messages'
  const hasProducer = (set & flags.producer) !== 0
  const hasTarget = (set & flags.target) !== 0
  const isAimed = (set & (flags.order | flags.bytes)) !== 0
  const isTorn = (counts === 'messages' && !hasProducer) || (isAimed && !hasTarget)
  if ((set & ~known) !== 0 || isTorn) throw reader.damaged('the flags of an append')
  const producer = hasProducer
    ? {
        id: reader.text('an id of a producer', producerIdBytesMax),
        epoch: reader.u64(),
        seq: reader.u64(),
        counts: counts as 'requests' | 'messages',
      }
    : undefined
  const to = hasTarget
    ? {
        birth: readBirth(reader),
        order:
          (set & flags.order) === 0
            ? undefined
            : reader.text('an order of an append', streamTextBytesMax),
        isBytes: (set & flags.bytes) !== 0,
      }
    : undefined
  const closes = (set & flags.closes) !== 0
  const { count, packed } = readMessages(reader)
  if (count === 0 && !closes) throw reader.damaged('the messages of an append')
  return { owner, act: 'append', count, packed, closes, producer, to }
}

const readCreate = (reader: PayloadReader, owner: string): StreamPart => {
  const set = reader.u8()
  const known = Object.values(making).reduce((sum, each) => sum | each, 0)
  if ((set & ~known) !== 0) throw reader.damaged('the flags of a create')
  const contentType = reader.text('a content type', streamTextBytesMax)
  const ttlMs = (set & making.ttl) === 0 ? undefined : reader.u64()
  const expiresAt = (set & making.expiry) === 0 ? undefined : reader.u64()
  const source =
    (set & making.origin) === 0
      ? undefined
      : {
          owner: readOwner(reader),
          birth: readBirth(reader),
          from: reader.u64(),
          number: reader.u64(),
          more: reader.u64(),
        }
  const closes = (set & making.closes) !== 0
  const messages = readMessages(reader)
  const made = { contentType, ttlMs, expiresAt, source, closes }
  return { owner, act: 'create', ...made, ...messages }
}

const readMessages = (reader: PayloadReader): { count: number; packed: Uint8Array } => {
  const count = reader.u32()
  const packed = reader.sized()
  if (!arePacked(packed, count)) throw reader.damaged('the messages of a part')
  return { count, packed }
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

/** The messages of an append or a create, as views. */
export function* messagesOf({ packed }: StreamAppend | StreamCreate): IterableIterator<Uint8Array> {
  for (let at = 0; at < packed.length; ) {
    const from = at + messageHeadBytes
    at = from + u32In(packed, at)
    yield packed.subarray(from, at)
  }
}
