/**
 * The socket of attached prompts, `attach.sock` in the data folder. Its mode is 0600: only the user
 * of the instance connects. It is made in a folder that only that user can enter, and then moved to
 * its place. So it is never open to others, and replaces what a killed process left there. The one
 * file of inspection that opens sockets.
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
import { KeelsonError } from '../../errors.ts'

export type { Socket } from 'node:net'

const socketName = 'attach.sock'
const makingName = 'attach.new'

/** The most connections at a time; further ones are closed at once. */
const connectionsMax = 64

/** The bytes of a socket's path: 104 on macOS and 108 on Linux, with a zero at the end. */
const pathBytesMax = 103

/**
 * Listens in `dir` until `signal` aborts, and removes the socket then. The caller holds the lock of
 * the folder. Neither the socket nor its connections hold the process open. Rejects with the error
 * of the system.
 */
export const listenIn = async (
  dir: string,
  signal: AbortSignal,
  onSocket: (socket: Socket) => void,
): Promise<void> => {
  const making = join(dir, makingName)
  const server = createServer((socket) => {
    // An error closes the socket. The rest follows from that.
    socket.on('error', () => undefined)
    socket.unref()
    onSocket(socket)
  })
  server.maxConnections = connectionsMax
  const close = (): void => {
    server.close()
    rmSync(join(dir, socketName), { force: true })
  }
  try {
    rmSync(making, { recursive: true, force: true })
    mkdirSync(making, { mode: 0o700 })
    await shortly(making, (short) => listening(server, join(short, socketName)))
    chmodSync(join(making, socketName), 0o600)
    renameSync(join(making, socketName), join(dir, socketName))
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

/**
 * Connects to the socket in `dir`.
 * @throws KeelsonError `NO_PROCESS` if nothing listens there, `READ_ONLY` if this user may not
 */
export const connectIn = (dir: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(notConnected(dir, error))
    try {
      const socket = shortly(dir, (short) => connect(join(short, socketName)))
      socket.once('error', refuse)
      socket.once('connect', () => {
        socket.off('error', refuse)
        resolve(socket)
      })
    } catch (error) {
      refuse(error as NodeJS.ErrnoException)
    }
  })

const notConnected = (dir: string, error: NodeJS.ErrnoException): KeelsonError => {
  const options = { details: { dir }, cause: error }
  return error.code === 'EACCES' || error.code === 'EPERM'
    ? new KeelsonError(
        'READ_ONLY',
        `only the user who runs the instance in ${dir} may attach`,
        options,
      )
    : new KeelsonError(
        'NO_PROCESS',
        `no instance in ${dir} takes prompts: \`keelson run --dir DIR\` starts one, and so does the option \`attach: true\``,
        options,
      )
}

/**
 * Calls `use` with a path to `dir` that leaves room for the name of a socket. If its own path is
 * too long, this is a link in the temporary folder. The system needs it only during the call.
 */
const shortly = <T>(dir: string, use: (short: string) => T): T => {
  if (Buffer.byteLength(join(dir, socketName)) <= pathBytesMax) return use(dir)
  const place = mkdtempSync(join(tmpdir(), 'keelson-'))
  try {
    const link = join(place, 'd')
    symlinkSync(realpathSync(dir), link)
    return use(link)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}
