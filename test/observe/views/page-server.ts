/** Serves the built page with made-up answers: frames of its streams are sent when a test says so. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerOf } from './made-up-instance.ts'
import { headerOf, type Scenario, startAt } from './made-up-overview.ts'

const page = readFileSync('dist/observe/page.html')
const { policy } = JSON.parse(readFileSync('dist/observe/page.json', 'utf8')) as { policy: string }

/** A server of the page. */
export type PageServer = {
  /** With the one-time code. */
  readonly url: string
  /** Resolves once it has so many streams, which look at `member` if one is given. */
  readonly untilStreams: (count: number, member?: string) => Promise<void>
  /** The members that the streams it has look at. */
  readonly looksAt: () => readonly (string | null)[]
  /** The bodies of plans, in order. */
  readonly plans: readonly unknown[]
  /** The bodies of actions, in order. */
  readonly acts: readonly unknown[]
  /** Makes it another instance, so much later, and sends a frame to each stream. */
  readonly become: (scenario: Scenario, afterMs?: number) => void
  /** Ends the streams and answers nothing, or answers again. With a view only its questions have no answer. */
  readonly refuse: (isRefusing: boolean, view?: string) => void
  /** Sends nothing more to the streams that it has, nor ends them. */
  readonly forget: () => void
  readonly close: () => Promise<void>
}

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}

/** The member that was asked, where there are several. */
const memberIn = ({ member }: Record<string, string>): { readonly member?: string } =>
  member === undefined ? {} : { member }

/** Serves on a free port of this machine. */
export const servePage = async (begun: Scenario, isWriting = false): Promise<PageServer> => {
  const life = { scenario: begun, at: startAt, isRefusing: false, without: '' }
  const streams = new Map<ServerResponse, string>()
  const acts: unknown[] = []
  const plans: unknown[] = []
  type Waiting = {
    readonly count: number
    readonly member?: string | undefined
    readonly resolve: () => void
  }
  const waiting = new Set<Waiting>()
  const looksAt = () =>
    [...streams.values()].map((asked) => new URLSearchParams(asked).get('member'))
  const isThere = ({ count, member }: Waiting): boolean =>
    count === streams.size && (member === undefined || looksAt().every((each) => each === member))
  const answerWaiting = (): void => {
    for (const each of waiting) if (isThere(each) && waiting.delete(each)) each.resolve()
  }
  const frameOf = (view: string, query: Record<string, string>): string =>
    JSON.stringify({
      header: { ...headerOf(life.scenario, life.at, isWriting), ...memberIn(query) },
      data: answerOf(life.scenario, view, query, life.at),
    })
  const send = (response: ServerResponse, asked: string): void => {
    const { view = '', ...query } = Object.fromEntries(new URLSearchParams(asked))
    response.write(`data: ${frameOf(view, query)}\n\n`)
  }
  const post = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { readonly act?: string }
    if (request.url === '/api/session') return void response.end('{"token":"t"}')
    if (request.url === '/api/plan') {
      plans.push(body)
      const effect = `is the effect of ${body.act}`
      return void response.end(JSON.stringify({ effect, nonce: 'n' }))
    }
    acts.push(body)
    response.end('{"text":"Done."}')
  }
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://page')
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (life.isRefusing) return void request.socket.destroy()
    if (pathname === `/api/${life.without}`) return void request.socket.destroy()
    if (pathname === '/') return response.setHeader('content-type', 'text/html').end(page)
    if (request.method === 'POST') return void post(request, response)
    if (request.headers.authorization !== 'Bearer t')
      return response.writeHead(401).end('{"error":{"code":"UNAUTHORIZED","message":"no token"}}')
    if (pathname !== '/api/stream') {
      const query = Object.fromEntries(new URLSearchParams(search))
      return response.end(frameOf(pathname.slice('/api/'.length), query))
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    streams.set(response, search)
    response.on('close', () => {
      streams.delete(response)
      answerWaiting()
    })
    answerWaiting()
    send(response, search)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/#code=once`,
    untilStreams: (count, member) =>
      new Promise((resolve) => {
        waiting.add({ count, member, resolve })
        answerWaiting()
      }),
    looksAt,
    plans,
    acts,
    become: (scenario, afterMs = 1_000) => {
      life.scenario = scenario
      life.at += afterMs
      for (const [response, asked] of streams) send(response, asked)
    },
    refuse: (isRefusing, view) => {
      if (view !== undefined) {
        life.without = isRefusing ? view : ''
        return
      }
      life.isRefusing = isRefusing
      if (isRefusing) server.closeAllConnections()
    },
    forget: () => streams.clear(),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}
