/** The port of the page is open to every user of the machine: what one without the token can do there. */
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { pageServed, sourceOf } from '../../support/worlds/page-client.ts'

const served = () =>
  pageServed({ source: sourceOf(() => ({ header: { instance: 'a' }, data: null })) })

/** A connection that says what no browser would. `ended` resolves with what the server has said. */
const said = (port: number, text: string) => {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let heard = ''
  socket.on('data', (part) => (heard += part))
  socket.on('error', () => undefined)
  const ended = new Promise<string>((resolve) => socket.on('close', () => resolve(heard)))
  socket.write(text)
  return { socket, ended }
}

/** Writes until the other side ends the connection, or has taken so many bytes; how many it took. */
const poured = async (socket: Socket, most: number): Promise<number> => {
  const part = Buffer.alloc(1024 * 1024, ' ')
  const gone = new Promise<void>((resolve) => socket.once('close', resolve))
  let sent = 0
  for (; sent < most && !socket.destroyed; sent += part.length)
    if (!socket.write(part))
      await Promise.race([gone, new Promise((resolve) => socket.once('drain', resolve))])
  return sent
}

const mega = 1024 * 1024

test('a hundred slow connections neither keep a viewer out nor end the stream of another one', async () => {
  const { port, ask, opened } = await served()
  const stream = await opened('/api/stream?view=header')
  const slow = Array.from({ length: 100 }, () => said(port, 'POST / HTTP/1.1\r\nHost: x\r\n'))
  await Promise.race(slow.map(({ ended }) => ended))

  expect((await ask('/api/header')).status).toBe(200)
  expect([stream.destroyed, stream.readableEnded]).toEqual([false, false])
  expect(slow.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(16)
  stream.destroy()
})

test.each([
  ['to a path that needs the token', 'POST /api/act', 401],
  ['to the exchange of codes', 'POST /api/session', 413],
  ['with another host', 'POST /', 421],
])('a body of 1 GB %s is not read to its end', async (_, line, status) => {
  const { port } = await served()
  const host = status === 421 ? 'evil.example' : `127.0.0.1:${port}`
  const head = `Host: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${1024 * mega}`
  const { socket, ended } = said(port, `${line} HTTP/1.1\r\n${head}\r\n\r\n`)

  expect(await poured(socket, 1024 * mega)).toBeLessThan(64 * mega)
  expect(await ended).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
})

test.each([
  ['GET // HTTP/1.1\r\nHost: HERE', 400],
  ['GET http://[ HTTP/1.1\r\nHost: HERE', 400],
  ['GET / HTTP/1.1', 400],
  ['GET / HTTP/1.0', 421],
  ['GET http://HERE/api/header HTTP/1.1\r\nHost: evil.example', 421],
  ['GET http://evil.example/api/header HTTP/1.1\r\nHost: HERE', 401],
  ['OPTIONS * HTTP/1.1\r\nHost: HERE', 405],
  ['TRACE / HTTP/1.1\r\nHost: HERE', 405],
  [
    'GET /api/stream?view=log HTTP/1.1\r\nHost: HERE\r\nConnection: Upgrade\r\nUpgrade: websocket',
    401,
  ],
  ['GET /api/log?token=TOKEN&authorization=Bearer+TOKEN HTTP/1.1\r\nHost: HERE', 401],
  ['GET /api/log HTTP/1.1\r\nHost: HERE\r\nCookie: token=TOKEN; authorization=Bearer TOKEN', 401],
  ['GET /api/log HTTP/1.1\r\nHost: HERE\r\nAuthorization: Basic OlRPS0VO', 401],
  ['GET /api/log HTTP/1.1\r\nHost: HERE\r\nAuthorization: x\r\nAuthorization: Bearer TOKEN', 401],
])('refuses %j', async (text, status) => {
  const { port, bearer } = await served()
  const token = bearer.authorization.slice('Bearer '.length)
  const filled = text.replaceAll('HERE', `127.0.0.1:${port}`).replaceAll('TOKEN', token)
  const { ended } = said(port, `${filled}\r\nConnection: close\r\n\r\n`)

  const heard = await ended
  expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(heard).not.toContain('instance')
})

test('ends a connection without the token after 10 s, however many requests come over it', async () => {
  const clock = virtualClock()
  const source = sourceOf(() => ({ header: { instance: 'a' }, data: null }))
  const { port, opened } = await pageServed({ source, clock })
  const stream = await opened('/api/stream?view=header')
  const { socket, ended } = said(port, '')
  const ask = (): void => {
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  }
  for (let asked = 0; asked < 3; asked++) {
    ask()
    await new Promise((resolve) => socket.once('data', resolve))
    await clock.advance(3_000)
  }
  await clock.advance(1_000)
  ask()

  expect((await ended).match(/HTTP\/1.1 200 /g)).toHaveLength(3)
  expect([stream.destroyed, stream.readableEnded]).toEqual([false, false])
  stream.destroy()
})

test('is no tunnel: CONNECT has no answer', async () => {
  const { port } = await served()

  expect(await said(port, `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`).ended).toBe('')
})
