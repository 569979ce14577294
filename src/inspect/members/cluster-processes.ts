/**
 * The processes of members, forked by `node:cluster`: they share each port that they listen on. Each
 * runs the command line of its parent, and finds its name in its environment.
 */
import cluster, { type Worker } from 'node:cluster'
import { fromMember, type ToMember } from './member-message.ts'
import type { MemberProcesses } from './members-parent.ts'

/** The variable with the name of a member. It counts in a process that a parent has forked. */
export const memberVariable = 'KEELSON_MEMBER'

/** The variable with the version of the parent. */
export const parentVariable = 'KEELSON_PARENT'

/** Variables of a service manager, which the parent alone notifies. */
const parentsOwn = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']

/** Forked processes. */
export class ClusterProcesses implements MemberProcesses {
  readonly #version: string
  readonly #workers = new Map<string, Worker>()

  /** `version`: that of the parent. */
  constructor(version: string) {
    this.#version = version
  }

  start(member: string, { said, ended }: Parameters<MemberProcesses['start']>[1]): void {
    const hidden = Object.fromEntries(parentsOwn.map((name) => [name, undefined]))
    const own = { [memberVariable]: member, [parentVariable]: this.#version }
    const worker = cluster.fork({ ...hidden, ...own })
    this.#workers.set(member, worker)
    const closeSent = watchSent(worker.process)
    worker.on('message', (found: unknown) => {
      const message = fromMember(found)
      if (message) said(message)
    })
    let hasEnded = false
    const end = (status: number | null, signal: string | null): void => {
      if (hasEnded) return
      hasEnded = true
      // One that ended in order has taken each, or has sent it back for another member.
      if (status !== 0) closeSent()
      this.#workers.delete(member)
      ended({ status, signal })
    }
    worker.on('exit', end)
    // A process that could not be made has no exit. A message that was not taken is no end.
    worker.on('error', () => worker.process.pid === undefined && end(1, null))
  }

  send(member: string, message: ToMember): void {
    const worker = this.#workers.get(member)
    if (worker?.isConnected()) worker.send(message, () => undefined)
  }

  kill(member: string): void {
    this.#workers.get(member)?.process.kill('SIGKILL')
  }
}

/** What `node:cluster` sends with the message of a new connection. Its `fd` is negative once it is closed. */
type SentConnection = { readonly fd: number; readonly close: () => void }

/**
 * Watches the connections that are sent to a process. The returned function closes each one that the
 * process has not taken. `node:cluster` leaves them open when the process is killed: their clients
 * would wait for an answer forever.
 */
const watchSent = (child: Worker['process']): (() => void) => {
  const sent = new Set<SentConnection>()
  const send = child.send.bind(child) as (...words: readonly unknown[]) => boolean
  child.send = (...words: readonly unknown[]) => {
    const [message, connection] = words
    if (Object(message).act === 'newconn') {
      // Each was closed here when the process has taken it.
      for (const each of sent) if (each.fd < 0) sent.delete(each)
      sent.add(connection as SentConnection)
    }
    return send(...words)
  }
  return () => {
    for (const each of sent) each.close()
  }
}
