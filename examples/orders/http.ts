/** The HTTP server of the service: a process of the tree that owns a `node:http` server. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AppContext, type GenServer, KeelsonError, ok, reply } from 'keelson'
import { flow, type RunStatus } from 'keelson/flow'
import type { Orders } from './order.ts'

type Answer = { readonly status: number; readonly body: unknown }
type Messages = { calls: { port: () => number } }
export type HttpOptions = { readonly orders: Orders; readonly port: number }

const answer = (status: number, body: unknown): Answer => ({ status, body })

const bodyOf = async (request: IncomingMessage): Promise<{ cents?: unknown }> => {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > 10_000) throw new SyntaxError('the body is too long')
  }
  return JSON.parse(text)
}

/** `POST /orders/ID` is safe to repeat: an order is placed once. 409: it was placed with other cents. */
const place = async (app: AppContext, orders: Orders, id: string, request: IncomingMessage) => {
  const { cents } = await bodyOf(request)
  if (typeof cents !== 'number' || !Number.isSafeInteger(cents) || cents < 1)
    return answer(400, { error: 'cents: a whole number from 1' })
  await flow(app).start(orders, { cents }, { id })
  return answer(201, { id })
}

const answerTo = async (
  app: AppContext,
  orders: Orders,
  request: IncomingMessage,
): Promise<Answer> => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const [, room, name, more] = pathname.split('/')
  if (room !== 'orders' || more !== undefined) return answer(404, { error: 'not found' })
  if (name === undefined) {
    const status = searchParams.get('status') as RunStatus | null
    const cursor = searchParams.get('cursor')
    const looked = { type: orders, ...(status && { status }), ...(cursor && { cursor }) }
    return answer(200, await flow(app).read('list', looked))
  }
  const id = decodeURIComponent(name)
  if (request.method === 'POST') return place(app, orders, id, request)
  if (request.method === 'DELETE')
    return answer(200, { id, ...(await flow(app).handle(orders, id).cancel()) })
  const order = await flow(app).read('get', orders, id)
  return order ? answer(200, order) : answer(404, { error: `no order ${id}` })
}

/** A refusal of the caller's is final. All others say: repeat it under the same key. */
const refusal = (error: unknown): Answer => {
  if (error instanceof SyntaxError || error instanceof URIError)
    return answer(400, { error: error.message })
  if (!(error instanceof KeelsonError)) return answer(500, { error: 'failed' })
  const status = { INVALID_ARGUMENT: 400, BAD_CURSOR: 400, CONFLICT: 409 }[error.code as string]
  return answer(status ?? 503, { error: error.message, code: error.code })
}

export const http: GenServer<Messages, Server, HttpOptions> = {
  init: async ({ orders, port }, { app, system, self }) => {
    const server = createServer(async (request, response) => {
      const { status, body } = await answerTo(app, orders, request).catch(refusal)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    // However this process ends, its port is free for the next one.
    system.monitor(self, () => void server.close())
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return ok(server)
  },
  calls: { port: (server) => reply((server.address() as AddressInfo).port, server) },
  // Requests under way are answered: the kind of orders ends after this process.
  terminate: async (server) => {
    await new Promise((resolve) => server.close(resolve))
  },
}
