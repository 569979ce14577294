/**
 * Links between machines, over TLS with the secret that all members of a cluster have. Each member
 * listens at an address that the others know. Without the secret nobody gets to the greeting.
 */
import { KeelsonError, reasonText } from '../../errors.ts'
import { connectWithSecret, listenWithSecret, type SocketAddress } from '../../storage/index.ts'
import type { LinkTransport } from './link-transport.ts'
import { connectionsMax, SocketConnection } from './socket-connection.ts'

/** The links of one member. */
export type TlsTransportOptions = {
  /** Where it listens. */
  readonly listen: SocketAddress
  readonly secret: string
  /** Where another member listens; `undefined` while that is not known. */
  readonly addressOf: (member: string) => SocketAddress | undefined
  /** A peer shows within this time that it has the secret, in ms. */
  readonly handshakeMs?: number
}

/** The links of a member that listens at an address. */
export const tlsTransport = ({
  listen,
  secret,
  addressOf,
  handshakeMs = 5_000,
}: TlsTransportOptions): LinkTransport => ({
  listen: (signal, onConnection) =>
    listenWithSecret({ ...listen, secret, connectionsMax, handshakeMs }, signal, (socket) =>
      onConnection(new SocketConnection(socket)),
    ),
  connect: async (member) => {
    const address = addressOf(member)
    if (!address) throw new Error(`the address of ${member} is not known yet`)
    try {
      return new SocketConnection(await connectWithSecret({ ...address, secret, handshakeMs }))
    } catch (error) {
      throw isRefused(error) ? otherSecret(member, address, error) : error
    }
  },
})

/** Whether the two sides have no secret in common. That nothing listens is another failure. */
const isRefused = (error: unknown): boolean => /^ERR_SSL_/.test(String(Object(error).code))

const otherSecret = (member: string, { host, port }: SocketAddress, cause: unknown): KeelsonError =>
  new KeelsonError('CONFIG', `${member} at ${host}:${port} has not the same secret`, {
    details: { member, host, port, why: reasonText(cause) },
    cause,
  })
