/**
 * Links over sockets in a folder of one machine: `links/NAME` for each member. Only processes of its
 * user connect.
 */
import { join } from 'node:path'
import { connectIn, listenIn } from '../../storage/index.ts'
import type { LinkTransport } from './link-transport.ts'
import { connectionsMax, SocketConnection } from './socket-connection.ts'

/** The links of the member `member` whose cluster is in the folder `dir`. */
export const unixTransport = (dir: string, member: string): LinkTransport => {
  const folder = join(dir, 'links')
  return {
    listen: (signal, onConnection) =>
      listenIn({ dir: folder, name: member, connectionsMax }, signal, (socket) =>
        onConnection(new SocketConnection(socket)),
      ),
    connect: async (other) => {
      const socket = await connectIn({ dir: folder, name: other })
      // An error closes the socket. The rest follows from that.
      socket.on('error', () => undefined)
      socket.unref()
      return new SocketConnection(socket)
    },
  }
}
