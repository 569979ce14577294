/** `keelson/streams`: who may do what, what each refusal is over HTTP, and how live readers end. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { StreamGather } from '../../../src/actors/streams/stream-gather.ts'
import {
  type ServedStream,
  type StreamHandler,
  type StreamHandlerOptions,
  streamHandler,
} from '../../../src/adapters/streams/streams.ts'
import { call, type DurableServer, entity, ok, reply, supervisor } from '../../../src/index.ts'
import { streamHeadKey, streamOwner } from '../../../src/storage/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const acts = ['read', 'append', 'create', 'close', 'delete', 'fork'] as const

type Asked = {
  readonly method?: string
  readonly body?: string
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

const json = { 'Content-Type': 'application/json' }

/** An instance whose streams are served below `/s`, each by its name. */
const serving = async (
  resolve: (path: string) => ServedStream | undefined = (stream) => ({ stream, acts }),
  options: StreamHandlerOptions = {},
) => {
  const world = await started()
  const { app, during } = world
  const handler = streamHandler(app, (_, path) => resolve(path), { base: '/s', ...options })
  const ask = (path: string, asked: Asked = {}): Promise<Response> =>
    handler(new Request(`http://test/s/${path}`, asked))
  const get = (path: string, asked?: Asked): Promise<Response> => during(ask(path, asked))
  const put = (path: string, body?: string, headers: Record<string, string> = json) =>
    get(path, { method: 'PUT', headers, ...(body !== undefined && { body }) })
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    get(path, { method: 'POST', headers: { ...json, ...headers }, body })
  return { ...world, handler, ask, get, put, post }
}

const statusOf = ({ status }: Response): number => status
const endOf = ({ headers }: Response): string => headers.get('stream-next-offset') ?? ''

/** The events of a body so far, and whether it has ended. */
const eventsOf = (response: Response) => {
  const state = { text: '', isDone: false }
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
  const go = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      state.text += Buffer.from(value).toString()
    }
    state.isDone = true
  }
  void go()
  return { state, reader }
}

test('a stream that the callback does not name has no URL', async () => {
  const { get } = await serving((path) => (path === 'a' ? { stream: 'a' } : undefined))

  expect(statusOf(await get('b'))).toBe(404)
  expect(statusOf(await get('../t'))).toBe(404)
  expect(statusOf(await get('%'))).toBe(404)
})

test('a request does what the callback allows, by default nothing but reading', async () => {
  const { app, during, get, put, post } = await serving((stream) => ({ stream }))
  await during(app.streams.open('a').append(1))

  const closing = { 'Stream-Closed': 'true' }
  const done = [
    await put('a'),
    await post('a', '2'),
    await get('a', { method: 'POST', headers: closing }),
    await get('a', { method: 'DELETE' }),
    await get('a', { method: 'PATCH' }),
  ]
  expect(done.map(statusOf)).toEqual([405, 405, 405, 405, 405])
  const allowed = done.map(({ headers }) => headers.get('Allow'))
  expect(new Set(allowed)).toEqual(new Set(['GET, HEAD, OPTIONS']))
  expect(await (await get('a')).json()).toEqual([1])
})

test('a fork needs a source that the callback lets be forked', async () => {
  const { put } = await serving((stream) => ({
    stream,
    acts: stream === 'open' ? acts : ['read', 'create'],
  }))
  await put('open', '[1]')
  await put('shut', '[1]')

  const from = (source: string) => ({ ...json, 'Stream-Forked-From': source })
  expect(statusOf(await put('c', undefined, from('/s/open')))).toBe(201)
  expect(statusOf(await put('d', undefined, from('/s/shut')))).toBe(403)
  expect(statusOf(await put('e', undefined, from('/elsewhere/open')))).toBe(404)
})

test('a callback that throws, or names no stream, is a 500 that says nothing of it', async () => {
  const { get } = await serving((path) => {
    if (path === 'throws') throw new Error('secret')
    return { stream: 7 } as never
  })

  const thrown = await get('throws')
  expect([thrown.status, await thrown.text()]).toEqual([500, '{"code":"FAILED"}'])
  expect(statusOf(await get('other'))).toBe(500)
})

test('an offset below the floor, or of an earlier stream of the name, is 410', async () => {
  const { app, during, get, put, post } = await serving()
  const first = endOf(await put('a', '[1]'))
  const second = endOf(await post('a', '2'))
  await during(app.streams.open('a').trim(second))

  expect(statusOf(await get(`a?offset=${first}`))).toBe(410)
  expect(statusOf(await get(`a?offset=${second}`))).toBe(200)

  await get('a', { method: 'DELETE' })
  await put('a', '[3]')
  expect(statusOf(await get(`a?offset=${second}`))).toBe(410)
  expect(statusOf(await get(`a?offset=${second}&live=sse`))).toBe(410)
})

test('an append to a stream for which too many wait is 429', { tags: ['ST11'] }, async () => {
  const { app, during, ask, put } = await serving()
  await put('a')
  const stream = app.streams.open('a')
  const sent = Array.from({ length: 2_000 }, (_, at) => stream.append(at))

  const refused = ask('a', { method: 'POST', headers: json, body: '1' })
  const response = await during(refused)

  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
  await during(Promise.all(sent))
})

test('a request of a producer is there once, also after a power cut', {
  tags: ['ST9'],
}, async () => {
  const { world, app: first, during, get, put, post } = await serving()
  const producer = { 'Producer-Id': 'p', 'Producer-Epoch': '3', 'Producer-Seq': '0' }
  await put('a')
  const before = await post('a', '"x"', producer)
  expect([before.status, before.headers.get('producer-seq')]).toEqual([200, '0'])
  expect(statusOf(await get('a', { method: 'HEAD' }))).toBe(200)

  world.disk.halt()
  await during(first.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(first.system.stop()).catch(() => undefined)
  world.disk.crash({ unsynced: 'lost' })
  const app = await world.start()
  const handler = streamHandler(app, (_, stream) => ({ stream, acts }), { base: '/s' })
  const again = (headers: Record<string, string>, body = '"x"') =>
    during(
      handler(
        new Request('http://test/s/a', { method: 'POST', headers: { ...json, ...headers }, body }),
      ),
    )

  expect(statusOf(await again(producer))).toBe(204)
  const late = await again({ ...producer, 'Producer-Epoch': '2' })
  expect([late.status, late.headers.get('producer-epoch')]).toEqual([403, '3'])
  const early = await again({ ...producer, 'Producer-Seq': '2' })
  expect([early.status, early.headers.get('producer-expected-seq')]).toEqual([409, '1'])
  const read = await during(handler(new Request('http://test/s/a')))
  expect(await read.json()).toEqual(['x'])
})

test('events come as they are durable, and end with the stream', async () => {
  const { clock, ask, get, put, post } = await serving()
  await put('a', '[1]')
  const { state } = eventsOf(await get('a?offset=-1&live=sse'))
  await clock.advance(10)
  expect(state.text).toContain('data:[1]')

  await post('a', '{"n":2}')
  await clock.advance(10)
  expect(state).toMatchObject({ isDone: false, text: expect.stringContaining('data:[{"n":2}]') })

  await get('a', { method: 'POST', headers: { 'Stream-Closed': 'true' } })
  await clock.advance(10)
  expect(state).toMatchObject({ isDone: true, text: expect.stringContaining('streamClosed') })
  expect(statusOf(await ask('a'))).toBe(200)
})

test('events end after a minute, and at the close of the instance', async () => {
  const { app, clock, during, get, put } = await serving()
  await put('a', '[1]')
  const first = eventsOf(await get('a?offset=now&live=sse'))
  await clock.advance(59_000)
  expect(first.state.isDone).toBe(false)
  await clock.advance(2_000)
  expect(first.state.isDone).toBe(true)

  const second = eventsOf(await get('a?offset=now&live=sse'))
  await clock.advance(10)
  await during(app.close())
  await clock.advance(10)
  expect(second.state.isDone).toBe(true)
  expect(statusOf(await get('a'))).toBe(503)
})

test('a browser that leaves ends its wait, and cancels nothing else', async () => {
  const { clock, ask, get, put, post } = await serving()
  await put('a')
  const gone = new AbortController()
  const polled = ask('a?offset=now&live=long-poll', { signal: gone.signal })
  const left = eventsOf(await get('a?offset=now&live=sse'))
  const stays = eventsOf(await get('a?offset=now&live=sse'))
  await clock.advance(10)

  gone.abort()
  await left.reader.cancel()
  await clock.advance(10)
  expect(statusOf(await polled)).toBe(204)

  await post('a', '1')
  await clock.advance(10)
  expect(stays.state.text).toContain('data:[1]')
})

test('a reader that takes nothing is given one event, and holds no writer', {
  tags: ['ST11'],
}, async () => {
  const { during, app, get, put } = await serving()
  await put('a')
  const response = await get('a?offset=-1&live=sse')
  const stream = app.streams.open('a')
  const long = 'x'.repeat(40_000)
  for (let each = 0; each < 40; each++) await during(stream.append(`${each} ${long}`))

  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
  const sizes: number[] = []
  for (let each = 0; each < 5; each++) sizes.push((await during(reader.read())).value?.length ?? 0)
  expect(Math.max(...sizes)).toBeLessThan(130_000)
  await reader.cancel()
})

test('a long-poll is answered by the first message, or with 204 after its time', async () => {
  const { clock, ask, get, put, post } = await serving(undefined, { longPollMs: 500 })
  await put('a')
  const polled = ask('a?offset=now&live=long-poll')
  await clock.advance(100)
  await post('a', '1')
  expect(await (await polled).json()).toEqual([1])

  const idle = ask('a?offset=now&live=long-poll')
  await clock.advance(501)
  expect((await idle).status).toBe(204)
  expect(statusOf(await get('a', { method: 'HEAD' }))).toBe(200)
})

test('a stream that nobody reads or writes for its TTL is gone, and its rows with it', async () => {
  const { app, clock, get, put, post } = await serving()
  await put('a', '[1]', { ...json, 'Stream-TTL': '8' })
  await clock.advance(7_000)
  expect(statusOf(await get('a'))).toBe(200)
  await clock.advance(7_000)
  expect(statusOf(await post('a', '2'))).toBe(204)
  await clock.advance(7_900)
  expect(statusOf(await get('a', { method: 'HEAD' }))).toBe(200)

  await clock.advance(10_000)
  expect(statusOf(await get('a', { method: 'HEAD' }))).toBe(404)
  await clock.advance(10_000)
  const view = (app.shards[0] as (typeof app.shards)[0]).view()
  expect(view.row(streamHeadKey(streamOwner('a')))).toBeUndefined()
})

test('a reader that only waits keeps a stream with a TTL: a long-poll, events, and a program', async () => {
  const { app, clock, ask, get, put, post } = await serving(undefined, { longPollMs: 300_000 })
  const ttl = { ...json, 'Stream-TTL': '8' }
  for (const name of ['polled', 'sent', 'read', 'left']) await put(name, '[]', ttl)
  const polled = ask('polled?offset=now&live=long-poll')
  const { state } = eventsOf(await get('sent?offset=now&live=sse'))
  const read = app.streams.open('read').read({ from: 'now' })
  const next = read.next()
  const heads = async () =>
    Promise.all(
      ['polled', 'sent', 'read', 'left'].map(async (name) =>
        statusOf(await get(name, { method: 'HEAD' })),
      ),
    )

  await clock.advance(50_000)
  expect(await heads()).toEqual([200, 200, 200, 404])
  for (const name of ['polled', 'sent', 'read']) await post(name, '1')
  expect(await (await polled).json()).toEqual([1])
  expect(state).toMatchObject({ isDone: false, text: expect.stringContaining('data:[1]') })
  expect((await next).value?.value).toBe(1)

  await read.return()
  await clock.advance(20_000)
  expect(await heads()).toEqual([404, 404, 404, 404])
})

test('a reader whose note cannot be written looks again after a quarter of the TTL, and not at once', async () => {
  const { app, clock, during, put } = await serving()
  await put('a', '[]', { ...json, 'Stream-TTL': '8' })
  const noRoom = new Error('no room')
  const sent = vi.spyOn(StreamGather.prototype, 'send').mockRejectedValue(noRoom)
  onTestFinished(() => sent.mockRestore())
  const read = app.streams.open('a').read({ from: 'now' })
  void read.next()
  await clock.advance(7_900)
  expect(sent.mock.calls).toHaveLength(3)
  await during(read.return())
})

// Seed 34 of `npm run simulate -- streams` looked at the two notes for ever.
test('two streams with notes of each other are deleted, and their names are free', async () => {
  const { get, put } = await serving()
  const forkOf = (path: string) => ({ ...json, 'Stream-Forked-From': `/s/${path}` })
  const del = async (path: string) => (await get(path, { method: 'DELETE' })).status
  await put('a', '[1]')
  expect((await put('b', undefined, forkOf('a'))).status).toBe(201)
  // The name is taken, and the note of the fork that was to come stays at its source.
  expect((await put('a', undefined, forkOf('b'))).status).toBe(409)

  expect([await del('a'), await del('b')]).toEqual([204, 204])
  expect([(await put('a', '[2]')).status, (await put('b', '[2]')).status]).toEqual([201, 201])
})

test('a note of a fork that was never made does not keep a deleted stream', async () => {
  const { get, put, during, app } = await serving()
  await put('a', '[1]')
  const raw = app.streams.raw()
  const source = { owner: streamOwner('a'), birth: '', from: 0, number: 1, more: 0 }
  const head = await during(raw.head(source.owner))
  const made = { contentType: 'application/json', ttlMs: undefined, expiresAt: undefined }
  // The process ends after the note: what follows it is refused here by a stream that is there.
  await put('b', '[2]')
  const fork = { ...source, birth: head?.birth ?? '' }
  const answer = raw.create(streamOwner('b'), {
    ...made,
    source: fork,
    closes: false,
    messages: [],
  })
  expect(await during(answer)).toMatchObject({ kind: 'refusedPart', why: 'differs' })

  expect(statusOf(await get('a', { method: 'DELETE' }))).toBe(204)
  expect(statusOf(await get('a', { method: 'HEAD' }))).toBe(404)
  expect(statusOf(await put('a', '[3]'))).toBe(201)
})

test('a program reads the bytes of a stream that was made over HTTP, and appends no JSON to it', async () => {
  const { app, during, put } = await serving()
  await put('a', 'grüße', { 'Content-Type': 'text/plain' })

  const stream = app.streams.open<Uint8Array>('a')
  const { messages } = await during(stream.page())
  expect(messages.map(({ value }) => Buffer.from(value).toString())).toEqual(['grüße'])
  await expect(during(app.streams.open('a').append(1))).rejects.toMatchObject({ code: 'CONFLICT' })
})

test('pages of other origins hear of it only if `cors` names them', async () => {
  const { get, put } = await serving(undefined, { cors: ['https://shop.example'] })
  await put('a', '[1]')
  const from = async (origin: string) =>
    (await get('a', { headers: { origin } })).headers.get('access-control-allow-origin')

  expect(await from('https://shop.example')).toBe('https://shop.example')
  expect(await from('https://other.example')).toBe(null)
})

test('a stream of an entity is read only, and is served before it begins', async () => {
  const server: DurableServer<{ calls: { say: (text: string) => void } }, number> = {
    init: () => ok(0),
    calls: {
      say: (count, text, context) => {
        context.stream('events').append(text)
        return reply(undefined, count + 1)
      },
    },
  }
  const chat = entity('chat', server)
  const world = await started({ app: supervisor('app', {}, [chat]) })
  const { app, clock, during } = world
  const handler = streamHandler(
    app,
    (_, id) => ({ source: app.entity(chat).stream(id, 'events') }),
    { base: '/chats' },
  )
  const ask = (path: string, asked: Asked = {}): Promise<Response> =>
    during(handler(new Request(`http://test/chats/${path}`, asked)))
  const early = await ask('lobby')
  expect([early.status, await early.text()]).toEqual([200, '[]'])
  const { state } = eventsOf(await ask(`lobby?offset=${endOf(early)}&live=sse`))
  await clock.advance(10)

  await during(call(app.entity(chat).ref('lobby'), 'say', 'hello'))
  await clock.advance(10)
  expect(state.text).toContain('data:["hello"]')
  const read = await ask('lobby')
  expect(await read.json()).toEqual(['hello'])
  expect(endOf(read) > endOf(early)).toBe(true)
  const writes = ['PUT', 'POST', 'DELETE'].map((method) => ask('lobby', { method }))
  expect((await Promise.all(writes)).map(statusOf)).toEqual([405, 405, 405])
})

test('every member serves every stream, with the producers of all', {
  tags: ['ST9', 'ST12'],
}, async () => {
  const world = new FolderMembers(['a', 'b'])
  const handlers = (await world.start()).map((app) =>
    streamHandler(app, (_, stream) => ({ stream, acts }), { base: '/s' }),
  )
  const ask = (member: number, path: string, asked: Asked = {}): Promise<Response> =>
    world.during((handlers[member] as StreamHandler)(new Request(`http://test/s/${path}`, asked)))

  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    expect(statusOf(await ask(0, name, { method: 'PUT', headers: json }))).toBe(201)
    const waiting = ask(1, `${name}?offset=now&live=long-poll`)
    const producer = { ...json, 'Producer-Id': 'p', 'Producer-Epoch': '0', 'Producer-Seq': '0' }
    const post = (member: number) =>
      ask(member, name, { method: 'POST', headers: producer, body: '1' })
    expect(statusOf(await post(0))).toBe(200)
    expect(statusOf(await post(1))).toBe(204)
    expect(await (await waiting).json()).toEqual([1])
    expect(await (await ask(1, name)).json()).toEqual([1])
  }
})

test('a server has an answer for a target that is no URL, and outlives a client that leaves in its body', async () => {
  const { handler, put } = await serving()
  await put('a', undefined, { 'Content-Type': 'text/plain' })
  const server = createServer(handler.node)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const sent = async (text: string, leaves: boolean): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    socket.write(text)
    const [answer] = leaves ? [''] : await once(socket, 'data')
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
    return `${answer}`.split('\r\n')[0] ?? ''
  }

  const body = 'content-type: text/plain\r\ncontent-length: 99\r\n\r\nabc'
  await sent(`POST /s/a HTTP/1.1\r\nhost: x\r\n${body}`, true)
  const bad = 'HTTP/1.1 400 Bad Request'
  expect(await sent('GET http://[::/ HTTP/1.1\r\nhost: x\r\n\r\n', false)).toBe(bad)
  expect(await sent('GET / HTTP/1.1\r\nhost: bad host\r\n\r\n', false)).toBe(bad)
  expect(await sent('GET /s/a HTTP/1.1\r\nhost: x\r\n\r\n', false)).toBe('HTTP/1.1 200 OK')
})
