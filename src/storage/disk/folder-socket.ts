/**
 * Sockets in a folder, for processes of the same user on this machine. The mode of a socket is 0600.
 * It is made in a folder that only this user can enter, and then moved to its place. So it is never
 * open to others, and replaces what a killed process left there.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One end of a connection over such a socket. */
export type FolderSocket = Socket

/** The bytes of a socket's path: 104 on macOS and 108 on Linux, with a zero at the end. */
const pathBytesMax = 103

/** Where a socket is, and how many connections it has at a time; further ones are closed at once. */
export type SocketPlace = {
  readonly dir: string
  readonly name: string
  readonly connectionsMax: number
}

/**
 * Listens until `signal` aborts, and removes the socket then. The caller holds a lock, so that no
 * other process listens there. Neither the socket nor its connections hold the process open. Rejects
 * with the error of the system.
 */
export const listenIn = async (
  { dir, name, connectionsMax }: SocketPlace,
  signal: AbortSignal,
  onSocket: (socket: FolderSocket) => void,
): Promise<void> => {
  const making = join(dir, `${name}.new`)
  const server = createServer((socket) => {
    // An error closes the socket. The rest follows from that.
    socket.on('error', () => undefined)
    socket.unref()
    onSocket(socket)
  })
  server.maxConnections = connectionsMax
  const close = (): void => {
    server.close()
    rmSync(join(dir, name), { force: true })
  }
  try {
    rmSync(making, { recursive: true, force: true })
    mkdirSync(making, { mode: 0o700, recursive: true })
    await shortly(making, name, (short) => listening(server, join(short, name)))
    chmodSync(join(making, name), 0o600)
    renameSync(join(making, name), join(dir, name))
  } catch (error) {
    server.close()
    throw error
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
}

const listening = async (server: Server, path: string): Promise<void> => {
  const failed = new Promise<Error>((resolve) => server.on('error', resolve))
  // Exclusive, so that no primary of a cluster is asked: then it listens at once.
  server.listen({ path, exclusive: true })
  server.unref()
  if (!server.listening) throw await failed
}

/** Connects to a socket. Rejects with the error of the system. */
export const connectIn = ({
  dir,
  name,
}: Pick<SocketPlace, 'dir' | 'name'>): Promise<FolderSocket> =>
  new Promise((resolve, reject) => {
    const socket = shortly(dir, name, (short) => connect(join(short, name)))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })

/**
 * Calls `use` with a path to `dir` that leaves room for the name of a socket. If its own path is
 * too long, this is a link in the temporary folder. The system needs it only during the call.
 */
const shortly = <T>(dir: string, name: string, use: (short: string) => T): T => {
  if (Buffer.byteLength(join(dir, name)) <= pathBytesMax) return use(dir)
  const place = mkdtempSync(join(tmpdir(), 'keelson-'))
  try {
    const link = join(place, 'd')
    symlinkSync(realpathSync(dir), link)
    return use(link)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}
