/**
 * A Fetch handler for servers of `node:http`. It is apart from the handler, which runs where there is
 * no Node server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

/** Answers one request of a server. It never rejects: `report` hears of what failed. */
export const answeredBy = async (
  handler: (request: Request) => Promise<Response>,
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
    const request = requestOf(req, gone.signal)
    const response = request ? await handler(request) : new Response(null, { status: 400 })
    if (res.destroyed) await response.body?.cancel()
    else await written(response, res, gone.signal)
  } catch (error) {
    // Nobody waits for an answer that fails once its client is gone.
    if (!gone.signal.aborted) report(error)
    if (res.headersSent) res.destroy()
    else res.writeHead(500, { 'X-Content-Type-Options': 'nosniff' }).end()
  } finally {
    res.off('close', leave)
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

/** Writes an answer as fast as the client takes it. */
const written = async (
  response: Response,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<void> => {
  res.writeHead(response.status, Object.fromEntries(response.headers))
  res.flushHeaders()
  const reader = response.body?.getReader()
  const leave = (): void => void reader?.cancel().catch(() => undefined)
  signal.addEventListener('abort', leave)
  if (signal.aborted) leave()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done || signal.aborted) break
    if (!res.write(value)) await drained(res, signal)
  }
  signal.removeEventListener('abort', leave)
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
