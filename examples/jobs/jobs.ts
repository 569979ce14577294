/**
 * A job queue with a dashboard: thumbnails, at most two at a time for each customer, and fifty a
 * second in all. One that fails is tried again, and is dead after three tries until somebody retries it.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type App, KeelsonError, supervisor } from 'keelson'
import { flow, flows, queue } from 'keelson/flow'

export type Picture = { readonly customer: string; readonly name: string }

/** Makes a thumbnail. Asked again under the same key, it makes the same one. */
export type Make = (picture: Picture, key: string, signal: AbortSignal) => Promise<string>

export const thumbnailQueue = (make: Make) =>
  queue('thumbnails', (picture: Picture, { key, signal }) => make(picture, key, signal), {
    concurrency: 8,
    perKey: 2,
    rate: { max: 50, per: '1s' },
    timeout: '10s',
    retry: { max: 3 },
    keep: { results: '1h' },
    unique: '1h',
  })

export type Thumbnails = ReturnType<typeof thumbnailQueue>

export const treeOf = (thumbnails: Thumbnails) =>
  supervisor('app', {}, [flows({ queues: [thumbnails] })])

/** Adds a job. The same picture is not added again within an hour. */
export const add = (app: App, thumbnails: Thumbnails, { customer, name }: Picture) =>
  flow(app).add(
    thumbnails,
    { customer, name },
    { key: customer, unique: JSON.stringify([customer, name]) },
  )

/** The numbers of the dashboard, and the dead jobs with their last errors. */
export const look = async (app: App, thumbnails: Thumbnails) => ({
  counts: await flow(app).counts(thumbnails),
  dead: (await flow(app).read('dead', thumbnails, { limit: 20 })).entries,
})

const bodyOf = async (request: IncomingMessage): Promise<Partial<Picture>> => {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}

const answerTo = async (app: App, thumbnails: Thumbnails, request: IncomingMessage) => {
  const [, room, id, action] = (request.url ?? '').split('/')
  if (room !== 'jobs') return undefined
  if (request.method === 'GET' && id) return flow(app).job(thumbnails, id).get()
  if (request.method === 'GET') return look(app, thumbnails)
  if (action === 'retry') {
    await flow(app).retry(thumbnails, id ?? '')
    return { id }
  }
  const { customer = 'nobody', name = 'untitled' } = await bodyOf(request)
  return add(app, thumbnails, { customer, name })
}

/**
 * `POST /jobs` answers when the job is on the disk. `GET /jobs` is the dashboard's, `GET /jobs/ID` one job,
 * `POST /jobs/ID/retry` runs a dead one again.
 */
export const serverOf = (app: App, thumbnails: Thumbnails, page: string): Server =>
  createServer((request, response) => {
    const say = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    else
      answerTo(app, thumbnails, request).then(
        (body) => (body === undefined ? say(404, { error: 'not found' }) : say(200, body)),
        (error) => say(error instanceof KeelsonError ? 503 : 400, { error: error.message }),
      )
  })
