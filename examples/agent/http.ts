/** The server of the agent: what people say, and the stream of a conversation. */
import type { IncomingMessage, Server } from 'node:http'
import { createServer } from 'node:http'
import { type App, KeelsonError } from 'keelson'
import { flow } from 'keelson/flow'
import { streamHandler } from 'keelson/streams'
import type { Agent } from './agent.ts'

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > 10_000) throw new KeelsonError('TOO_LARGE', 'at most 10,000 characters')
  }
  return text
}

/**
 * `POST /chat/ID`, `/approve/ID` and `/cancel/ID`, each once for an `Idempotency-Key`; `GET /streams/ID`.
 * A browser that leaves cancels nothing.
 */
export const serverOf = (app: App, agent: Agent, page: string): Server => {
  const streams = streamHandler(
    app,
    (_, id) => ({ source: flow(app).handle(agent, id).stream('out') }),
    {
      base: '/streams',
    },
  )
  const acts: Record<string, (id: string, text: string, key: { id: string }) => Promise<unknown>> =
    {
      chat: async (id, text, key) => {
        await flow(app).start(agent, { turns: [] }, { id })
        return flow(app).handle(agent, id).signal('say', text, key)
      },
      approve: (id, text, key) =>
        flow(app)
          .handle(agent, id)
          .signal('approval', text === 'yes', key),
      cancel: (id) => flow(app).handle(agent, id).cancel(),
    }
  return createServer(async (request, response) => {
    const [, room = '', id = ''] = new URL(request.url ?? '/', 'http://localhost').pathname.split(
      '/',
    )
    if (room === 'streams') return streams.node(request, response)
    const act = request.method === 'POST' && Object.hasOwn(acts, room) ? acts[room] : undefined
    if (!act) return void response.setHeader('content-type', 'text/html').end(page)
    const key = { id: String(request.headers['idempotency-key']) }
    await bodyOf(request)
      .then((text) => act(decodeURIComponent(id), text, key))
      .then(
        () => response.writeHead(202).end(),
        (error) =>
          response.writeHead(error.code === 'CONFLICT' ? 409 : 503).end(`${error.message}\n`),
      )
  })
}
