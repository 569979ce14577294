/**
 * The rows of a durable stream: its head, its producers, and its messages packed in chunks. A chunk
 * grows in memory that later rows of it share: each earlier row is a prefix, which no later one
 * changes. Pure, but for that memory. Integers are little endian.
 *
 *     head       u8 1 | u8 flags: 1, closed | 8 bytes birth | u64 next | u64 floor | u64 bytes |
 *                u64 first chunk | u64 last chunk | u64 second chunk | u64 its stamp | u64 made, ms |
 *                u64 last append, ms | u32 producers | u64 kept ms | u64 kept bytes |
 *                u64 kept messages | the terms as JSON (absent for a plain stream)
 *     producer   u64 epoch | u64 next | u64 first, u64 place after the last message of its last piece
 *     chunk      u64 stamp of its first append | messages, each: u32 length, bytes
 */
import { plainJson } from '../../bytes/json.ts'
import { putU32, putU64, u32In, u64In } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'

/** The bounds of the messages that a stream keeps; 0 for no bound. */
export type StreamKeeps = {
  /** Messages of the last so many ms. */
  readonly ageMs: number
  /** The last so many bytes. */
  readonly bytesMax: number
  readonly messagesMax: number
}

/** Everything is kept. */
export const keepsAll: StreamKeeps = { ageMs: 0, bytesMax: 0, messagesMax: 0 }

/** The longest content type and order, in bytes of UTF-8. */
export const streamTextBytesMax = 256

/** Where a fork was taken: a copy of the messages `from` up to `number`, and of `more` after. */
export type StreamOrigin = {
  readonly owner: string
  readonly birth: string
  readonly from: number
  readonly number: number
  /** Further messages of JSON, or bytes of the messages after. */
  readonly more: number
}

/** The facts of a stream that is not plain: a plain one is of JSON, and has no end. */
export type StreamTerms = {
  readonly contentType: string
  readonly ttlMs?: number | undefined
  readonly expiresAt?: number | undefined
  readonly source?: StreamOrigin | undefined
  /** When it was read or written last, in ms since 1970, if it has a TTL. */
  touchedMs: number
  /** The greatest order of an append. */
  order?: string | undefined
  /** The owners of its forks. */
  forks?: readonly string[]
  /** It was deleted, and has forks. */
  isDeleted?: boolean
}

/** The content type of a plain stream. */
export const jsonType = 'application/json'

/** Whether the messages of a stream of this content type are JSON. */
export const isJsonType = (contentType: string): boolean => mediaTypeOf(contentType) === jsonType

/** The content type of a stream. */
export const contentTypeOf = ({ terms }: Pick<StreamHead, 'terms'>): string =>
  terms?.contentType ?? jsonType

/** A content type without its parameters. */
export const mediaTypeOf = (contentType: string): string =>
  (contentType.split(';')[0] ?? '').trim().toLowerCase()

/** The head of a stream. Messages are numbered from 0. A part changes its own copy. */
export type StreamHead = {
  readonly birth: string
  isClosed: boolean
  /** The number of the next message. */
  next: number
  /** The number of the first message that is kept. */
  floor: number
  /** The bytes of the messages in its chunks. */
  bytes: number
  /**
   * The numbers of the first messages of its first and its last chunk. Equal: it has one, or, at the
   * number of the next message, none.
   */
  firstChunk: number
  lastChunk: number
  /** The number of the first message of its second chunk; 0 without one. */
  second: number
  /** When that chunk was begun, in ms since 1970; 0 without one. */
  secondMs: number
  readonly madeMs: number
  writtenMs: number
  producers: number
  keeps: StreamKeeps
  terms: StreamTerms | undefined
}

/** The head of a stream that is made. */
export const newHead = (birth: string, madeMs: number): StreamHead => ({
  birth,
  isClosed: false,
  next: 0,
  floor: 0,
  bytes: 0,
  firstChunk: 0,
  lastChunk: 0,
  second: 0,
  secondMs: 0,
  madeMs,
  writtenMs: madeMs,
  producers: 0,
  keeps: keepsAll,
  terms: undefined,
})

/** When a stream ends, in ms since 1970; 0 for never. */
const endOf = ({ terms }: StreamHead): number => {
  if (terms?.expiresAt !== undefined) return Math.max(1, terms.expiresAt)
  return terms?.ttlMs === undefined
    ? 0
    : Math.min(terms.touchedMs + terms.ttlMs, Number.MAX_SAFE_INTEGER)
}

const headVersion = 1
const birthAt = 2
const numbersAt = 10
const producersAt = numbersAt + 9 * 8
const keepsAt = producersAt + 4
const headBytes = keepsAt + 3 * 8

/** The row of a head. */
export const streamHeadRow = (head: StreamHead): Row => {
  const terms = head.terms && Buffer.from(plainJson(head.terms))
  const bytes = Buffer.allocUnsafe(headBytes + (terms?.length ?? 0))
  terms?.copy(bytes, headBytes)
  bytes[0] = headVersion
  bytes[1] = head.isClosed ? 1 : 0
  bytes.write(head.birth, birthAt, 'hex')
  putU64(bytes, numbersAt, head.next)
  putU64(bytes, numbersAt + 8, head.floor)
  putU64(bytes, numbersAt + 16, head.bytes)
  putU64(bytes, numbersAt + 24, head.firstChunk)
  putU64(bytes, numbersAt + 32, head.lastChunk)
  putU64(bytes, numbersAt + 40, head.second)
  putU64(bytes, numbersAt + 48, head.secondMs)
  putU64(bytes, numbersAt + 56, head.madeMs)
  putU64(bytes, numbersAt + 64, head.writtenMs)
  putU32(bytes, producersAt, head.producers)
  putU64(bytes, keepsAt, head.keeps.ageMs)
  putU64(bytes, keepsAt + 8, head.keeps.bytesMax)
  putU64(bytes, keepsAt + 16, head.keeps.messagesMax)
  return { value: { tag: rowTags.streamHead, bytes }, expiresAt: endOf(head) }
}

/**
 * When all messages of the first chunk are as old as the stream keeps them, in ms since 1970; 0 without
 * a bound of age, or without a chunk.
 */
export const streamAgedAt = (
  head: Pick<StreamHead, 'keeps' | 'second' | 'secondMs' | 'lastChunk' | 'next' | 'writtenMs'>,
): number => {
  const { keeps, second, secondMs, lastChunk, next, writtenMs } = head
  if (keeps.ageMs === 0 || (second === 0 && lastChunk === next)) return 0
  return Math.min((second === 0 ? writtenMs : secondMs) + keeps.ageMs, Number.MAX_SAFE_INTEGER)
}

/** When a row has something to remove: itself, or the first chunk of its stream; 0 for never. */
export const removalAt = (row: Row): number => {
  const { value, expiresAt } = row
  const { tag, bytes } = value
  if (tag !== rowTags.streamHead || bytes.length < headBytes || u64In(bytes, keepsAt) === 0)
    return expiresAt
  const agedAt = streamAgedAt(readStreamHead(row))
  return expiresAt === 0 || agedAt === 0 ? expiresAt + agedAt : Math.min(expiresAt, agedAt)
}

const damaged = (what: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the row of ${what} of a stream cannot be read`, {
    details: { evidence },
  })

/** The head in a row. @throws KeelsonError `CORRUPT` */
export const readStreamHead = ({ value }: Row): StreamHead => {
  const { tag, bytes } = value
  if (tag !== rowTags.streamHead || bytes.length < headBytes || bytes[0] !== headVersion)
    throw damaged('the head', `tag ${tag}, ${bytes.length} bytes`)
  return {
    birth: asBuffer(bytes).toString('hex', birthAt, numbersAt),
    isClosed: bytes[1] === 1,
    next: u64In(bytes, numbersAt),
    floor: u64In(bytes, numbersAt + 8),
    bytes: u64In(bytes, numbersAt + 16),
    firstChunk: u64In(bytes, numbersAt + 24),
    lastChunk: u64In(bytes, numbersAt + 32),
    second: u64In(bytes, numbersAt + 40),
    secondMs: u64In(bytes, numbersAt + 48),
    madeMs: u64In(bytes, numbersAt + 56),
    writtenMs: u64In(bytes, numbersAt + 64),
    producers: u32In(bytes, producersAt),
    keeps: {
      ageMs: u64In(bytes, keepsAt),
      bytesMax: u64In(bytes, keepsAt + 8),
      messagesMax: u64In(bytes, keepsAt + 16),
    },
    terms: bytes.length === headBytes ? undefined : termsIn(bytes),
  }
}

const termsIn = (bytes: Uint8Array): StreamTerms => {
  try {
    return JSON.parse(asBuffer(bytes).toString('utf8', headBytes)) as StreamTerms
  } catch {
    throw damaged('the head', `its terms, ${bytes.length - headBytes} bytes`)
  }
}

/** A producer of a stream. */
export type StreamProducer = {
  readonly epoch: number
  /** The number that it has next: of its messages, or of its requests in this epoch. */
  readonly next: number
  /** The first of its last messages between which the stream has no other one. */
  readonly from: number
  /** The place in the stream after its last message. */
  readonly end: number
}

const producerBytes = 32

/** The row of a producer. */
export const streamProducerRow = ({ epoch, next, from, end }: StreamProducer): Row => {
  const bytes = Buffer.allocUnsafe(producerBytes)
  putU64(bytes, 0, epoch)
  putU64(bytes, 8, next)
  putU64(bytes, 16, from)
  putU64(bytes, 24, end)
  return { value: { tag: rowTags.streamProducer, bytes }, expiresAt: 0 }
}

/** The producer in a row. @throws KeelsonError `CORRUPT` */
export const readStreamProducer = ({ value }: Row): StreamProducer => {
  const { tag, bytes } = value
  if (tag !== rowTags.streamProducer || bytes.length !== producerBytes)
    throw damaged('a producer', `tag ${tag}, ${bytes.length} bytes`)
  const [epoch, next] = [u64In(bytes, 0), u64In(bytes, 8)]
  return { epoch, next, from: u64In(bytes, 16), end: u64In(bytes, 24) }
}

/** The bytes of a chunk before its first message. */
export const chunkHeadBytes = 8

/** The bytes before each message: its length. */
export const messageHeadBytes = 4

/** Memory in which a chunk grows. Bytes before `used` never change. */
class GrowingMemory extends ArrayBuffer {
  used = 0
}

const rowOf = (bytes: Uint8Array): Row => ({
  value: { tag: rowTags.streamChunk, bytes },
  expiresAt: 0,
})

const leastMemory = 256

/** Memory for `length` bytes, and for as many again up to `max`. */
const memoryFor = (length: number, max: number): Uint8Array =>
  new Uint8Array(
    new GrowingMemory(Math.max(length, Math.min(max, Math.max(leastMemory, 2 * length)))),
  )

/** A new chunk with the messages in `packed` from `from` up to `to`. `max`: the bytes of a full one. */
export const newChunk = (
  stampMs: number,
  packed: Uint8Array,
  from: number,
  to: number,
  max: number,
): Row => {
  const length = chunkHeadBytes + to - from
  const memory = memoryFor(length, max)
  putU64(memory, 0, stampMs)
  memory.set(packed.subarray(from, to), chunkHeadBytes)
  ;(memory.buffer as GrowingMemory).used = length
  return rowOf(memory.subarray(0, length))
}

/** A chunk with further messages. It shares the memory of `row` if nothing else has grown there. */
export const grownChunk = (
  row: Row,
  packed: Uint8Array,
  from: number,
  to: number,
  max: number,
): Row => {
  const { bytes } = row.value
  const end = bytes.length + to - from
  const { buffer } = bytes
  const isShared =
    buffer instanceof GrowingMemory && buffer.used === bytes.length && buffer.byteLength >= end
  const memory = isShared ? new Uint8Array(buffer, 0, end) : memoryFor(end, max)
  if (!isShared) memory.set(bytes)
  memory.set(packed.subarray(from, to), bytes.length)
  ;(memory.buffer as GrowingMemory).used = end
  return rowOf(isShared ? memory : memory.subarray(0, end))
}

/** Checks that a row is a chunk. @throws KeelsonError `CORRUPT` */
export const chunkBytes = (row: Row | undefined, number: number): Uint8Array => {
  if (!row || row.value.tag !== rowTags.streamChunk || row.value.bytes.length < chunkHeadBytes)
    throw damaged('a chunk', `the chunk from message ${number} on`)
  return row.value.bytes
}

/** When the first message of a chunk was appended, in ms since 1970. */
export const chunkStamp = (bytes: Uint8Array): number => u64In(bytes, 0)

/** How many messages a chunk has. @throws KeelsonError `CORRUPT` */
export const messagesIn = (bytes: Uint8Array): number => {
  let count = 0
  for (let at = chunkHeadBytes; at < bytes.length; at = messageEnd(bytes, at)) count++
  return count
}

/** The end of the message whose length is at `at`. @throws KeelsonError `CORRUPT` */
export const messageEnd = (bytes: Uint8Array, at: number): number => {
  const end = at + messageHeadBytes + u32In(bytes, at)
  if (at + messageHeadBytes > bytes.length || end > bytes.length)
    throw damaged('a chunk', `a message at ${at} of ${bytes.length} bytes`)
  return end
}
