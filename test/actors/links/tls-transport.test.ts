/** Links over TLS between members of which each has the secret, or another one, or none. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tlsTransport } from '../../../src/actors/links/tls-transport.ts'
import { call, cast, createSystem, type Ref } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { freePorts } from '../../support/worlds/free-ports.ts'
import {
  deskAt,
  type LinkedMember,
  startDesk,
  startMember,
} from '../../support/worlds/linked-members.ts'
import { greetingOf } from '../../support/worlds/rogue-peer.ts'

const secret = 'the secret that all members have'
const host = '127.0.0.1'

/** Members, each on another port. `said` hears the lines of their logs. */
const world = async (count: number) => {
  const ports = await freePorts(count)
  const heard = new Map<string, (line: string) => void>()
  const start = async (
    member: string,
    options: { readonly secret?: string; readonly handshakeMs?: number } = {},
  ): Promise<LinkedMember> => {
    const addressOf = (name: string) => ({ host, port: ports['abc'.indexOf(name)] as number })
    const hear = (line: string): void => heard.get(member)?.(line)
    const log = capturedLog({ error: hear, warn: hear, info: hear })
    const system = createSystem({ logger: log })
    const transport = tlsTransport({ secret, ...options, listen: addressOf(member), addressOf })
    const made = await startMember(member, transport, { system, log })
    onTestFinished(() => system.stop())
    return made
  }
  /** The next line of a member's log with these words. */
  const says = (member: string, words: string): Promise<string> =>
    new Promise((resolve) => {
      heard.set(member, (line) => {
        if (line.includes(words)) resolve(line)
      })
    })
  return { ports, start, says }
}

const patiently = { waitForName: true, timeoutMs: 60_000 }

/** What an end of a connection has got when the other one has closed it. */
const closed = (socket: ReturnType<typeof connect>): Promise<Buffer> =>
  new Promise((resolve) => {
    const got: Buffer[] = []
    socket.on('data', (bytes) => got.push(bytes))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Buffer.concat(got)))
  })

describe('members with one secret', () => {
  test('are linked, and messages of all sizes keep their order', async () => {
    const { start } = await world(2)
    const [a, b] = [await start('a'), await start('b')]
    await startDesk(b)
    const desk = deskAt(a)
    expect(await call(desk, 'echo', { some: 'value' }, patiently)).toEqual({ some: 'value' })
    const sizes = [0, 1, 100, 65_530, 70_000, 3_000_000, 7, 1_000_000, 2]
    for (const size of sizes) expect(cast(desk, 'note', Buffer.alloc(size, size & 255))).toBe(true)
    const seen = (await call(desk, 'seen', undefined, patiently)) as Buffer[]
    expect(seen.map(({ length }) => length)).toEqual(sizes)
    expect(seen.every((bytes) => bytes.every((byte) => byte === (bytes.length & 255)))).toBe(true)
  })

  test('are linked again after one of them was away', async () => {
    const { start } = await world(2)
    const [a, b] = [await start('a'), await start('b')]
    await startDesk(b)
    expect(await call(deskAt(a), 'echo', 1, patiently)).toBe(1)
    const down = new Promise((resolve) => a.system.monitor(deskAt(a) as Ref, resolve))
    await b.stop()
    expect(await down).toBe('noconnection')
    const again = call(deskAt(a), 'echo', 2, patiently)
    await startDesk(await start('b'))
    expect(await again).toBe(2)
  })
})

describe('a peer without the secret', () => {
  test('of a member with another one is no link, and its log says which member has another', async () => {
    const { start, says } = await world(2)
    const [a, b] = [await start('a', { secret: 'another secret' }), await start('b')]
    await startDesk(b)
    const said = says('a', 'secret')
    const answer = call(deskAt(a), 'echo', 1, { waitForName: true, timeoutMs: 200 })
    expect(await said).toMatch(/refused: .*CONFIG.*b at 127\.0\.0\.1:\d+ has not the same secret/)
    expect(await answer.catch(({ code }) => code)).toBe('NO_PROCESS')
    expect([...a.members.status, ...b.members.status]).toEqual([])
  })

  test.each([
    ['in clear text', (port: number) => connect({ host, port }), greetingOf({ member: 'a' })],
    ['in no protocol', (port: number) => connect({ host, port }), Buffer.alloc(100_000, 'x')],
    [
      'over TLS without a key',
      (port: number) => connectTls({ host, port, rejectUnauthorized: false }),
      greetingOf({ member: 'a' }),
    ],
    [
      'over TLS with an empty key',
      (port: number) =>
        connectTls({
          ...{
            host,
            port,
            ciphers: 'TLS_AES_128_GCM_SHA256',
            checkServerIdentity: () => undefined,
          },
          pskCallback: () => ({ psk: Buffer.alloc(1), identity: 'keelson-link-1' }),
        }),
      greetingOf({ member: 'a' }),
    ],
  ])('%s gets no greeting, and the others are served', async (_, open, bytes) => {
    const { ports, start } = await world(2)
    const b = await start('b')
    await startDesk(b)
    const socket = open(ports[1] as number)
    const got = closed(socket)
    socket.write(bytes)
    expect((await got).includes('keelson-link')).toBe(false)
    expect(b.members.status).toEqual([])
    const a = await start('a')
    expect(await call(deskAt(a), 'echo', 1, patiently)).toBe(1)
  })

  test('that says nothing is closed after a time', async () => {
    const { ports, start } = await world(2)
    await start('b', { handshakeMs: 50 })
    expect(await closed(connect({ host, port: ports[1] as number }))).toEqual(Buffer.alloc(0))
  })
})

test('a member that nothing answers is tried again, without a word in the log', async () => {
  const { start } = await world(2)
  const a = await start('a')
  expect(
    await call(deskAt(a), 'echo', 1, { waitForName: true, timeoutMs: 200 }).catch(
      ({ code }) => code,
    ),
  ).toBe('NO_PROCESS')
  expect(a.log.messages('warn')).toEqual([])
})
