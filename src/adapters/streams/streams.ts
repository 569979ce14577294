/**
 * `keelson/streams`: durable streams over HTTP, by the Durable Streams protocol. A handler takes a
 * `Request` and gives a `Response`, so it works in every server that knows Fetch, and by `node` in one
 * of `node:http`. The application says which stream a request means: without that no stream has a
 * URL.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type RawStreams, StreamSource, type Streams } from '../../actors/index.ts'
import { plainJson } from '../../bytes/json.ts'
import {
  argument,
  config,
  flag,
  functionOf,
  listOf,
  noMore,
  object,
  oneOf,
  optional,
  or,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import { invalidArgument, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { streamOwner } from '../../storage/index.ts'
import { answeredBy } from './node-bridge.ts'
import {
  closesIn,
  forkIn,
  malformed,
  names,
  notAllowed,
  readTermsIn,
  type StreamAct,
  statusOf,
} from './request-terms.ts'
import {
  caughtUp,
  type Events,
  type Found,
  headersOf,
  notBegun,
  polled,
  responseOf,
  sentAsEvents,
} from './stream-reads.ts'
import { appended, type ForkSource, made } from './stream-writes.ts'

export type { StreamAct } from './request-terms.ts'

/** The stream that a request means. */
export interface ServedStream {
  /** The name of a stream by itself. */
  readonly stream: string
  /** The acts that it allows; by default `['read']`. `fork`: that it is the source of a fork. */
  readonly acts?: readonly StreamAct[]
  /** Its messages may be kept by caches that many share. By default none may keep them. */
  readonly public?: boolean
}

/** The stream of an actor that a request means. It is read only, and served before it begins. */
export interface ServedSource {
  /** Such as `app.entity(kind).stream(id, name)`. */
  readonly source: StreamSource<unknown>
  /** As of `ServedStream`. */
  readonly public?: boolean
}

/**
 * Says which stream a request means. `path` is what follows `base` in the URL, decoded, without a
 * slash before it. `undefined`: none, the answer is 404. An error is answered with 500.
 */
export type StreamResolver = (
  request: Request,
  path: string,
) => Meant | undefined | Promise<Meant | undefined>

type Meant = ServedStream | ServedSource

/** The options of a handler. */
export interface StreamHandlerOptions {
  /** The beginning of the paths of all streams; by default `/`. */
  readonly base?: string
  /** The origins whose pages may use the streams, or `'*'` for every one; by default none. */
  readonly cors?: readonly string[]
  /** How long a long-poll waits for a message, in ms; by default 20,000. */
  readonly longPollMs?: number
}

/** Serves streams over HTTP. */
export interface StreamHandler {
  /** Answers a request. It rejects with nothing. */
  (request: Request): Promise<Response>
  /** Answers a request of a server of `node:http`. It needs no `this`, and rejects with nothing. */
  readonly node: (req: IncomingMessage, res: ServerResponse) => Promise<void>
}

const handlerOptions = object({
  base: or(text, '/'),
  cors: or(listOf(text, 'a list of origins'), []),
  longPollMs: or(wholeFrom(1, 300_000), 20_000),
})

const allActs = ['read', 'append', 'create', 'close', 'delete', 'fork'] as const

const streamForm = object({
  stream: text,
  acts: or(listOf(oneOf(...allActs), 'a list of acts'), ['read']),
  public: optional(flag),
})

const sourceForm = object({
  source: that<StreamSource>('a stream of an actor', (found) => found instanceof StreamSource),
  public: optional(flag),
})

/** A stream that a request means. `isActors`: its turns write it, and it is read only. */
type Served = {
  readonly owner: string
  readonly acts: readonly StreamAct[]
  readonly isActors: boolean
  readonly isPublic: boolean
}

type Terms = {
  readonly raw: RawStreams
  readonly resolve: StreamResolver
  readonly base: string
  readonly cors: readonly string[]
  readonly longPollMs: number
}

/**
 * A handler of the streams of an instance.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const streamHandler = (
  app: { readonly streams: Streams },
  resolve: StreamResolver,
  options: StreamHandlerOptions = noOptions,
  ...surplus: readonly []
): StreamHandler => {
  noMore(surplus, 'streamHandler(app, resolve, { base, cors, longPollMs })')
  const raw = app.streams.raw()
  functionOf()(resolve, argument('resolve'))
  const { base, cors, longPollMs } = handlerOptions(options, argument('options'))
  if (!base.startsWith('/')) throw invalidArgument('base', 'a path that begins with a slash', base)
  const terms = { raw, resolve, base: base.replace(/\/+$/, ''), cors, longPollMs }
  const answerTo = async (request: Request, signal: AbortSignal): Promise<Response | Events> => {
    const answer = await answered(terms, request, signal)
    finish(answer.headers, request, cors)
    return answer
  }
  const handler = async (request: Request): Promise<Response> => {
    const answer = await answerTo(request, request.signal)
    return 'pieces' in answer ? responseOf(answer, request.signal) : answer
  }
  const node = (req: IncomingMessage, res: ServerResponse): Promise<void> =>
    answeredBy(answerTo, req, res, (error) => raw.report(error))
  return Object.assign(handler, { node })
}

const answered = async (
  terms: Terms,
  request: Request,
  signal: AbortSignal,
): Promise<Response | Events> => {
  try {
    if (request.method === 'OPTIONS') return new Response(null, { status: 204 })
    return await routed(terms, request, signal)
  } catch (error) {
    const status = statusOf(error)
    if (status === 500 && !signal.aborted) terms.raw.report(error)
    return errorResponse(status, error)
  }
}

const errorResponse = (status: number, error: unknown): Response => {
  const isKnown = isKeelsonError(error) && status !== 500
  const body = isKnown ? { code: error.code, message: error.message } : { code: 'FAILED' }
  const headers = new Headers({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  if (status === 429 || status === 503) headers.set('Retry-After', '1')
  return new Response(plainJson(body), { status, headers })
}

/** The path below the base; `undefined` for one outside of it. */
const pathIn = (url: string, base: string): string | undefined => {
  const { pathname } = new URL(url, 'http://localhost')
  if (pathname !== base && !pathname.startsWith(`${base}/`)) return undefined
  try {
    return decodeURIComponent(pathname.slice(base.length + 1))
  } catch {
    return undefined
  }
}

const served = async ({ resolve, base }: Terms, request: Request): Promise<Served | undefined> => {
  const path = pathIn(request.url, base)
  if (path === undefined) return undefined
  const found = await resolve(request, path)
  return found && servedBy(found)
}

const servedBy = (found: Meant): Served => {
  const at = config('resolve')
  if (Object.hasOwn(Object(found), 'source')) {
    const { source, public: isPublic = false } = sourceForm(found, at)
    return { owner: source.owner, acts: ['read'], isActors: true, isPublic }
  }
  const { stream, acts, public: isPublic = false } = streamForm(found, at)
  return { owner: streamOwner(stream), acts, isActors: false, isPublic }
}

const said = (status: number): Response => new Response(null, { status })

const routed = async (
  terms: Terms,
  request: Request,
  signal: AbortSignal,
): Promise<Response | Events> => {
  const { raw } = terms
  const meant = await served(terms, request)
  if (!meant) return said(404)
  const { owner, acts, isActors } = meant
  const act = actOf(request)
  if (!act || !acts.includes(act)) return notAllowed(acts)
  if (request.method === 'PUT') {
    const from = await sourceIn(terms, request)
    return from instanceof Response ? from : made(raw, owner, request, from)
  }
  const present = await raw.head(owner)
  if (present?.terms?.isDeleted) return said(410)
  if (request.method === 'POST' && present) return appended(raw, owner, present, request, acts)
  if (request.method === 'DELETE' && present) return said((await raw.delete(owner)) ? 204 : 404)
  const head = present ?? (isActors ? notBegun : undefined)
  if (!head) return said(404)
  if (request.method === 'HEAD') return new Response(null, { headers: headersOf(head) })
  const caching = meant.isPublic
    ? 'public, max-age=60, stale-while-revalidate=300'
    : 'private, no-store'
  return read(terms, { raw, owner, head, caching }, request, signal)
}

/** The act of a request; `undefined` for a method that the protocol does not have. */
const actOf = ({ method, headers }: Request): StreamAct | undefined => {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return 'read'
    case 'PUT':
      return 'create'
    case 'DELETE':
      return 'delete'
    case 'POST':
      return closesIn(headers) ? 'close' : 'append'
    default:
      return undefined
  }
}

const read = (
  terms: Terms,
  found: Found,
  request: Request,
  signal: AbortSignal,
): Promise<Response | Events> => {
  const asked = readTermsIn(new URL(request.url).searchParams)
  if (asked.live === 'sse') return sentAsEvents(found, asked)
  if (asked.live) return polled(found, asked, terms.longPollMs, signal)
  return caughtUp(found, asked, request.headers.get('if-none-match'))
}

/** The source of a fork, which the callback must allow. */
const sourceIn = async (
  terms: Terms,
  request: Request,
): Promise<ForkSource | Response | undefined> => {
  const fork = forkIn(request.headers)
  if (!fork) return undefined
  if (!URL.canParse(fork.path, request.url)) throw malformed('the source of a fork is no URL')
  const url = new URL(fork.path, request.url)
  if (url.origin !== new URL(request.url).origin) return said(404)
  const meant = await served(terms, new Request(url, { headers: request.headers }))
  if (!meant) return said(404)
  if (!meant.acts.includes('fork')) return said(403)
  return { path: fork.path, place: fork.place, more: fork.more, owner: meant.owner }
}

const methods = 'GET, HEAD, PUT, POST, DELETE, OPTIONS'

const asked = [
  'Content-Type',
  'Authorization',
  'If-None-Match',
  names.order,
  names.ttl,
  names.expiresAt,
  names.closed,
  names.forkedFrom,
  names.forkOffset,
  names.forkSubOffset,
  names.producerId,
  names.producerEpoch,
  names.producerSeq,
].join(', ')

const exposed = [
  'ETag',
  'Location',
  names.offset,
  names.upToDate,
  names.closed,
  names.cursor,
  names.ttl,
  names.expiresAt,
  names.encoding,
  names.producerEpoch,
  names.producerSeq,
  names.producerExpected,
  names.producerReceived,
].join(', ')

/** The headers of every answer. */
const finish = (headers: Headers, request: Request, cors: readonly string[]): void => {
  headers.set('X-Content-Type-Options', 'nosniff')
  headers.set('Cross-Origin-Resource-Policy', cors.length > 0 ? 'cross-origin' : 'same-origin')
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store')
  const origin = request.headers.get('origin')
  if (cors.length > 0) headers.append('Vary', 'Origin')
  if (origin === null || !(cors.includes('*') || cors.includes(origin))) return
  headers.set('Access-Control-Allow-Origin', cors.includes('*') ? '*' : origin)
  headers.set('Access-Control-Expose-Headers', exposed)
  if (request.method !== 'OPTIONS') return
  headers.set('Access-Control-Allow-Methods', methods)
  headers.set('Access-Control-Allow-Headers', asked)
  headers.set('Access-Control-Max-Age', '600')
}
