/**
 * The server of the page of `keelson observe`: the page itself, answers as JSON, streams of frames,
 * and actions. It works on requests of Node's `http`, and asks a source for everything.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Action, Frame, Header, Planned, Proposed } from '../../observe/index.ts'
import { inTime } from '../attach/answer-time.ts'
import type { Asked } from '../attach/attach-protocol.ts'
import { Nonces, type Refused, refusedOrigin } from './admission.ts'
import { FrameStreams } from './frame-streams.ts'

/** The instance, as the server asks it. */
export type Source = {
  /** Since when it does not answer, and why. */
  readonly away: { readonly since: number; readonly reason: string } | undefined
  /** @throws KeelsonError its refusal */
  ask(request: Asked, user?: string): Promise<unknown>
}

/** The file of the page, and the policy that allows a browser its script and style alone. */
export type Page = { readonly html: string; readonly policy: string }

/** The parts of a server. */
export type PageTerms = {
  readonly source: Source
  readonly clock: Clock
  readonly page: Page
  readonly isWriting: boolean
  /** The port of the loopback interface that requests must name; `undefined`: a host's own. */
  readonly port: () => number | undefined
  /** Whether a request may ask: the name of its user, or `true`. */
  readonly admits: (request: IncomingMessage) => Admitted | Promise<Admitted>
  /** The token for a one-time code; absent: a host's own login decides, about the page too. */
  readonly exchanged?: (code: unknown) => string | undefined
}

type Admitted = string | boolean | undefined

type Answer = {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Which sources a browser may load. */
  readonly policy?: string
}

const base = 'http://page'
const bodyMax = 64 * 1024
/** A shorter body is not worth a compression. */
const plainMax = 1_024

const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

const zipped = promisify(gzip)

/** Answers requests of the page. */
export class PageServer {
  readonly #terms: PageTerms
  readonly #nonces: Nonces
  readonly #streams: FrameStreams

  constructor(terms: PageTerms) {
    this.#terms = terms
    this.#nonces = new Nonces(terms.clock)
    this.#streams = new FrameStreams(terms.clock, (view, query) => this.#frame(view, query))
  }

  /** Answers one request; `url`: without the path of the page. Never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    url = request.url ?? '/',
  ): Promise<void> {
    try {
      if (!URL.canParse(url, base)) throw refusal(400, 'INVALID_ARGUMENT', 'the path is none')
      const { pathname: path, searchParams } = new URL(url, base)
      const refused = this.#refusal(request, path)
      if (refused) throw new Refusing(refused)
      if (path === '/api/stream') await this.#stream(request, response, searchParams)
      else await send(request, response, await this.#answer(request, path, searchParams))
    } catch (error) {
      const { status, code, message } = refusedOf(error)
      const body = JSON.stringify({ error: { code, message } })
      // The host may have answered a slow one itself.
      if (response.headersSent) return
      // The rest of its body is not read.
      if (request.method !== 'GET') response.setHeader('connection', 'close')
      await send(request, response, { status, type: json, body }).catch(() => response.destroy())
    }
  }

  /** Ends every stream. */
  close(): void {
    this.#streams.close()
  }

  #refusal({ headers: sent }: IncomingMessage, path: string): Refused | undefined {
    const { host, origin } = sent
    const site = sent['sec-fetch-site']
    const asking = { path, host, origin, site: Array.isArray(site) ? site[0] : site }
    return refusedOrigin(asking, this.#terms.port())
  }

  async #answer(request: IncomingMessage, path: string, query: URLSearchParams): Promise<Answer> {
    const { page, exchanged } = this.#terms
    const isPost = request.method === 'POST'
    if (!isPost && request.method !== 'GET') throw refusal(405, 'FORBIDDEN', 'GET or POST')
    if (exchanged === undefined) await this.#admit(request)
    if (path === '/' && !isPost)
      return { status: 200, type: html, body: page.html, policy: page.policy }
    if (exchanged && path === '/api/session' && isPost) {
      const token = exchanged(Object(await bodyOf(request)).code)
      if (token === undefined) throw refusal(401, 'UNAUTHORIZED', 'the code is used or too old')
      return answer({ token })
    }
    const user = await this.#admit(request)
    if (isPost && (path === '/api/plan' || path === '/api/act')) {
      const message = Object(await bodyOf(request))
      return answered(() => this.#act(path === '/api/plan', message, user))
    }
    const view = /^\/api\/([a-z]+)$/.exec(path)?.[1]
    if (view === undefined || isPost) throw refusal(404, 'NOT_FOUND', 'there is nothing here')
    if (this.#terms.source.away) return answer({ away: this.#terms.source.away })
    return answered(() => this.#look(view, Object.fromEntries(query)))
  }

  /** The name of the user of a request, if it has one. */
  async #admit(request: IncomingMessage): Promise<string | undefined> {
    const admitted = await this.#isAdmitted(request)
    if (admitted === true) return undefined
    if (typeof admitted === 'string' && admitted !== '') return admitted
    throw refusal(401, 'UNAUTHORIZED', 'the token is missing or not that of this server')
  }

  /** A login that fails admits nobody. */
  async #isAdmitted(request: IncomingMessage): Promise<Admitted> {
    try {
      return await this.#terms.admits(request)
    } catch {
      return false
    }
  }

  /** Plans or performs an action. The instance checks again whether it may be done. */
  async #act(
    isPlan: boolean,
    message: { readonly nonce?: unknown },
    user: string | undefined,
  ): Promise<unknown> {
    const { source, isWriting } = this.#terms
    const { nonce, ...parts } = message
    if (!isWriting)
      throw new KeelsonError('READ_ONLY', 'the page only looks: keelson observe --write acts')
    if (isPlan) {
      const proposed = parts as Proposed
      const planned = (await source.ask({ plan: proposed })) as Planned
      return { effect: planned.effect, nonce: this.#nonces.plan(proposed, planned) }
    }
    const action = parts as Action
    const planned = this.#nonces.used(nonce, action)
    if (!planned)
      throw refusal(409, 'CONFLICT', 'the action was not planned so, was performed, or is too old')
    return source.ask({ act: action, planned }, user)
  }

  #look(look: string, query: object): Promise<unknown> {
    return this.#terms.source.ask({ look, query })
  }

  async #stream(
    request: IncomingMessage,
    response: ServerResponse,
    searchParams: URLSearchParams,
  ): Promise<void> {
    if (request.method !== 'GET') throw refusal(405, 'FORBIDDEN', 'GET')
    await this.#admit(request)
    const { view = 'header', ...query } = Object.fromEntries(searchParams)
    if (!this.#streams.hasRoom) throw refusal(503, 'BUSY', 'eight tabs look already; close one')
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
    this.#streams.add(response, view, query, () =>
      this.#admit(request).then(
        () => true,
        () => false,
      ),
    )
  }

  /** The present frame of a stream. */
  async #frame(view: string, query: object): Promise<Frame> {
    const { source, clock } = this.#terms
    if (source.away) return { away: source.away }
    try {
      return (await inTime(clock, frameMs, this.#look(view, query))) as Frame
    } catch (error) {
      const { code, message } = refusedOf(error)
      try {
        const own = inTime(clock, frameMs, this.#look('header', {}))
        const { header } = (await own) as { readonly header: Header }
        return { header, error: { code, message } }
      } catch {
        return { away: source.away ?? { since: clock.now(), reason: message } }
      }
    }
  }
}

/** A browser gives up a stream that has no frame for 8 s. */
const frameMs = 5_000

const nothing = "default-src 'none'; frame-ancestors 'none'"

const send = async (
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, policy = nothing }: Answer,
): Promise<void> => {
  const accepts = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  const isZipped = accepts && body.length > plainMax
  const bytes = isZipped ? await zipped(body) : Buffer.from(body)
  response.writeHead(status, {
    ...headers,
    'content-security-policy': policy,
    'content-type': type,
    'content-length': bytes.length,
    // A 401 has to say how one is admitted.
    ...(status === 401 && { 'www-authenticate': 'Bearer realm="keelson"' }),
    ...(isZipped && { 'content-encoding': 'gzip' }),
  })
  response.end(bytes)
}

const json = 'application/json; charset=utf-8'
const html = 'text/html; charset=utf-8'

/**
 * The answer of the instance, or its refusal. That is an answer too: the browser writes a line to its
 * console for each failed status.
 */
const answered = async (ask: () => Promise<unknown>): Promise<Answer> => {
  try {
    return answer(await ask())
  } catch (error) {
    const { status, code, message } = refusedOf(error)
    if (status !== refusedByInstance) throw error
    return answer({ error: { code, message } })
  }
}

const answer = (body: unknown): Answer => ({ status: 200, type: json, body: JSON.stringify(body) })

/** A question that cannot be answered, or an action that cannot be done. */
const refusedByInstance = 422

class Refusing extends Error {
  readonly refused: Refused

  constructor(refused: Refused) {
    super(refused.message)
    this.refused = refused
  }
}

const refusal = (status: number, code: string, message: string): Refusing =>
  new Refusing({ status, code, message })

const refusedOf = (error: unknown): Refused => {
  if (error instanceof Refusing) return error.refused
  if (isKeelsonError(error)) {
    const status = error.code === 'READ_ONLY' ? 403 : refusedByInstance
    return { status, code: error.code, message: error.message }
  }
  return { status: 500, code: 'FAILED', message: reasonText(error) }
}

/** The JSON of a request. A form of another page cannot have its type. */
const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    throw refusal(415, 'INVALID_ARGUMENT', 'the body must be application/json')
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > bodyMax) throw refusal(413, 'TOO_LARGE', `the body has more than ${bodyMax} bytes`)
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString())
  } catch {
    throw refusal(400, 'INVALID_ARGUMENT', 'the body is not JSON')
  }
}
