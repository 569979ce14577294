/**
 * Sockets between machines: TLS 1.3 with a key that both sides have, and no certificates. A peer
 * without the key gets no connection, and reads nothing. The key does not decrypt what was recorded
 * before it was stolen: each connection makes another one for itself.
 */
import { connect, createServer, type TLSSocket } from 'node:tls'
import { sha256 } from '../../bytes/sha256.ts'
import type { SocketAddress } from './socket-address.ts'

/** The connections that a listening socket admits. */
export type SecretPlace = SocketAddress & {
  readonly secret: string
  /** Further connections are closed at once. */
  readonly connectionsMax: number
  /** A peer that has not shown within this time that it has the secret is closed, in ms. */
  readonly handshakeMs: number
}

/** Both sides say it. It names the way from the secret to the key. */
const identity = 'keelson-link-1'

/** The one version whose handshake with such a key keeps earlier connections secret. */
const version = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // The key is bound to the sum of these.
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const

/**
 * The most connections whose peer has not shown that it has the secret. A further one ends the oldest
 * of them. So peers without the secret have to make as many within a handshake, which lasts some ms,
 * to keep a member out.
 */
const strangersMax = 64

const keyOf = (secret: string): Buffer => Buffer.from(sha256(Buffer.from(`${identity}\0${secret}`)))

/**
 * Listens until `signal` aborts. `onSocket` gets the connections of peers that have the secret.
 * Neither the socket nor its connections hold the process open. Rejects with the error of the system.
 */
export const listenWithSecret = async (
  { host, port, secret, connectionsMax, handshakeMs }: SecretPlace,
  signal: AbortSignal,
  onSocket: (socket: TLSSocket) => void,
): Promise<void> => {
  const key = keyOf(secret)
  const server = createServer({
    ...version,
    handshakeTimeout: handshakeMs,
    pskCallback: (_, name) => (name === identity ? key : null),
  })
  const strangers = new Map<string, Pick<TLSSocket, 'destroy'>>()
  server.on('connection', (socket) => {
    socket.unref()
    const [oldest] = strangers.values()
    if (strangers.size >= strangersMax) oldest?.destroy()
    const peer = peerOf(socket)
    strangers.set(peer, socket)
    socket.once('close', () => strangers.delete(peer))
  })
  // A peer that fails its handshake is gone with it.
  server.on('tlsClientError', (_, socket) => socket.destroy())
  server.on('secureConnection', (socket) => {
    strangers.delete(peerOf(socket))
    onSocket(ready(socket))
  })
  server.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // Each member has its own, also where processes share ports.
    server.listen({ host, port, exclusive: true }, resolve)
    server.unref()
  })
  server.on('error', () => undefined)
  if (signal.aborted) server.close()
  else signal.addEventListener('abort', () => void server.close(), { once: true })
}

/** The address of the other side. No two connections to one socket have the same at a time. */
const peerOf = ({
  remoteAddress,
  remotePort,
}: Pick<TLSSocket, 'remoteAddress' | 'remotePort'>): string => `${remoteAddress}:${remotePort}`

/**
 * Connects to a listening socket, within `handshakeMs`. Rejects with the error of the system, or of
 * OpenSSL if the other side has another secret or none.
 */
export const connectWithSecret = ({
  host,
  port,
  secret,
  handshakeMs,
}: Omit<SecretPlace, 'connectionsMax'>): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const key = { psk: keyOf(secret), identity }
    const socket = connect({
      ...version,
      host,
      port,
      timeout: handshakeMs,
      pskCallback: () => key,
      // It is asked only about a peer that shows a certificate instead of the key. A public authority
      // may have signed that.
      checkServerIdentity: () => new Error('the other side has not shown that it has the secret'),
      rejectUnauthorized: true,
    })
    const late = (): void => void socket.destroy(new Error(`no answer within ${handshakeMs} ms`))
    socket.once('timeout', late)
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      socket.off('timeout', late)
      resolve(ready(socket))
    })
  })

/** A machine that is gone says nothing: the system asks for it from this time on, in ms. */
const askMs = 1_000

const ready = (socket: TLSSocket): TLSSocket => {
  // An error closes the socket. The rest follows from that.
  socket.on('error', () => undefined)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, askMs)
  socket.unref()
  return socket
}
