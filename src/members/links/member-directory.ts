/**
 * Where the name of a process at another member is looked up, as `Member.ref` says. It is apart from
 * `shard-owners.ts`: the member of such a name never changes.
 */
import { KeelsonError } from '../../errors.ts'
import type { Directory, HolderWait, Process } from '../../runtime/index.ts'
import { noConnection } from './forwarder.ts'

/** The links as a ref of another member's process needs them. */
export type MemberLinks = {
  forwarder(member: string, target: string): Process | undefined
  awaitLink(member: string, ms: number, signal: AbortSignal | undefined): HolderWait
}

/** The lookup of one name. */
export class MemberDirectory implements Directory<Process> {
  readonly absence = noConnection
  readonly #links: MemberLinks
  readonly #member: string
  readonly #target: string

  constructor(links: MemberLinks, member: string, target: string) {
    this.#links = links
    this.#member = member
    this.#target = target
  }

  holderOf(): Process | undefined {
    return this.#links.forwarder(this.#member, this.#target)
  }

  /** For a name without a holder. */
  fault(): KeelsonError {
    const details = { reason: noConnection, member: this.#member, target: this.#target }
    const text = `${details.target} at ${details.member}: there is no connection to ${details.member}`
    return new KeelsonError('NO_PROCESS', text, { details })
  }

  awaitHolder(_name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    return this.#links.awaitLink(this.#member, ms, signal)
  }
}
