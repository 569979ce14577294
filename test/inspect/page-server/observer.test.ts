/** `keelson/observer` in a server of a host: its login, its path, who acts, and its end. */
import { createServer, type IncomingMessage, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createSystem, type GenServer, supervisor, worker } from '../../../src/index.ts'
import { type ObserverOptions, observer } from '../../../src/inspect/page-server/observer.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const idle: GenServer<Record<never, never>, null> = { init: () => null, calls: {}, casts: {} }

/** An instance, and a host that serves its page and answers `host` to all else. */
const hosted = async (options: Partial<ObserverOptions> = {}) => {
  const world = machine()
  const logger = capturedLog()
  const app = await world.start({
    app: supervisor('app', {}, [worker('idle', idle)]),
    system: createSystem({ clock: world.clock, logger }),
  })
  const authorize = ({ headers }: IncomingMessage) => /^user=(\w+)$/.exec(headers.cookie ?? '')?.[1]
  const observe = observer(app, { authorize, ...options })
  const server = createServer((request, response) => {
    if (!observe(request, response)) response.end('host')
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const opened = (path: string, headers: Record<string, string>, body?: object) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const method = body ? 'POST' : 'GET'
      const sent = { ...(body && { 'content-type': 'application/json' }), ...headers }
      send({ port, host: '127.0.0.1', path, method, headers: sent }, resolve)
        .on('error', reject)
        .end(body && JSON.stringify(body))
    })
  const ask = async (path: string, headers: Record<string, string> = ann, body?: object) => {
    const response = await opened(path, headers, body)
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString()
    return { status: response.statusCode, headers: response.headers, text }
  }
  const pid = app.system.processes().find(({ label }) => label === 'idle')?.pid
  return { app, world, ask, opened, port, logger, pid }
}

const ann = { cookie: 'user=ann' }

test('serves the page below its path to those whom the host admits, and nothing else', async () => {
  const { ask } = await hosted()

  expect(await ask('/observe/')).toMatchObject({
    status: 200,
    headers: { 'content-security-policy': expect.stringContaining("default-src 'none'") },
    text: expect.stringContaining('<!doctype html>'),
  })
  expect(await ask('/observe')).toMatchObject({ status: 308, headers: { location: 'observe/' } })
  expect(JSON.parse((await ask('/observe/api/tree')).text).data.name).toBe('keelson')
  for (const path of ['/', '/api/tree', '/observed/', '/other/observe/'])
    expect((await ask(path)).text, path).toBe('host')
})

test('refuses the page, each question, stream and action without the login of the host', async () => {
  const isFailing = { authorize: () => Promise.reject(new Error('the login is away')) }
  for (const { ask } of [await hosted(), await hosted(isFailing)])
    for (const path of ['', 'api/tree', 'api/stream?view=tree', 'api/session', 'api/nothing'])
      expect((await ask(`/observe/${path}`, {})).status, path).toBe(401)
  const { ask } = await hosted({ write: true })
  expect((await ask('/observe/api/plan', {}, {})).status).toBe(401)
  // The one-time codes are of `keelson observe` alone.
  expect((await ask('/observe/api/session', ann, { code: 'x' })).status).toBe(404)
})

test('refuses other origins and sites, though the browser sends the cookie', async () => {
  const { ask, port } = await hosted({ write: true })

  for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${port + 1}`])
    expect((await ask('/observe/api/plan', { ...ann, origin }, {})).status, origin).toBe(403)
  for (const site of ['cross-site', 'same-site', 'none'])
    expect((await ask('/observe/api/tree', { ...ann, 'sec-fetch-site': site })).status).toBe(403)
  const own = { ...ann, origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' }
  expect((await ask('/observe/api/tree', own)).status).toBe(200)
})

test('acts with `write` only, and logs the user that the host names', async () => {
  const reading = await hosted()
  const kill = { act: 'kill', pid: reading.pid, reason: 'a trial' }
  expect((await reading.ask('/observe/api/plan', ann, kill)).status).toBe(403)

  const { ask, logger, pid } = await hosted({ write: true, path: '/ops/page' })
  const { nonce } = JSON.parse((await ask('/ops/page/api/plan', ann, { ...kill, pid })).text)
  expect(logger.messages('warn')).toEqual([])
  await ask('/ops/page/api/act', ann, { ...kill, pid, nonce })
  expect(logger.messages('warn')).toContainEqual(
    expect.stringMatching(/^ann, observing: kills idle .* Reason: a trial$/),
  )
})

test('ends a stream when its login or the instance has ended, and says so', async () => {
  let isIn = true
  const { app, world, ask, opened } = await hosted({ authorize: () => isIn, path: '/' })
  const closed = async (path: string) => {
    const response = await opened(path, {})
    return new Promise<void>((resolve) => {
      response.on('error', () => undefined).on('close', resolve)
      response.resume()
    })
  }
  const first = closed('/api/stream?view=header')
  await ask('/api/header')
  isIn = false
  await world.clock.advance(62_000)
  await first

  isIn = true
  await world.during(app.close())
  expect(JSON.parse((await ask('/api/header')).text)).toMatchObject({
    away: { reason: 'the instance has ended' },
  })
})

test('is refused without a decision about requests, and for what is none of its options', async () => {
  const { app } = await hosted()
  for (const options of [
    ...[undefined, {}, { authorize: true }, { authorize: () => true, wirte: true }],
    ...[
      { authorize: () => true, path: 'x' },
      { authorize: () => true, write: 1 },
    ],
  ])
    expect(() => observer(app, options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  expect(() => observer({} as never, { authorize: () => true })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})
