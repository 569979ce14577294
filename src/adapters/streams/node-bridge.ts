/**
 * A Fetch handler for servers of `node:http`. It is apart from the handler, which runs where there is
 * no Node server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Events, Pieces } from './stream-reads.ts'

/** Answers a request until the signal is aborted. */
type Answering = (request: Request, signal: AbortSignal) => Promise<Response | Events>

/** Answers one request of a server. It never rejects: `report` hears of what failed. */
export const answeredBy = async (
  answering: Answering,
  req: IncomingMessage,
  res: ServerResponse,
  report: (error: unknown) => void,
): Promise<void> => {
  const gone = new AbortController()
  const leave = (): void => gone.abort()
  res.once('close', leave)
  res.on('error', leave)
  req.on('error', leave)
  try {
    const pieces = await begun(answering, req, res, gone.signal)
    await written(pieces, res, gone.signal)
  } catch (error) {
    // Nobody waits for an answer that fails once its client is gone.
    if (!gone.signal.aborted) report(error)
    if (res.headersSent) res.destroy()
    else res.writeHead(500, { 'X-Content-Type-Options': 'nosniff' }).end()
  } finally {
    res.off('close', leave)
  }
}

/**
 * Writes the head of an answer, and gives its body. It is apart because nothing keeps the
 * request after it: of a reader that waits for events, `Request` and `Response` were a third of the
 * memory.
 */
const begun = async (
  answering: Answering,
  req: IncomingMessage,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<Pieces> => {
  const request = requestOf(req, signal)
  const answer = request ? await answering(request, signal) : new Response(null, { status: 400 })
  const isEvents = 'pieces' in answer
  if (!res.destroyed) {
    res.writeHead(isEvents ? 200 : answer.status, Object.fromEntries(answer.headers))
    res.flushHeaders()
  }
  return isEvents ? answer.pieces : bodyOf(answer)
}

const bodyOf = ({ body }: Response): Pieces => {
  const reader = body?.getReader()
  return {
    next: async () => (await reader?.read())?.value,
    end: () => void reader?.cancel().catch(() => undefined),
  }
}

/** The request; `undefined` for a target or a host that is none. */
const requestOf = (req: IncomingMessage, signal: AbortSignal): Request | undefined => {
  const { method = 'GET', headers: given, url: target = '/' } = req
  const url = `${'encrypted' in req.socket ? 'https' : 'http'}://${given.host ?? 'localhost'}${target}`
  if (!target.startsWith('/') || !URL.canParse(url)) return undefined
  const headers = new Headers()
  for (const [name, value] of Object.entries(given))
    for (const each of Array.isArray(value) ? value : [value ?? ''])
      if (!name.startsWith(':')) headers.append(name, each)
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const body = hasBody ? { body: Readable.toWeb(req) as ReadableStream, duplex: 'half' } : {}
  return new Request(url, { method, headers, signal, ...body } as RequestInit)
}

/** Writes a body as fast as the client takes it. */
const written = async (
  { next, end }: Pieces,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<void> => {
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  for (;;) {
    const piece = await next()
    if (!piece || signal.aborted) break
    if (!res.write(piece)) await drained(res, signal)
  }
  signal.removeEventListener('abort', end)
  res.end()
}

const drained = (res: ServerResponse, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    res.once('drain', done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
