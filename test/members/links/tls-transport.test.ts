/** Links over TLS between members of which each has the secret, or another one, or none. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tlsTransport } from '../../../src/members/links/tls-transport.ts'
import { call, cast, createSystem, type Ref } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { freePorts } from '../../support/worlds/free-ports.ts'
import {
  deskAt,
  type LinkedMember,
  startDesk,
  startMember,
} from '../../support/worlds/linked-members.ts'
import { greetingOf } from '../../support/worlds/rogue-peer.ts'

const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? undefined : 'no openssl'

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

describe.skipIf(lacks(noOpenssl))('a server with a certificate that the machine trusts', () => {
  test('gets no word of a member that takes it for another one', { tags: ['slow'] }, async () => {
    const dir = tempFolder()
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    const named = ['-nodes', '-days', '1', '-subj', '/CN=b', '-keyout', key, '-out', cert]
    execFileSync('openssl', [...made, ...named], { stdio: 'ignore' })
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) })
    let said = 0
    server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', ({ length }) => {
        said += length
      })
    })
    server.on('tlsClientError', () => undefined)
    server.listen(0, host)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const storage = JSON.stringify(new URL('../../../dist/storage/index.js', import.meta.url))
    const program = `
      import { connectWithSecret } from ${storage}
      const to = { host: '${host}', port: ${port}, secret: '${secret}', handshakeMs: 5000 }
      const said = await connectWithSecret(to).then(() => 'connected', ({ message }) => message)
      process.stdout.write(said)`
    // The machine trusts it as one that a public authority has signed.
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: cert }
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env })
    expect(await text(child.stdout)).toBe('the other side has not shown that it has the secret')
    expect(said).toBe(0)
  })
})

describe('members with one secret', () => {
  test('are linked, and messages of all sizes keep their order', { tags: ['slow'] }, async () => {
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
  test('that holds as many connections as it can keeps no member out', async () => {
    const { start, ports } = await world(2)
    await startDesk(await start('b', { handshakeMs: 60_000 }))
    const silent = Array.from({ length: 300 }, () => connect(ports[1] as number, host))
    onTestFinished(() => {
      for (const socket of silent) socket.destroy()
    })
    for (const socket of silent) socket.on('error', () => undefined)
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    expect(await call(deskAt(await start('a')), 'echo', 1, patiently)).toBe(1)
  })

  test('of a member with another one is no link, and its log says which member has another', async () => {
    const { start, says } = await world(2)
    const [a, b] = [await start('a', { secret: 'another secret' }), await start('b')]
    await startDesk(b)
    const said = says('a', 'secret')
    const waits = { waitForName: true, timeoutMs: 200 }
    // Caught at once: the log may say it later than that.
    const answer = call(deskAt(a), 'echo', 1, waits).catch(({ code }) => code)
    expect(await said).toMatch(/refused: .*CONFIG.*b at 127\.0\.0\.1:\d+ has not the same secret/)
    expect(await answer).toBe('NO_PROCESS')
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
