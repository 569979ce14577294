/**
 * The link of a member to its parent, in the member's process. The parent's word, SIGTERM, or the end
 * of the parent asks the member to end.
 */
import cluster from 'node:cluster'
import { url } from 'node:inspector'
import { onProcess } from '../../process-events.ts'
import type { MembersOptions } from '../../supervisors/index.ts'
import type { EndSignal, Environment } from '../command/environment.ts'
import { memberVariable, parentVariable } from './cluster-processes.ts'
import { type FromMember, toMember } from './member-message.ts'

/** A member in its own process. */
export class MemberLink {
  readonly name: string
  readonly parentVersion: string | undefined
  #isEnding = false
  #listener: ((signal: EndSignal) => void) | undefined

  /** The link of this process, if a parent has forked it. */
  static here(variables: Environment['variables']): MemberLink | undefined {
    const name = variables[memberVariable]
    if (!cluster.isWorker || name === undefined) return undefined
    return new MemberLink(name, variables[parentVariable])
  }

  /** For `here`. */
  private constructor(name: string, parentVersion: string | undefined) {
    this.name = name
    this.parentVersion = parentVersion
    process.title = `keelson member ${name}`
    onProcess('message', (found: unknown) => {
      const message = toMember(found)
      if (message?.keelson === 'ask') this.#alive()
      if (message?.keelson === 'end') this.#end()
    })
    // A terminal sends it to the parent as well, which decides.
    onProcess('SIGINT', () => undefined)
    onProcess('SIGTERM', () => this.#end())
    // A message to a parent that has been killed fails before the end of its connection is read. Without
    // a listener that error would end the process.
    cluster.worker?.on('error', (error: NodeJS.ErrnoException) => {
      if (!isOfParent(error)) throw error
      this.#end()
    })
    cluster.worker?.on('disconnect', () => {
      // Node would end the process at once.
      if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
      this.#end()
    })
    this.#alive()
  }

  /** As `Environment.onSignal`. It is called once, and also if the end was asked for before. */
  onSignal(listener: (signal: EndSignal) => void): () => void {
    this.#listener = listener
    if (this.#isEnding) listener('SIGTERM')
    return () => {
      this.#listener = undefined
    }
  }

  /** The member has got the folder. */
  joined(options: MembersOptions): void {
    this.#send({ keelson: 'joined', options })
  }

  /** All of the member has started. */
  ready(line: string): void {
    this.#send({ keelson: 'ready', line })
  }

  /** The member has judged its actors at rest. */
  judged(wouldBlock: readonly string[]): void {
    this.#send({ keelson: 'judged', wouldBlock })
  }

  #alive(): void {
    this.#send({ keelson: 'alive', isInspected: url() !== undefined })
  }

  #end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#listener?.('SIGTERM')
  }

  #send(message: FromMember): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
  }
}

const isOfParent = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  ['EPIPE', 'ECONNRESET', 'ERR_IPC_CHANNEL_CLOSED', 'ERR_IPC_DISCONNECTED'].includes(code)
