/** GET and HEAD of the Durable Streams protocol: catch-up, long-poll and server-sent events. */
import type { RawStreams, Reading, ReadingPlace, Stop } from '../../actors/index.ts'
import { plainJson } from '../../bytes/json.ts'
import {
  contentTypeOf,
  isJsonType,
  mediaTypeOf,
  offsetOf,
  type StreamHead,
} from '../../storage/index.ts'
import { names, type ReadTerms } from './request-terms.ts'

/** A stream as a request has found it. */
export type Found = {
  readonly raw: RawStreams
  readonly owner: string
  readonly head: ServedHead
  /** The header `Cache-Control` of what may be kept by caches. */
  readonly caching: string
}

/** The facts of a stream that answers have. */
export type ServedHead = Pick<StreamHead, 'birth' | 'next' | 'isClosed' | 'terms'>

/** An actor's stream before its first message. Its end sorts before every offset. */
export const notBegun: ServedHead = {
  birth: '0'.repeat(16),
  next: 0,
  isClosed: false,
  terms: undefined,
}

/** Bytes that one answer takes at most, or a little more. */
const answerBytes = 256 * 1024

/** Bytes of one event: a slow reader of events holds no more. */
const eventBytes = 64 * 1024

/** Server-sent events end after so long, and the browser connects again. */
const eventsMs = 60_000

const isJson = (head: ServedHead): boolean => isJsonType(contentTypeOf(head))

/** The end of a stream as an offset. */
export const endOf = ({ birth, next }: ServedHead): string => offsetOf({ birth, number: next })

/** The headers that say what a stream is. */
export const headersOf = (head: ServedHead): Headers => {
  const headers = new Headers({ 'Content-Type': contentTypeOf(head), [names.offset]: endOf(head) })
  const { ttlMs, expiresAt } = head.terms ?? {}
  if (ttlMs !== undefined) headers.set(names.ttl, `${ttlMs / 1_000}`)
  if (expiresAt !== undefined) headers.set(names.expiresAt, new Date(expiresAt).toISOString())
  if (head.isClosed) headers.set(names.closed, 'true')
  return headers
}

/** The offset after a reading. */
const nextOf = ({ next }: Reading, head: ServedHead): string => {
  const { birth, number } = next
  return birth === undefined || typeof number !== 'number'
    ? endOf(head)
    : offsetOf({ birth, number })
}

const bodyOf = ({ messages }: Reading, head: ServedHead): string | Uint8Array =>
  isJson(head) ? `[${messages.join(',')}]` : Buffer.concat(messages as readonly Uint8Array[])

/** Cursors count pieces of this length from this moment on. */
const cursorMs = 20_000
const cursorFrom = Date.UTC(2024, 9, 9)

/** A cursor that is greater than the one of the request. */
const cursorAfter = (raw: RawStreams, given: number): string => {
  const now = Math.max(0, Math.floor((raw.clock.now() - cursorFrom) / cursorMs))
  if (given < now) return `${now}`
  return `${given + 1 + Math.floor((raw.clock.random() * 3_600_000) / cursorMs)}`
}

const answerOf = (found: Found, reading: Reading, terms: ReadTerms): Headers => {
  const headers = new Headers({
    'Content-Type': contentTypeOf(found.head),
    'Cache-Control': terms.place.number === 'now' ? 'no-store' : found.caching,
    [names.offset]: nextOf(reading, found.head),
  })
  if (reading.isAtEnd) headers.set(names.upToDate, 'true')
  if (reading.isClosed) headers.set(names.closed, 'true')
  if (terms.live) headers.set(names.cursor, cursorAfter(found.raw, terms.cursor))
  return headers
}

const tagOf = (reading: Reading, head: ServedHead): string =>
  `"${reading.first}:${nextOf(reading, head)}${reading.isClosed ? ':closed' : ''}"`

const never: Stop = { isStopped: false, wake: () => undefined }

/** The messages that are there. */
export const caughtUp = async (
  found: Found,
  terms: ReadTerms,
  condition: string | null,
): Promise<Response> => {
  const { raw, owner, head } = found
  const reading = await raw.read(owner, terms.place, false, answerBytes, never)
  if (!reading) throw new Error('a read was stopped')
  const headers = answerOf(found, reading, terms)
  if (terms.place.number !== 'now') {
    const tag = tagOf(reading, head)
    headers.set('ETag', tag)
    if (condition?.split(',').some((each) => each.trim() === tag))
      return new Response(null, { status: 304, headers })
  }
  return new Response(bodyOf(reading, head), { headers })
}

/** Ends a wait after a time, or from outside. */
const stopping = (raw: RawStreams, ms: number) => {
  const stop: Stop = { isStopped: false, wake: () => undefined }
  const end = (): void => {
    cancel()
    stop.isStopped = true
    stop.wake()
  }
  const cancel = raw.clock.after(ms, end, { holdsProcess: false })
  return { stop, end }
}

/** The messages that come within a time; 204 without one. */
export const polled = async (
  found: Found,
  terms: ReadTerms,
  waitMs: number,
  signal: AbortSignal,
): Promise<Response> => {
  const { raw, owner, head } = found
  const here = await raw.read(owner, terms.place, false, answerBytes, never)
  if (!here) throw new Error('a read was stopped')
  let reading = here
  if (here.messages.length === 0 && !here.isClosed) {
    const { stop, end } = stopping(raw, waitMs)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    try {
      reading = (await raw.read(owner, here.next, true, answerBytes, stop)) ?? here
    } finally {
      signal.removeEventListener('abort', end)
      end()
    }
  }
  const headers = answerOf(found, reading, terms)
  if (reading.messages.length === 0) return new Response(null, { status: 204, headers })
  headers.set('ETag', tagOf(reading, head))
  return new Response(bodyOf(reading, head), { headers })
}

/** The pieces of a body, as fast as they are asked for. */
export type Pieces = {
  /** The next piece; `undefined` after the last one. */
  readonly next: () => Promise<Uint8Array | undefined>
  /** Ends it from outside: a wait for a piece is answered with `undefined`. It may be called twice. */
  readonly end: () => void
}

/**
 * Server-sent events of a stream. They are no `Response`, because thousands of readers wait at a server
 * of Node, which takes the pieces as they are.
 */
export type Events = { readonly headers: Headers; readonly pieces: Pieces }

/** The messages as server-sent events. */
export const sentAsEvents = async (found: Found, terms: ReadTerms): Promise<Events> => {
  const { raw, owner, head } = found
  const first = await raw.read(owner, terms.place, false, eventBytes, never)
  if (!first) throw new Error('a read was stopped')
  const headers = new Headers({
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache, no-store',
    'X-Accel-Buffering': 'no',
  })
  if (isBinary(head)) headers.set(names.encoding, 'base64')
  return { headers, pieces: eventsFrom(found, first, terms.cursor) }
}

/** Events from a first reading on. */
const eventsFrom = ({ raw, owner, head }: Found, first: Reading, cursor: number): Pieces => {
  const { stop, end } = stopping(raw, eventsMs)
  let given: Reading | undefined = first
  let place: ReadingPlace = first.next
  let isOver = false
  const next = async (): Promise<Uint8Array | undefined> => {
    const reading = isOver ? undefined : (given ?? (await nextReading(raw, owner, place, stop)))
    given = undefined
    if (!reading || stop.isStopped) {
      end()
      return undefined
    }
    place = reading.next
    const after = cursorAfter(raw, cursor)
    cursor = Number(after)
    isOver = reading.isClosed
    return Buffer.from(eventsOf(reading, head, after))
  }
  return { next, end }
}

/** Events as the answer of a Fetch handler. They end when the request is given up. */
export const responseOf = ({ headers, pieces }: Events, signal: AbortSignal): Response => {
  const { next, end } = pieces
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const piece = await next()
        if (piece) return controller.enqueue(piece)
        signal.removeEventListener('abort', end)
        controller.close()
      },
      cancel: () => {
        signal.removeEventListener('abort', end)
        end()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers })
}

/** `undefined` when there will be none: the time is over, or the stream or the instance is gone. */
const nextReading = async (
  raw: RawStreams,
  owner: string,
  place: ReadingPlace,
  stop: Stop,
): Promise<Reading | undefined> => {
  try {
    return await raw.read(owner, place, true, eventBytes, stop)
  } catch {
    // The browser connects again, and its request is answered with what has happened.
    return undefined
  }
}

const isBinary = (head: ServedHead): boolean =>
  !isJson(head) && !mediaTypeOf(contentTypeOf(head)).startsWith('text/')

const eventsOf = (reading: Reading, head: ServedHead, cursor: string): string => {
  const { isAtEnd, isClosed, messages } = reading
  const control = {
    streamNextOffset: nextOf(reading, head),
    ...(isClosed ? { streamClosed: true } : { streamCursor: cursor }),
    ...(isAtEnd && { upToDate: true }),
  }
  const data = messages.length === 0 ? '' : eventOf('data', dataOf(reading, head))
  return data + eventOf('control', plainJson(control))
}

const dataOf = (reading: Reading, head: ServedHead): string => {
  const body = bodyOf(reading, head)
  if (typeof body === 'string') return body
  return Buffer.from(body).toString(isBinary(head) ? 'base64' : 'utf8')
}

/** A reader takes one space away from the beginning of a line. */
const eventOf = (event: string, data: string): string =>
  `event: ${event}\n${data
    .split(/\r\n|\r|\n/)
    .map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`)
    .join('')}\n`
