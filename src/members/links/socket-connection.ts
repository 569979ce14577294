/** A connection over a socket, as links use it. An error of the socket is its end. */
import type { FolderSocket } from '../../storage/index.ts'
import type { ConnectionReader, LinkConnection } from './link-transport.ts'

/** The most connections at a time: of other members, and some that do not greet. */
export const connectionsMax = 256

/** A connection of links. Errors of the socket are listened for where it is made. */
export class SocketConnection implements LinkConnection {
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
