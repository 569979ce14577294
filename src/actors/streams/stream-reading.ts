/**
 * Reads messages of a stream from the rows of a view. It decides from the rows alone, and is the same
 * for every reader. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  chunkBytes,
  chunkHeadBytes,
  chunkNumberOf,
  contentTypeOf,
  isJsonType,
  living,
  messageEnd,
  messageHeadBytes,
  readStreamHead,
  type StreamHead,
  streamChunkKey,
  streamChunks,
  streamHeadKey,
  streamNameOf,
} from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'

/** Where a reading goes on. Without a birth: in the stream that is there, or comes. */
export type ReadingPlace = {
  readonly birth: string | undefined
  readonly number: number | 'start' | 'now'
  /** The chunk that was read last, and the byte after that. */
  readonly chunk?: number
  readonly at?: number
}

/** Messages of a stream, and the place after them. */
export type Reading = {
  /** The JSON of each, or its bytes in a stream of bytes. */
  readonly messages: readonly (string | Uint8Array)[]
  /** The number of the first. */
  readonly first: number
  readonly next: ReadingPlace
  /** There is no further message yet. */
  readonly isAtEnd: boolean
  /** There will be none: the stream is closed. */
  readonly isClosed: boolean
  /** The stream has a TTL, and a part of it has passed: that it was read is to be written. */
  readonly isToTouch: boolean
  /** That part, in ms: a reader that waits looks at the stream as often. 0 without a TTL. */
  readonly touchMs: number
  /** The stamp of the last append, in ms since 1970; 0 without a stream. */
  readonly writtenMs: number
}

/** The value of a message. */
export const messageValue = (message: string | Uint8Array): unknown =>
  typeof message === 'string' ? JSON.parse(message) : message

/** The head of a stream at `now`. @throws KeelsonError `CORRUPT` */
export const headIn = (view: ReadView, owner: string, now: number): StreamHead | undefined => {
  const row = living(view.row(streamHeadKey(owner)), now)
  return row && readStreamHead(row)
}

/** A read is written once so many parts of the TTL have passed. */
const touchParts = 1 / 4

const touchMsOf = ({ terms }: StreamHead): number => (terms?.ttlMs ?? 0) * touchParts

const isToTouch = ({ terms }: StreamHead, touchMs: number, now: number): boolean =>
  touchMs > 0 && terms !== undefined && now - terms.touchedMs >= touchMs

/** The number of a place in a stream; in a fork those of its source fit what was copied. */
const numberOf = (head: StreamHead, place: ReadingPlace): number | undefined => {
  const { birth, number } = place
  if (number === 'start') return head.floor
  if (number === 'now') return head.next
  if (birth === undefined || birth === head.birth) return number
  const { source } = head.terms ?? {}
  if (!source || source.birth !== birth) return undefined
  const copied = source.number + (isJsonType(contentTypeOf(head)) ? source.more : 0)
  return number >= source.from && number <= copied ? number - source.from : undefined
}

const gone = (owner: string, why: string, details: object = noOptions): KeelsonError =>
  new KeelsonError('BAD_CURSOR', why, { details: { stream: streamNameOf(owner), ...details } })

/**
 * Reads messages from a place on: at least one if there is one, and then up to `bytesMax`.
 * @throws KeelsonError `BAD_CURSOR` for a place that the stream does not have any more, or never had;
 * `CORRUPT`
 */
export const readingFrom = (
  view: ReadView,
  owner: string,
  place: ReadingPlace,
  bytesMax: number,
  now: number,
): Reading => {
  const head = headIn(view, owner, now)
  if (!head || head.terms?.isDeleted) {
    if (place.birth !== undefined) throw gone(owner, 'the stream of this offset is gone')
    const next = place.number === 'now' ? { birth: undefined, number: 'start' as const } : place
    return nothingAt(next)
  }
  const { birth, floor, writtenMs } = head
  const number = numberOf(head, place)
  if (number === undefined) throw gone(owner, 'the stream of this offset is gone')
  if (number < floor || number > head.next)
    throw gone(owner, 'the stream does not have this offset', { offset: number, floor })
  const first = number
  const given = isJsonType(contentTypeOf(head)) ? textIn : bytesIn
  const messages: (string | Uint8Array)[] = []
  let bytes = 0
  let cursor = place.chunk === undefined ? undefined : { chunk: place.chunk, at: place.at ?? 0 }
  let at = number
  while (at < head.next && bytes < bytesMax) {
    cursor = placed(view, owner, head, at, cursor)
    const content = contentOf(view, owner, birth, cursor.chunk)
    while (cursor.at < content.length && at < head.next && bytes < bytesMax) {
      const end = messageEnd(content, cursor.at)
      messages.push(given(content, cursor.at + messageHeadBytes, end))
      bytes += end - cursor.at
      cursor = { chunk: cursor.chunk, at: end }
      at++
    }
  }
  const isAtEnd = at === head.next
  const next: ReadingPlace = { birth, number: at, ...cursor }
  const isClosed = isAtEnd && head.isClosed
  const touchMs = touchMsOf(head)
  const isDue = isToTouch(head, touchMs, now)
  return { messages, first, next, isAtEnd, isClosed, isToTouch: isDue, touchMs, writtenMs }
}

/** The reading of a place without a message. */
export const nothingAt = (next: ReadingPlace): Reading => ({
  messages: [],
  first: 0,
  next,
  isAtEnd: true,
  isClosed: false,
  isToTouch: false,
  touchMs: 0,
  writtenMs: 0,
})

const bytesIn = (bytes: Uint8Array, from: number, to: number): Uint8Array => bytes.slice(from, to)

const textIn = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString()

const contentOf = (view: ReadView, owner: string, birth: string, chunk: number): Uint8Array =>
  chunkBytes(view.row(streamChunkKey(owner, birth, chunk)), chunk)

/** The chunk and the byte at which the message of a number begins. */
const placed = (
  view: ReadView,
  owner: string,
  { birth }: StreamHead,
  number: number,
  cursor: { readonly chunk: number; readonly at: number } | undefined,
): { readonly chunk: number; readonly at: number } => {
  if (cursor) {
    const row = view.row(streamChunkKey(owner, birth, cursor.chunk))
    if (row && row.value.bytes.length > cursor.at) return cursor
    if (view.row(streamChunkKey(owner, birth, number))) return { chunk: number, at: chunkHeadBytes }
  }
  const chunk = chunkWith(view, owner, birth, number)
  const content = contentOf(view, owner, birth, chunk)
  let at = chunkHeadBytes
  for (let passed = chunk; passed < number; passed++) at = messageEnd(content, at)
  return { chunk, at }
}

/** The first message of the chunk that has the message of a number. */
const chunkWith = (view: ReadView, owner: string, birth: string, number: number): number => {
  const range = { ...streamChunks(owner, birth, 0, number), reverse: true }
  for (const [key] of view.rows(range)) return chunkNumberOf(key)
  return number
}
