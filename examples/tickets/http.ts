/** The HTTP server of the shop: a process of the tree that owns a `node:http` server. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AppContext, type GenServer, KeelsonError, ok, reply } from 'keelson'
import { StateMachine } from 'keelson/state-machine'
import type { OrderKind } from './order.ts'
import type { ShowKind } from './show.ts'

type Answer = { readonly status: number; readonly body: unknown }
export type Messages = { calls: { port: () => number } }
export type Shop = { readonly orders: OrderKind; readonly shows: ShowKind; readonly port: number }

const answer = (status: number, body: unknown): Answer => ({ status, body })

const bodyOf = async (request: IncomingMessage): Promise<{ show?: unknown; seats?: unknown }> => {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > 10_000) throw new SyntaxError('the body is too long')
  }
  return JSON.parse(text)
}

/** `PUT /orders/ID` is safe to repeat: an order is placed once. 202: it will come to its end. */
const place = async (app: AppContext, orders: OrderKind, id: string, request: IncomingMessage) => {
  const { show, seats } = await bodyOf(request)
  const isSeats = Array.isArray(seats) && seats.length > 0 && seats.length <= 8
  if (typeof show !== 'string' || !isSeats || !seats.every((seat) => typeof seat === 'string'))
    return answer(400, { error: 'show: a text; seats: one to eight texts' })
  const state = await StateMachine.call(app.entity(orders).ref(id), { type: 'place', show, seats })
  return answer(202, { id, state })
}

const answerTo = async (app: AppContext, shop: Shop, request: IncomingMessage): Promise<Answer> => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const [, room, name] = pathname.split('/')
  const id = decodeURIComponent(name ?? '')
  if (room === 'report') {
    const { entries } = app.projection('report').range({ limit: 1_000 })
    return answer(200, Object.fromEntries(entries))
  }
  if (room === 'shows' && name) return answer(200, (await app.entity(shop.shows).load(id)) ?? {})
  if (room !== 'orders') return answer(404, { error: 'not found' })
  if (!name) {
    const counts = await app.entity(shop.orders).counts('state')
    return answer(200, Object.fromEntries(counts))
  }
  if (request.method === 'PUT') return place(app, shop.orders, id, request)
  const order = await app.entity(shop.orders).load(id)
  return order ? answer(200, order) : answer(404, { error: `no order ${id}` })
}

/** A refusal of the caller's is final. All others say: repeat it. */
const refusal = (error: unknown): Answer => {
  if (error instanceof SyntaxError || error instanceof URIError)
    return answer(400, { error: error.message })
  if (!(error instanceof KeelsonError)) return answer(500, { error: 'failed' })
  const isCallers = error.code === 'INVALID_ARGUMENT'
  return answer(isCallers ? 400 : 503, { error: error.message, code: error.code })
}

export const http: GenServer<Messages, Server, Shop> = {
  init: async (shop, { app, system, self }) => {
    const server = createServer(async (request, response) => {
      const { status, body } = await answerTo(app, shop, request).catch(refusal)
      // A server that closes would serve a connection as long as it asks.
      response.shouldKeepAlive = server.listening
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    // However this process ends, its port is free for the next one.
    system.monitor(self, () => void server.close())
    await once(server.listen(shop.port, '127.0.0.1'), 'listening')
    return ok(server)
  },
  calls: { port: (server) => reply((server.address() as AddressInfo).port, server) },
  terminate: async (server) => {
    await new Promise((resolve) => {
      server.close(resolve)
      server.closeIdleConnections()
    })
  },
}
