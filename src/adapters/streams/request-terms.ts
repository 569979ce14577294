/**
 * The headers, the query and the body of a request of the Durable Streams protocol, checked. Pure.
 */

import { messageText, type ReadingPlace } from '../../actors/index.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { isJsonType, offsetPlace, type ProducerNumber } from '../../storage/index.ts'

/** The headers of the protocol. */
export const names = {
  offset: 'Stream-Next-Offset',
  upToDate: 'Stream-Up-To-Date',
  closed: 'Stream-Closed',
  cursor: 'Stream-Cursor',
  order: 'Stream-Seq',
  ttl: 'Stream-TTL',
  expiresAt: 'Stream-Expires-At',
  encoding: 'Stream-SSE-Data-Encoding',
  forkedFrom: 'Stream-Forked-From',
  forkOffset: 'Stream-Fork-Offset',
  forkSubOffset: 'Stream-Fork-Sub-Offset',
  producerId: 'Producer-Id',
  producerEpoch: 'Producer-Epoch',
  producerSeq: 'Producer-Seq',
  producerExpected: 'Producer-Expected-Seq',
  producerReceived: 'Producer-Received-Seq',
} as const

/** An act of a request on a stream by itself. */
export type StreamAct = 'read' | 'append' | 'create' | 'close' | 'delete' | 'fork'

/** The methods of the acts. The source of a fork is named by the PUT of another stream. */
const methods: Readonly<Record<StreamAct, readonly string[]>> = {
  read: ['GET', 'HEAD'],
  create: ['PUT'],
  append: ['POST'],
  close: ['POST'],
  delete: ['DELETE'],
  fork: [],
}

/** The answer 405, which names the methods that the acts allow (RFC 9110, 15.5.6). */
export const notAllowed = (acts: readonly StreamAct[]): Response => {
  const allowed = new Set(acts.flatMap((act) => methods[act]))
  return new Response(null, { status: 405, headers: { Allow: [...allowed, 'OPTIONS'].join(', ') } })
}

/** The refusal of a request that the protocol does not allow. */
export const malformed = (what: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', what, { details: { path: 'request' } })

/** The longest text of a header that a stream keeps, in bytes. */
const textMax = 256

const short = (name: string, text: string | null): string | undefined => {
  if (text === null) return undefined
  if (text === '' || Buffer.byteLength(text) > textMax || text.includes('\0'))
    throw malformed(`${name} takes 1 to ${textMax} bytes`)
  return text
}

const wholeForm = /^(?:0|[1-9]\d*)$/

const whole = (name: string, text: string | null): number | undefined => {
  if (text === null) return undefined
  const number = wholeForm.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw malformed(`${name} must be a whole number`)
  return number
}

/** Whether the request closes the stream. */
export const closesIn = (headers: Headers): boolean =>
  headers.get(names.closed)?.toLowerCase() === 'true'

/** The content type; `undefined` without one. */
export const contentTypeIn = (headers: Headers): string | undefined => {
  const given = headers.get('content-type')?.trim()
  return given ? short('Content-Type', given.toLowerCase()) : undefined
}

/** The order of an append. */
export const orderIn = (headers: Headers): string | undefined =>
  short(names.order, headers.get(names.order))

/** The number of a request of a producer. All three headers, or none. */
export const producerIn = (headers: Headers): ProducerNumber | undefined => {
  const [id, epoch, seq] = [
    short(names.producerId, headers.get(names.producerId)),
    whole(names.producerEpoch, headers.get(names.producerEpoch)),
    whole(names.producerSeq, headers.get(names.producerSeq)),
  ]
  if (id === undefined && epoch === undefined && seq === undefined) return undefined
  if (id !== undefined && epoch !== undefined && seq !== undefined)
    return { id, epoch, seq, counts: 'requests' }
  throw malformed('a producer has an id, an epoch and a sequence number')
}

const momentForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i

/** How long a stream is to last. */
export const lastingIn = (
  headers: Headers,
): { readonly ttlMs: number | undefined; readonly expiresAt: number | undefined } => {
  const seconds = whole(names.ttl, headers.get(names.ttl))
  const text = headers.get(names.expiresAt)
  if (seconds !== undefined && text !== null)
    throw malformed(`${names.ttl} and ${names.expiresAt} exclude each other`)
  const ttlMs = seconds === undefined ? undefined : seconds * 1_000
  if (ttlMs !== undefined && !Number.isSafeInteger(ttlMs))
    throw malformed(`${names.ttl} is too long`)
  const at = text === null ? undefined : momentForm.test(text) ? Date.parse(text) : Number.NaN
  if (at !== undefined && !(at >= 0))
    throw malformed(`${names.expiresAt} must be a time of RFC 3339`)
  return { ttlMs, expiresAt: at }
}

/** Where a fork is to be taken from. `place`: `undefined` for the end of the source. */
export type ForkTerms = {
  readonly path: string
  readonly place: ReadingPlace | undefined
  readonly more: number
}

/** The fork that a request asks for. */
export const forkIn = (headers: Headers): ForkTerms | undefined => {
  const path = headers.get(names.forkedFrom)
  const offset = headers.get(names.forkOffset)
  const more = whole(names.forkSubOffset, headers.get(names.forkSubOffset))
  if (path === null) {
    if (offset === null && more === undefined) return undefined
    throw malformed(`a fork needs ${names.forkedFrom}`)
  }
  if (offset === null && more) throw malformed(`${names.forkSubOffset} needs ${names.forkOffset}`)
  return { path, place: offset === null ? undefined : placeIn(offset), more: more ?? 0 }
}

const beginningForm = /^(?:-1|0+_0+)$/

const placeIn = (offset: string): ReadingPlace => {
  if (beginningForm.test(offset)) return { birth: undefined, number: 'start' }
  if (offset === 'now') return { birth: undefined, number: 'now' }
  const place = offsetPlace(offset)
  if (place) return place
  throw malformed('the offset is none that a stream gave')
}

/** The terms of a read. */
export type ReadTerms = {
  readonly place: ReadingPlace
  readonly live: 'long-poll' | 'sse' | undefined
  readonly cursor: number
}

/** The read that a query asks for. */
export const readTermsIn = (query: URLSearchParams): ReadTerms => {
  const [offset, second] = query.getAll('offset')
  if (second !== undefined) throw malformed('one offset, and no more')
  const live = query.get('live') ?? undefined
  if (live !== undefined && live !== 'long-poll' && live !== 'sse')
    throw malformed('live is long-poll or sse')
  if (live !== undefined && offset === undefined) throw malformed('a live read needs an offset')
  const cursor = query.get('cursor') ?? ''
  return {
    place: offset === undefined ? { birth: undefined, number: 'start' } : placeIn(offset),
    live,
    cursor: wholeForm.test(cursor) ? Number(cursor) : -1,
  }
}

/** The messages in a body. A list of JSON is one message for each element. */
export const messagesIn = (
  body: Uint8Array,
  contentType: string,
): readonly (string | Uint8Array)[] => (isJsonType(contentType) ? jsonIn(body) : [...pieces(body)])

const jsonIn = (body: Uint8Array): readonly string[] => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw malformed('the body is not JSON')
  }
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.map((each, at) => messageText(each, ['body', at]))
}

/** The most bytes of a message of a stream of bytes. */
const pieceMax = 64 * 1024

const isInside = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Bytes in pieces. No character of UTF-8 is cut. */
function* pieces(body: Uint8Array): IterableIterator<Uint8Array> {
  for (let from = 0; from < body.length; ) {
    let to = Math.min(from + pieceMax, body.length)
    for (let back = 0; back < 3 && isInside(body[to]); back++) to--
    if (isInside(body[to])) to = Math.min(from + pieceMax, body.length)
    yield body.subarray(from, to)
    from = to
  }
}

/** The status of an error, by its code. */
export const statusOf = (error: unknown): number => {
  if (!isKeelsonError(error)) return 500
  return Object.hasOwn(statuses, error.code) ? (statuses[error.code] ?? 500) : 500
}

const statuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FENCED: 403,
  CONFLICT: 409,
  BAD_CURSOR: 410,
  TOO_LARGE: 413,
  BUSY: 429,
  NO_SPACE: 507,
  NOT_SUBMITTED: 503,
  UNKNOWN_OUTCOME: 503,
  TIMEOUT: 503,
  SHARD_DOWN: 503,
  ELSEWHERE: 503,
  DEGRADED: 503,
  DISCARDED: 503,
  CLOSED: 503,
}
