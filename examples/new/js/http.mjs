// @ts-check
import { once } from 'node:events'
import { createServer } from 'node:http'
import { call, isKeelsonError, ok, worker } from 'keelson'
import { flow } from 'keelson/flow'
import { operations } from 'keelson/operations'
import { order } from './order.mjs'
import { stock } from './stock.mjs'

/** A request that its caller has to change. */
class BadRequest extends Error {}

/** @param {import('node:http').IncomingMessage} request @returns {Promise<Record<string, unknown>>} */
const bodyOf = async (request) => {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > 10_000) throw new BadRequest('the body is too long')
  }
  const body = JSON.parse(text || '{}')
  if (typeof body !== 'object' || body === null) throw new BadRequest('the body is no object')
  return body
}

/** @param {unknown} value @param {string} name */
const textOf = (value, name) => {
  if (typeof value === 'string' && value !== '') return value
  throw new BadRequest(`${name}: a text is needed`)
}

/** @param {unknown} value */
const countOf = (value) => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw new BadRequest('count: a whole number from 1 is needed')
}

/**
 * Status and body. The id in the path makes an order and its payment safe to repeat: it counts once.
 *
 * @param {import('keelson').AppContext} app
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<[number, unknown]>}
 */
const answerTo = async (app, request) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname
  const [room, id = '', more] = path.split('/').slice(1).map(decodeURIComponent)
  const what = `${request.method} ${room}${more === undefined ? '' : `/${more}`}`
  if (id === '') return [404, { error: 'not found' }]
  if (what === 'POST stock') {
    const { count } = await bodyOf(request)
    return [200, { left: await call(app.entity(stock).ref(id), 'add', countOf(count)) }]
  }
  if (what === 'GET stock') return [200, { left: await call(app.entity(stock).ref(id), 'left') }]
  if (what === 'POST orders') {
    const { item, count } = await bodyOf(request)
    await flow(app).start(order, { item: textOf(item, 'item'), count: countOf(count) }, { id })
    return [201, { id }]
  }
  if (what === 'POST orders/payment') {
    const by = textOf((await bodyOf(request)).by, 'by')
    await flow(app).handle(order, id).signal('paid', { by }, { id: 'payment' })
    return [202, { id }]
  }
  // With members the order may be at another one, which a read at once does not ask.
  const run = what === 'GET orders' ? await flow(app).read('get', order, id) : undefined
  return run ? [200, { id, status: run.status }] : [404, { error: 'not found' }]
}

/**
 * What a caller has to change is 4xx. All else is 503: repeat it.
 *
 * @param {unknown} error
 * @returns {[number, unknown]}
 */
const refusal = (error) => {
  if (error instanceof BadRequest || error instanceof SyntaxError || error instanceof URIError)
    return [400, { error: error.message }]
  if (!isKeelsonError(error)) return [500, { error: 'failed' }]
  const { code, message } = error
  const statuses = new Map([
    ['INVALID_ARGUMENT', 400],
    ['NO_PROCESS', 404],
    ['CONFLICT', 409],
  ])
  return [statuses.get(code) ?? 503, { error: message, code }]
}

/** @type {import('keelson').GenServer<{}, import('node:http').Server>} */
const server = {
  init: async (_, context) => {
    context.trapExit(true) // so that `terminate` runs when the tree ends
    const { HOST = '127.0.0.1', PORT = '8080' } = process.env
    const watched = operations(context.app)
    const listener = createServer(async (request, response) => {
      if (watched(request, response)) return
      const [status, body] = await answerTo(context.app, request).catch(refusal)
      response.shouldKeepAlive = listener.listening // a connection ends with its last answer
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    // The signal is aborted however this process ends, so the port is free for the next one.
    listener.listen({ host: HOST, port: Number(PORT), signal: context.signal })
    await once(listener, 'listening')
    const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address())
    console.log(`listening at http://${HOST}:${port}`)
    return ok(listener)
  },
  // Takes no new connection, and waits for the requests that are running, but not for ever.
  terminate: (listener) =>
    new Promise((resolve) => {
      listener.close(() => resolve(undefined))
      setTimeout(() => listener.closeAllConnections(), 3_000).unref()
    }),
}

/**
 * The HTTP server: a process of the tree that owns a server of `node:http`, with /health, /ready and
 * /metrics. It takes HOST and PORT of the environment, by default this machine alone and 8080.
 */
export const http = worker('http', server)
