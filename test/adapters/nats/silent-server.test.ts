/** A server that says nothing any more, as one whose machine has lost its power. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { NatsLink } from '../../../src/adapters/nats/nats-link.ts'

const info = {
  ...{ server_id: 'ONE', server_name: 'one', version: '2.12.1', proto: 1, client_id: 1 },
  ...{ host: '127.0.0.1', headers: true, max_payload: 1 << 20 },
}

test('is left within the time that an answer may take, for the next one', {
  tags: ['slow'],
}, async () => {
  // It greets, and answers nothing but the first ping.
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write(`INFO ${JSON.stringify(info)}\r\n`)
    socket.once('data', () => socket.write('PONG\r\n'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const answerMs = 2_000
  const link = new NatsLink({ servers: [`127.0.0.1:${port}`] }, answerMs)
  onTestFinished(() => link.close())
  const connected = once(server, 'connection')
  await link.server()
  const [first] = await connected
  const began = performance.now()

  const again = once(server, 'connection')
  await once(first, 'close')

  expect(performance.now() - began).toBeLessThan(answerMs)
  await again
  expect(await link.server()).toEqual({ name: 'one', maxBytes: 1 << 20 })
})
