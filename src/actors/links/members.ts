/**
 * The other members of a cluster, for code of this one: `member('b').ref('mailer')` is a ref of a
 * process there. It knows which links are open, and keeps the calls that a link has not taken, or
 * that may be repeated, until there is another link or their time ends.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type ChildSpec,
  type Directory,
  type HolderWait,
  kernelOf,
  type Name,
  NameWaits,
  type PendingCall,
  type Process,
  type Ref,
  refOfName,
  type System,
  send,
} from '../../runtime/index.ts'
import { noConnection } from './forwarder.ts'
import type { LinkEnd, LinkWaits } from './link.ts'
import { isIdentifier, nameMax } from './link-message.ts'
import type { OutboxLimits } from './link-outbox.ts'
import type { OpenLink, UnsentCall } from './link-process.ts'
import type { LinkTransport } from './link-transport.ts'
import type { Reach } from './peer-service.ts'
import { type Messages as BoardMessages, type Linked, linksTree } from './switchboard.ts'

/** The options of the members. */
export type MembersOptions = {
  readonly system: System
  readonly instance: string
  readonly cluster: string
  /** The name of this member. */
  readonly member: string
  readonly incarnation: string
  readonly transport: LinkTransport
  /** Which process another member reaches by a name; any that has the name by default. */
  readonly reach?: Reach
  /** The greatest kind of message that it says it knows; for tests with older members. */
  readonly knows?: number
  /** The bounds of what waits for a member; for tests. */
  readonly limits?: OutboxLimits
}

/** Another member, or this one. */
export type Member = {
  readonly name: string
  /**
   * The ref of the process that has a name there, looked up there at each use. Payloads and answers
   * must be values that can be stored. A call rejects as one to a process here does, and with
   * `NO_PROCESS` (`details.reason`: `noconnection`) while the members are not connected: with
   * `waitForName` it waits for that within its time. `BUSY`: too much waits to be sent there.
   * `UNKNOWN_OUTCOME`: the connection ended before the answer came; a call with an `id` is repeated
   * instead. `NOT_SUBMITTED`: it ended before the call left, and there was no other one in time.
   * Monitors and links end with `noconnection` when the connection does.
   * @throws KeelsonError `INVALID_ARGUMENT` for a name that is not text of 1 to 1,024 characters
   */
  ref<M = unknown, S = unknown>(name: Name<M> | string): Ref<M, S>
}

/** One link. */
export type LinkStatus = {
  readonly member: string
  readonly incarnation: string
} & LinkWaits

/** The members of a cluster. */
export class Members implements Linked {
  readonly instance: string
  readonly cluster: string
  readonly member: string
  readonly incarnation: string
  readonly transport: LinkTransport
  readonly reach: Reach
  readonly knows?: number
  readonly limits?: OutboxLimits
  readonly #system: System
  readonly #waits: NameWaits
  readonly #open = new Map<string, OpenLink>()
  readonly #expected = new Set<string>()
  /** By the member that they are for, in their order. */
  readonly #unsent = new Map<string, Set<UnsentCall>>()
  /** Calls that an earlier link has sent. */
  readonly #sentOnce = new WeakSet<PendingCall>()
  #board: Ref<BoardMessages> | undefined

  constructor(options: MembersOptions) {
    const { system, reach = (name) => system.to(name as Name<never>) } = options
    this.instance = options.instance
    this.cluster = options.cluster
    this.member = options.member
    this.incarnation = options.incarnation
    this.transport = options.transport
    this.reach = reach
    if (options.knows !== undefined) this.knows = options.knows
    if (options.limits !== undefined) this.limits = options.limits
    this.#system = system
    this.#waits = new NameWaits(kernelOf(system))
  }

  /** The tree of the links. */
  childSpec(): ChildSpec {
    return linksTree(this)
  }

  /** The members that this one is linked to, and what waits for each. */
  get status(): readonly LinkStatus[] {
    return [...this.#open].map(([member, { peer, link }]) => ({
      ...{ member, incarnation: peer.incarnation, ...link.status },
    }))
  }

  /**
   * A member by its name, whether it runs or not.
   * @throws KeelsonError `INVALID_ARGUMENT` for what is no name of a member
   */
  at(name: string): Member {
    if (!isIdentifier(name))
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        'the name of a member: expected 1 to 64 letters, digits, _, . or -',
      )
    this.expect(name)
    return { name, ref: (target) => this.#ref(name, target) as never }
  }

  /** There is a member of that name: links are made with it from now on. */
  expect(name: string): void {
    if (name === this.member || this.#expected.has(name)) return
    this.#expected.add(name)
    if (this.#board) send(this.#board, 'expect', name)
  }

  /** The process that stands for one of another member; `undefined` without a link to that. */
  forwarder(member: string, target: string): Process | undefined {
    return this.#open.get(member)?.forwarder(target)
  }

  /** Waits for a link to a member. */
  awaitLink(member: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    return this.#waits.add(member, () => this.#open.has(member), ms, signal)
  }

  #ref(member: string, target: string): Ref {
    if (typeof target !== 'string' || target === '' || target.length > nameMax)
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        `the name of a process at ${member}: expected text of 1 to ${nameMax} characters`,
      )
    if (member === this.member) return this.#system.to(target as Name<never>)
    return refOfName(
      this.#system,
      `${target} at ${member}`,
      () => new MemberDirectory(this, member, target),
    )
  }

  // For the board.

  began(board: Ref<BoardMessages>): Iterable<string> {
    this.#board = board
    return this.#expected
  }

  opened(open: OpenLink): void {
    const { member } = open.peer
    // The peer knows that the former link has ended, even if this side has not noticed.
    this.#open.get(member)?.link.close(new KeelsonError('CLOSED', 'there is another connection'))
    this.#open.set(member, open)
    this.#sendKept(open)
    this.#waits.registered(member)
  }

  ended(open: OpenLink, { unanswered }: LinkEnd): void {
    const { member } = open.peer
    if (this.#open.get(member) === open) this.#open.delete(member)
    for (const { call, target, wasSent } of unanswered) {
      if (wasSent) this.#sentOnce.add(call)
      if (wasSent && call.id === undefined) call.fail(unknownOutcome(call, member))
      else this.#keep(member, { call, target })
    }
    for (const each of open.unplug()) this.#keep(member, each)
  }

  stopped(): void {
    this.#board = undefined
    const unsent = [...this.#unsent]
    this.#unsent.clear()
    for (const [member, calls] of unsent)
      for (const { call } of calls) call.fail(this.#lost(call, member))
  }

  /** Keeps a call for the next link. */
  #keep(member: string, unsent: UnsentCall): void {
    const { call } = unsent
    if (call.isSettled) return
    if (this.#board === undefined) {
      call.fail(this.#lost(call, member))
      return
    }
    const kept = this.#unsent.get(member) ?? new Set()
    this.#unsent.set(member, kept.add(unsent))
    // Of one that was sent its deadline says as much as that of any call.
    if (!this.#sentOnce.has(call)) call.late = () => notSubmitted(call, member)
    call.onceSettled(() => void kept.delete(unsent))
    // A new link may be there already, if the peer connected again before the old one had ended.
    const open = this.#open.get(member)
    if (open) this.#sendKept(open)
  }

  #lost(call: PendingCall, member: string): KeelsonError {
    return this.#sentOnce.has(call) ? unknownOutcome(call, member) : notSubmitted(call, member)
  }

  #sendKept(open: OpenLink): void {
    const { member } = open.peer
    const unsent = this.#unsent.get(member) ?? []
    this.#unsent.delete(member)
    for (const { call, target } of unsent) again(open.forwarder(target), call)
  }
}

const again = (forwarder: Process, call: PendingCall): void => {
  if (call.isSettled) return
  forwarder.owed.add(call)
  forwarder.deliver(call)
}

const unknownOutcome = ({ name }: PendingCall, member: string): KeelsonError =>
  new KeelsonError(
    'UNKNOWN_OUTCOME',
    `${name}: the connection to ${member} ended before the answer came`,
    { details: { reason: noConnection, message: name, member } },
  )

const notSubmitted = ({ name }: PendingCall, member: string): KeelsonError =>
  new KeelsonError(
    'NOT_SUBMITTED',
    `${name}: the connection to ${member} ended before it was sent`,
    {
      details: { reason: noConnection, message: name, member },
    },
  )

/** Where the name of a process at another member is looked up. */
class MemberDirectory implements Directory<Process> {
  readonly absence = noConnection
  readonly #members: Members
  readonly #member: string
  readonly #target: string

  constructor(members: Members, member: string, target: string) {
    this.#members = members
    this.#member = member
    this.#target = target
  }

  holderOf(): Process | undefined {
    return this.#members.forwarder(this.#member, this.#target)
  }

  /** For a name without a holder. */
  fault(): KeelsonError {
    const [member, target] = [this.#member, this.#target]
    return new KeelsonError(
      'NO_PROCESS',
      `${target} at ${member}: there is no connection to ${member}`,
      {
        details: { reason: noConnection, member, target },
      },
    )
  }

  awaitHolder(_name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    return this.#members.awaitLink(this.#member, ms, signal)
  }
}
