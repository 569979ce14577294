/**
 * Links over sockets in a folder of one machine: `links/NAME` for each member. Only processes of its
 * user connect.
 */
import { join } from 'node:path'
import { connectIn, type FolderSocket, listenIn } from '../../storage/index.ts'
import type { ConnectionReader, LinkConnection, LinkTransport } from './link-transport.ts'

/** The most connections at a time: of other members, and some that do not greet. */
const connectionsMax = 256

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

class SocketConnection implements LinkConnection {
  readonly #socket: FolderSocket

  constructor(socket: FolderSocket) {
    this.#socket = socket
  }

  open(reader: ConnectionReader): void {
    const socket = this.#socket
    socket.on('data', (bytes: Buffer) => reader.bytes(bytes))
    if (socket.closed) reader.ended()
    else socket.on('close', () => reader.ended())
  }

  write(bytes: Buffer, taken: () => void): void {
    this.#socket.write(bytes, (error) => {
      if (!error) taken()
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}
