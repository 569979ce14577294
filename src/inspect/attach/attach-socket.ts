/**
 * The socket of attached prompts, `attach.sock` in the data folder. Only the user of the instance
 * connects.
 */
import { KeelsonError } from '../../errors.ts'
import {
  connectIn as connectTo,
  type FolderSocket,
  listenIn as listenAt,
} from '../../storage/index.ts'

/** One end of the connection of an attached prompt. */
export type Socket = FolderSocket

const name = 'attach.sock'

/** The most connections at a time; further ones are closed at once. */
const connectionsMax = 64

/**
 * Listens in `dir` until `signal` aborts, and removes the socket then. The caller holds the lock of
 * the folder. Neither the socket nor its connections hold the process open. Rejects with the error
 * of the system.
 */
export const listenIn = (
  dir: string,
  signal: AbortSignal,
  onSocket: (socket: Socket) => void,
): Promise<void> => listenAt({ dir, name, connectionsMax }, signal, onSocket)

/**
 * Connects to the socket in `dir`.
 * @throws KeelsonError `NO_PROCESS` if nothing listens there, `READ_ONLY` if this user may not
 */
export const connectIn = (dir: string): Promise<Socket> =>
  connectTo({ dir, name }).catch((error: NodeJS.ErrnoException) => {
    throw notConnected(dir, error)
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
