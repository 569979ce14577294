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
  /** The workers that take connections. */
  readonly #listening = new Set<Worker>()

  /** `version`: that of the parent. */
  constructor(version: string) {
    this.#version = version
  }

  start(member: string, { said, ended }: Parameters<MemberProcesses['start']>[1]): void {
    const hidden = Object.fromEntries(parentsOwn.map((name) => [name, undefined]))
    const own = { [memberVariable]: member, [parentVariable]: this.#version }
    const worker = cluster.fork({ ...hidden, ...own })
    this.#workers.set(member, worker)
    const sent = new SentConnections(worker.process)
    worker.on('message', (found: unknown) => {
      const message = fromMember(found)
      if (message) said(message)
    })
    let hasEnded = false
    let endsInOrder = false
    const end = (status: number | null, signal: string | null): void => {
      if (hasEnded) return
      hasEnded = true
      endsInOrder = status === 0
      this.#workers.delete(member)
      this.#listening.delete(worker)
      settle()
      ended({ status, signal })
    }
    // Its last answers may be read after its exit.
    const settle = (): void => {
      if (!hasEnded || worker.isConnected()) return
      if (endsInOrder && this.#listening.size > 0) sent.sendBack()
      else sent.close()
    }
    worker.on('listening', () => this.#listening.add(worker))
    worker.on('disconnect', settle)
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

/** A connection that is sent to a process. */
type SentConnection = { readonly close: () => void }

/** The messages by which `node:cluster` sends a connection, and answers that it is taken or not. */
type ConnectionMessage = {
  readonly act?: unknown
  readonly seq?: number
  readonly ack?: number
}

/** The connections that a process got and has not answered for. */
class SentConnections {
  readonly #child: Worker['process']
  readonly #sent = new Map<number | undefined, SentConnection>()

  constructor(child: Worker['process']) {
    this.#child = child
    const send = child.send.bind(child) as (...words: readonly unknown[]) => boolean
    child.send = (...words: readonly unknown[]) => {
      const { act, seq } = Object(words[0]) as ConnectionMessage
      if (act === 'newconn') this.#sent.set(seq, words[1] as SentConnection)
      return send(...words)
    }
    child.on('internalMessage', ({ ack }: ConnectionMessage) => this.#sent.delete(ack))
  }

  /** Closes them: a process that was killed may have begun with each. Otherwise clients wait for ever. */
  close(): void {
    for (const connection of this.#sent.values()) connection.close()
  }

  /** Sends them to other processes, in the place of one that ended in order before it has read of them. */
  sendBack(): void {
    for (const ack of [...this.#sent.keys()])
      this.#child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false })
  }
}
