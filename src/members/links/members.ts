/**
 * The other members of a cluster, for code of this one: `member('b').ref('mailer')` is a ref of a
 * process there. It knows which links are open, and keeps the calls that a link has not taken, or
 * that may be repeated, until there is another link or their time ends.
 */

import { KeelsonError } from '../../errors.ts'
import {
  type ChildSpec,
  callAgain,
  castMessage,
  Envelope,
  type HolderWait,
  isCall,
  kernelOf,
  kinds,
  type Message,
  type Name,
  NameWaits,
  name,
  type Process,
  type Ref,
  refOfName,
  type System,
  send,
} from '../../runtime/index.ts'
import type { AnyMessages, Member, MemberLinks, Reach } from '../../supervisors/index.ts'
import { FormerOwners } from './former-owners.ts'
import { KeptCalls, type Place, unknownOutcome } from './kept-calls.ts'
import type { LinkEnd, LinkWaits } from './link.ts'
import { type Greeting, isIdentifier, nameMax } from './link-message.ts'
import type { OutboxLimits } from './link-outbox.ts'
import type { OpenLink, Unsent } from './link-process.ts'
import { isMoved, linkFull } from './link-refusals.ts'
import type { LinkTransport } from './link-transport.ts'
import { MemberDirectory } from './member-directory.ts'
import { Refusals } from './refusals.ts'
import { OwnerDirectory, Ownership, type ShardLinks } from './shard-owners.ts'
import { type Messages as BoardMessages, type Linked, linksTree } from './switchboard.ts'

/** The options of the members. */
export type MembersOptions = {
  readonly system: System
  /** The name of a process of the links; by default its word alone. */
  readonly named?: Linked['named']
  readonly cluster: string
  /** The name of this member. */
  readonly member: string
  readonly incarnation: string
  readonly transport: LinkTransport
  /** Which process another member reaches by a name; any that has the name by default. */
  readonly reach?: Reach
  /** Called when a link has ended. */
  readonly onUnlinked?: (member: string) => void
  /** Whether a peer may be linked to; any with the right name by default. */
  readonly admits?: (peer: Pick<Greeting, 'member' | 'incarnation'>) => boolean
  /** The greatest kind of message that it says it knows; for tests with older members. */
  readonly knows?: number
  /** The bounds of what waits for a member; for tests. */
  readonly limits?: OutboxLimits
}

/** One link. */
export type LinkStatus = {
  readonly member: string
  readonly incarnation: string
} & LinkWaits

/** A member that closes waits so long for an owner of a shard, in ms: all members may end. */
const lastWaitMs = 1_000

/** So many calls wait for an owner of a shard, beside the calls of its former one. */
const waitingMax = 1_024

/** The members of a cluster. */
export class Members implements Linked, MemberLinks {
  readonly named: Linked['named']
  readonly cluster: string
  readonly member: string
  readonly incarnation: string
  readonly transport: LinkTransport
  readonly reach: Reach
  readonly admits?: NonNullable<MembersOptions['admits']>
  readonly knows?: number
  readonly limits?: OutboxLimits
  readonly #system: System
  readonly #waits: NameWaits
  readonly #open = new Map<string, OpenLink>()
  readonly #expected = new Set<string>()
  readonly #kept: KeptCalls
  readonly #refusals: Refusals
  readonly #ownership: Ownership
  readonly #onUnlinked = new Set<(member: string) => void>()
  readonly #onAnswered: (() => void)[] = []
  /** Since when each linked member has said what it has. */
  readonly #readySince = new Map<string, number>()
  readonly #former = new FormerOwners((shard) => this.#reached(shard))
  #isReady = false
  /** This member closes, and no longer waits for owners of shards. */
  #hasGivenUp = false
  #whenGivenUp: () => void = () => undefined
  /** Resolves when this member closes and waits no longer for shards that nobody has. */
  readonly givenUp = new Promise<void>((resolve) => (this.#whenGivenUp = resolve))
  #board: Ref<BoardMessages> | undefined

  constructor(options: MembersOptions) {
    const { system, reach = (name) => system.to(name as Name<never>) } = options
    this.named = options.named ?? name
    this.cluster = options.cluster
    this.member = options.member
    this.incarnation = options.incarnation
    this.transport = options.transport
    this.reach = reach
    if (options.admits !== undefined) this.admits = options.admits
    if (options.knows !== undefined) this.knows = options.knows
    if (options.limits !== undefined) this.limits = options.limits
    this.#system = system
    this.#waits = new NameWaits(kernelOf(system))
    this.#kept = new KeptCalls(system.clock)
    this.#refusals = new Refusals(system.clock, (shard) => this.#reached(shard))
    if (options.onUnlinked) this.#onUnlinked.add(options.onUnlinked)
    this.#ownership = new Ownership(options.member)
    this.#ownership.onMoved((shard) => this.#moved(shard))
  }

  /** The tree of the links. */
  childSpec(): ChildSpec {
    return linksTree(this)
  }

  /** The members that this one is linked to, and what waits for each. */
  get status(): readonly LinkStatus[] {
    return [...this.#open].map(([member, { peer, link }]) => ({
      member,
      incarnation: peer.incarnation,
      ...link.status,
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
    return { name, ref: (target) => this.#ref(name, target) }
  }

  /** There is a member of that name: links are made with it from now on. */
  expect(name: string): void {
    if (name === this.member || this.#expected.has(name)) return
    this.#expected.add(name)
    if (this.#board) send(this.#board, 'expect', name)
  }

  /** This start of a member has lost its shards, even if its connection is still there. */
  lost(member: string, incarnation: string): void {
    const open = this.#open.get(member)
    if (open?.peer.incarnation !== incarnation) return
    open.link.close(new KeelsonError('CLOSED', `the lease of ${member} has ended`))
  }

  /** The names of the others, whether they run or not. */
  get others(): readonly string[] {
    return [...this.#expected]
  }

  /** Whether there is a link to a member. */
  isLinked(member: string): boolean {
    return this.#open.has(member)
  }

  /** The process that stands for one of another member; `undefined` without a link to that. */
  forwarder(member: string, target: string, shard?: number): Process | undefined {
    return this.#open.get(member)?.forwarder(target, shard)
  }

  /** Waits for a link to a member. */
  awaitLink(member: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    return this.#waits.add(member, () => this.#open.has(member), ms, signal)
  }

  /** The name of the member that has the shard open; `undefined`: nobody now, as far as it is known. */
  ownerOf(shard: number): string | undefined {
    return this.#ownership.ownerOf(shard)
  }

  /**
   * Resolves when the others know which shards this member has now, and when their earlier messages have
   * come. It may stay pending if a link ends before that.
   */
  async exchanged(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ link }) => link.exchanged()))
  }

  /** Resolves after that when none waits for an answer of this member. It may stay pending, too. */
  async answered(): Promise<void> {
    await this.exchanged()
    while ([...this.#open.values()].some(({ link }) => link.status.asked > 0))
      await new Promise<void>((resolve) => this.#onAnswered.push(resolve))
  }

  /** Whether this member has the shard. */
  isHere(shard: number): boolean {
    return this.#ownership.own.has(shard)
  }

  /** Calls `listener` with each shard that has another owner, or none. Returns a function that ends this. */
  onMoved(listener: (shard: number) => void): () => void {
    return this.#ownership.onMoved(listener)
  }

  /** Calls `listener` with each member whose link has ended. */
  onUnlinked(listener: (member: string) => void): () => void {
    this.#onUnlinked.add(listener)
    return () => void this.#onUnlinked.delete(listener)
  }

  /**
   * The ref of the process with that name at the owner of the shard, looked up at each use. A call
   * waits within its time while there is no owner, and a minute if it has no deadline. Then it
   * rejects with `SHARD_DOWN` (`details.state`: `elsewhere`), and with `BUSY` if 1,024 wait. A cast waits with them, for 30 s.
   * The rest is as of `Member.ref`, and a call with an `id` is repeated at the next owner.
   */
  refOf<M = unknown, S = unknown>(shard: number, target: string): Ref<M, S> {
    expectName(target, `the owner of shard ${shard}`)
    const title = `${target} at the owner of shard ${shard}`
    const directory = new OwnerDirectory(this.#shardLinks, shard, target)
    return refOfName(this.#system, title, () => directory) as Ref<M, S>
  }

  /**
   * Forwards a call or a cast to the process with that name at the owner of the shard. Scenario:
   * the message was sent to a process here, and the shard has moved before it was handled. While
   * the shard has no owner, calls are kept, and up to 65,536 casts.
   */
  pass(shard: number, target: string, message: Message): void {
    this.#keep(shard, { message, target, shard })
  }

  /** This member can take shards over: its tree runs. The others get to know it. */
  ready(): void {
    this.#isReady = true
    for (const { link } of this.#open.values()) link.owns(this.#ownership.own)
  }

  /** Whether a linked member has said for so long, in ms, which shards it has. */
  isReady(member: string, forMs: number): boolean {
    const since = this.#readySince.get(member)
    return since !== undefined && this.#system.clock.monotonic() - since >= forMs
  }

  /** This member closes: soon nothing here waits any longer for shards that nobody has. */
  closes(): void {
    const giveUp = (): void => {
      this.#hasGivenUp = true
      this.#giveUp()
      this.#whenGivenUp()
    }
    this.#system.clock.after(lastWaitMs, giveUp, { holdsProcess: false })
  }

  /**
   * Whether earlier messages to the owner of the shard wait to be sent. Later messages then wait
   * too, even if the owner is this member: they must not overtake.
   */
  hasWaiting(shard: number): boolean {
    return this.#former.owe(shard) || this.#kept.has(shard) || this.#waits.count(shard) > 0
  }

  /**
   * Whether no member has the shard and this member, which closes, has stopped waiting for an
   * owner.
   */
  isLost(shard: number): boolean {
    return this.#hasGivenUp && this.ownerOf(shard) === undefined
  }

  #giveUp(): void {
    const isLost = (place: unknown): boolean => typeof place === 'number' && this.isLost(place)
    this.#waits.giveUp(isLost)
    this.#kept.failAll(isLost)
  }

  /** Notes whether this member has the shard open, and notifies the other members. */
  own(shard: number, has: boolean): void {
    if (!this.#ownership.setOwn(shard, has)) return
    for (const { link } of this.#open.values()) link.owns(this.#ownership.own)
  }

  #ref<M, S>(member: string, target: string): Ref<M, S> {
    expectName(target, member)
    if (member === this.member) return this.#system.to(target as Name<M>) as Ref<M, S>
    return refOfName(
      this.#system,
      `${target} at ${member}`,
      () => new MemberDirectory(this, member, target),
    ) as Ref<M, S>
  }

  // For the board.

  began(board: Ref<BoardMessages>): Iterable<string> {
    this.#board = board
    return this.#expected
  }

  opened(open: OpenLink): void {
    const { link, peer } = open
    const { member, incarnation } = peer
    // The peer knows that the former link has ended, even if this side has not noticed.
    this.#open.get(member)?.link.close(new KeelsonError('CLOSED', 'there is another connection'))
    this.#open.set(member, open)
    if (this.#isReady || this.#ownership.own.size > 0) link.owns(this.#ownership.own)
    const hear = (): void => {
      if (this.#open.get(member) === open) this.#ownership.said(member, link.owned)
    }
    link.onOwned = () => {
      const { clock } = this.#system
      if (!this.#readySince.has(member)) this.#readySince.set(member, clock.monotonic())
      hear()
    }
    link.onAnswered = () => this.#noteAnswer()
    link.onMoved = ({ call, target, shard }, reason) => {
      // An owner that leaves in order answers with other codes.
      if (isMoved(reason)) this.#refused(member, shard)
      else this.#kept.lost(call, reason.code === 'EXITED' ? incarnation : undefined)
      this.#keep(member, { message: call, target, shard })
    }
    link.orderOf = (message) => this.#kept.orderOf(message)
    link.onReturned = ({ shard, target, name, order, payload }) => {
      const message = new Envelope(kinds.cast, name, payload)
      this.#kept.returned(message, order)
      this.#refused(member, shard)
      this.#keep(member, { message, target, shard })
    }
    this.#sendKept(member)
    this.#waits.registered(member)
    // The peer may have said it since it was greeted.
    if (link.hasSaidOwned) link.onOwned()
    else hear()
  }

  ended(open: OpenLink, { unanswered }: LinkEnd): void {
    const { member, incarnation } = open.peer
    if (this.#open.get(member) === open) {
      this.#open.delete(member)
      this.#readySince.delete(member)
      this.#ownership.said(member, new Set())
    }
    for (const { call, target, shard, wasSent } of unanswered) {
      if (wasSent) this.#kept.lost(call, incarnation)
      if (wasSent && call.id === undefined) call.fail(unknownOutcome(call, member))
      else this.#keep(member, { message: call, target, shard })
    }
    for (const each of open.unplug()) this.#keep(member, each)
    this.#former.ended(open)
    this.#noteAnswer()
    for (const listener of this.#onUnlinked) listener(member)
  }

  #noteAnswer(): void {
    for (const resolve of this.#onAnswered.splice(0)) resolve()
  }

  stopped(): void {
    this.#board = undefined
    this.#kept.failAll()
  }

  /** Keeps a message that was for `at` for the next link to that, or to the owner of its shard. */
  #keep(at: Place, unsent: Unsent): void {
    const place = unsent.shard ?? at
    if (this.#board === undefined) {
      this.#kept.fail(unsent, place)
      return
    }
    this.#kept.keep(place, unsent)
    if (typeof place === 'number' && isCall(unsent.message))
      this.#former.settled(place, unsent.message)
    // A new link may be there already, if the peer connected again before the old one had ended.
    this.#sendKept(place)
    if (this.#hasGivenUp) this.#giveUp()
  }

  /** A member has refused a message for the owner of a shard, and may be what is the owner now. */
  #refused(member: string, shard: number | undefined): void {
    if (shard !== undefined && this.ownerOf(shard) === member) this.#refusals.refused(shard)
  }

  #moved(shard: number): void {
    this.#refusals.moved(shard)
    const owner = this.ownerOf(shard)
    const present = owner === undefined ? undefined : this.#open.get(owner)
    const links = [...this.#open.values()]
    this.#former.moved(shard, owner !== undefined, present, links)
    this.#sendKept(shard)
    for (const open of links)
      if (open !== present)
        for (const { message, target } of open.takeBack(shard)) this.pass(shard, target, message)
    this.#reached(shard)
  }

  #reached(shard: number): void {
    this.#sendKept(shard)
    this.#waits.registered(shard)
  }

  /** The owner of a shard that later calls may be sent to. */
  #nextOwner(shard: number): string | undefined {
    const waits = this.#former.owe(shard) || this.#refusals.pauses(shard)
    return waits ? undefined : this.ownerOf(shard)
  }

  /** Sends what is kept for a place, if it can be reached. */
  #sendKept(place: Place): void {
    const member = typeof place === 'string' ? place : this.#nextOwner(place)
    if (member === this.member) {
      for (const { message, target } of this.#kept.take(place)) {
        this.#kept.arrived(message)
        this.#sendHere(target, message)
      }
      return
    }
    const open = member === undefined ? undefined : this.#open.get(member)
    if (open === undefined) return
    for (const { message, target, shard } of this.#kept.take(place))
      again(open.forwarder(target, shard), message)
  }

  #sendHere(target: string, message: Message): void {
    const ref = this.reach(target)
    if (ref) this.#send(ref, message)
    else if (isCall(message))
      message.fail(new KeelsonError('NO_PROCESS', `${message.name}: there is no process ${target}`))
  }

  #send(ref: Ref<AnyMessages>, message: Message): void {
    if (isCall(message)) callAgain(ref, message, this.#system.clock)
    else castMessage(ref, message)
  }

  get #shardLinks(): ShardLinks {
    return {
      ownerOf: (shard) => this.#nextOwner(shard),
      forwarder: (member, target, shard) => this.forwarder(member, target, shard),
      awaitOwner: (shard, ms, signal) => this.#awaitOwner(shard, ms, signal),
      here: (shard, target) =>
        this.#nextOwner(shard) === this.member ? this.reach(target) : undefined,
    }
  }

  #awaitOwner(shard: number, ms: number, signal: AbortSignal | undefined): HolderWait {
    if (this.#waits.count(shard) >= waitingMax)
      throw linkFull(`too many calls wait for an owner of shard ${shard}`, { shard })
    const isReached = (): boolean => {
      const owner = this.#nextOwner(shard)
      return owner !== undefined && (owner === this.member || this.#open.has(owner))
    }
    return this.#waits.add(shard, isReached, this.isLost(shard) ? 0 : ms, signal)
  }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
const expectName = (target: unknown, at: string): void => {
  if (typeof target === 'string' && target !== '' && target.length <= nameMax) return
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    `the name of a process at ${at}: expected text of 1 to ${nameMax} characters`,
  )
}

/** Sends a message that a link has taken before. */
const again = (forwarder: Process, message: Message): void => {
  if (isCall(message)) forwarder.owed.add(message)
  forwarder.deliver(message)
}
