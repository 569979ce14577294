/**
 * The socket of attached prompts, `attach.sock` in the data folder. Of members that share the folder
 * each has its own, such as `attach-b.sock`. Only the user of the instance connects.
 */
import { readdirSync } from 'node:fs'
import { KeelsonError } from '../../errors.ts'
import {
  connectIn as connectTo,
  type FolderSocket,
  listenIn as listenAt,
} from '../../storage/index.ts'

/** One end of the connection of an attached prompt. */
export type Socket = FolderSocket

/** An instance: its folder, and its name among the members that share the folder. */
export type AttachPlace = { readonly dir: string; readonly member?: string | undefined }

const nameOf = (member: string | undefined): string =>
  member === undefined ? 'attach.sock' : `attach-${member}.sock`

/** The most connections at a time; further ones are closed at once. */
const connectionsMax = 64

/**
 * Listens in the folder until `signal` aborts, and removes the socket then. The caller holds the
 * lock of the folder, or that of the member. Neither the socket nor its connections hold the process
 * open. Rejects with the error of the system.
 */
export const listenIn = (
  { dir, member }: AttachPlace,
  signal: AbortSignal,
  onSocket: (socket: Socket) => void,
): Promise<void> => listenAt({ dir, name: nameOf(member), connectionsMax }, signal, onSocket)

/**
 * Connects to the socket of the instance.
 * @throws KeelsonError `NO_PROCESS` if nothing listens there, and names the members that do;
 * `READ_ONLY` if this user may not
 */
export const connectIn = async (place: AttachPlace): Promise<Socket> => {
  try {
    return await connectTo({ dir: place.dir, name: nameOf(place.member) })
  } catch (error) {
    throw notConnected(place, error as NodeJS.ErrnoException, await listening(place.dir))
  }
}

/** The members whose sockets in the folder are listened on. A killed one may have left its own. */
const listening = async (dir: string): Promise<string[]> => {
  const names = membersWithSocket(dir).map(async (member) => {
    try {
      const socket = await connectTo({ dir, name: nameOf(member) })
      socket.destroy()
      return [member]
    } catch {
      return []
    }
  })
  return (await Promise.all(names)).flat()
}

const membersWithSocket = (dir: string): string[] => {
  try {
    const found = readdirSync(dir).map((name) => /^attach-(.+)\.sock$/.exec(name)?.[1])
    return found.filter((member) => member !== undefined).sort()
  } catch {
    return []
  }
}

const notConnected = (
  { dir, member }: AttachPlace,
  error: NodeJS.ErrnoException,
  members: readonly string[],
): KeelsonError => {
  const options = { details: { dir, members }, cause: error }
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new KeelsonError(
      'READ_ONLY',
      `only the user who runs the instance in ${dir} may attach`,
      options,
    )
  const none = member === undefined ? 'no instance' : `no member ${member}`
  const names = members.join(', ')
  const text =
    members.length === 0
      ? `${none} in ${dir} takes prompts: \`keelson run --dir DIR\` starts one, and so does the option \`attach: true\``
      : member === undefined
        ? `members share ${dir}: choose one with --member: ${names}`
        : `${none} in ${dir} takes prompts: choose one with --member: ${names}`
  return new KeelsonError('NO_PROCESS', text, options)
}
