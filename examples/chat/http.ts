/** The server of the chat: a page, a stream of events for each guest, and what they say. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type App, call, startDynamicChild } from 'keelson'
import { guestOf, guests, rooms } from './chat.ts'

const bodyOf = async (request: IncomingMessage) => {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text) as { readonly id: string; readonly from: string; readonly text: string }
}

const enter = async (
  app: App,
  room: string,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const last = Number(request.headers['last-event-id'] ?? 0)
  const guest = guestOf({ room, name, last, response })
  const { ref } = await startDynamicChild(app.system.to(guests), guest)
  const leave = () => ref && app.system.kill(ref)
  if (response.closed) leave()
  else response.once('close', leave)
}

/**
 * `GET /rooms/ROOM?name=ADA` is a stream that goes on where the browser was, by `Last-Event-ID`.
 * `POST /rooms/ROOM` answers when the line is on the disk. Its `id` counts once, so it may be sent again.
 */
export const serverOf = (app: App, page: string): Server => {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const room = decodeURIComponent(pathname.split('/')[2] ?? '')
    if (pathname === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    else if (!pathname.startsWith('/rooms/') || room === '') response.writeHead(404).end()
    else if (request.method === 'GET')
      await enter(app, room, searchParams.get('name') ?? 'nobody', request, response)
    else {
      const { id, from, text } = await bodyOf(request)
      const number = await call(app.entity(rooms).ref(room), 'say', { from, text }, { id })
      response.end(`${number}\n`)
    }
  }
  return createServer((request, response) => {
    answer(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(503)
      response.end(`${error.message}\n`)
    })
  })
}
