/** A client of the page's server over a real socket, which sends whatever a browser would not. */
import { type IncomingMessage, request as send } from 'node:http'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../../src/clock.ts'
import type { Asked } from '../../../src/inspect/attach/attach-protocol.ts'
import { Tokens } from '../../../src/inspect/page-server/admission.ts'
import { listenOnLoopback } from '../../../src/inspect/page-server/loopback-server.ts'
import { PageServer, type Source } from '../../../src/inspect/page-server/page-server.ts'

/** A source that answers every question with its name, or as `answers` says. */
export const sourceOf = (answers: (request: Asked) => unknown): Source => ({
  away: undefined,
  ask: async (request) => answers(request),
})

/** The terms of a server for a test. */
type Given = { readonly source: Source; readonly isWriting?: boolean; readonly clock?: Clock }

/** A request of a test. */
export type Sent = {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** A server that listens on a free port, and a client with its token. */
export const pageServed = async ({ source, isWriting = false, clock = systemClock() }: Given) => {
  const tokens = new Tokens(clock)
  const { port, close } = await listenOnLoopback(
    0,
    clock,
    ({ headers }) => tokens.admits(headers.authorization),
    (terms) =>
      new PageServer({
        ...{ ...terms, source, clock, isWriting },
        page: { html: '<!doctype html><title>page</title>', policy: "default-src 'none'" },
        exchanged: (code) => tokens.exchanged(code),
      }),
  )
  onTestFinished(close)
  const token = tokens.exchanged(tokens.code()) ?? ''
  const bearer = { authorization: `Bearer ${token}` }
  /** The response, when its head has come. */
  const opened = (path: string, { method = 'GET', headers = bearer, body }: Sent = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const request = send({ port, host: '127.0.0.1', path, method, headers }, resolve)
      request.on('error', reject)
      request.end(body)
    })
  const ask = async (path: string, sent: Sent = {}) => {
    const response = await opened(path, sent)
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString()
    return { status: response.statusCode, headers: response.headers, text }
  }
  const post = (path: string, body: unknown, headers: Record<string, string> = bearer) =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  return { port, ask, post, opened, bearer, tokens }
}
