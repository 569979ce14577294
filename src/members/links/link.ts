/**
 * One link, from its connection on: the greeting, then messages in both directions. The calls that
 * the peer has to answer are here, each with its caller: they settle by its answer, by their own
 * deadlines, or by the end of the link. Nothing that a peer sends can do more than end its link.
 */

import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { CallPlace, ExitReason, Message, PendingCall, Tracer } from '../../runtime/index.ts'
import type { TraceContext } from '../../trace-context.ts'
import { bodyMax, FrameReader } from './link-frames.ts'
import {
  callFrame,
  type Greeting,
  greetingFrame,
  heldFrame,
  idFrame,
  type LinkMessage,
  linkKinds,
  monitorFrame,
  nameMax,
  ownsFrame,
  readGreeting,
  readMessage,
  reasonFrame,
  replyFrame,
  returnedFrame,
  sendFrame,
  tracedFrame,
} from './link-message.ts'
import { LinkOutbox, type OutboxLimits, outboxLimits } from './link-outbox.ts'
import { isMoved } from './link-refusals.ts'
import type { LinkConnection } from './link-transport.ts'

/** The messages of a peer that ask for something here. */
export type PeerRequest = Exclude<
  LinkMessage,
  {
    readonly kind:
      | typeof linkKinds.reply
      | typeof linkKinds.failed
      | typeof linkKinds.down
      | typeof linkKinds.owns
      | typeof linkKinds.returned
      | typeof linkKinds.held
  }
>

/** Does what the peer asks for. */
export interface PeerService {
  /** @throws KeelsonError `INVALID_ARGUMENT` for a request that no peer makes */
  take(request: PeerRequest): void
  /** The calls that it has not answered. */
  readonly asked: number
  /** The link has ended. It takes no more answers. */
  end(): void
}

/** A cast to the owner of a shard that the peer leaves to the next one. */
export type ReturnedCast = Extract<LinkMessage, { readonly kind: typeof linkKinds.returned }>

/** The parts of a link. */
export type LinkTerms = {
  readonly connection: LinkConnection
  readonly clock: Clock
  readonly own: Greeting
  /** Whether this peer is the right one. @throws KeelsonError with the reason why not */
  readonly admit: (peer: Greeting) => void
  readonly serve: (link: Link) => PeerService
  readonly limits?: OutboxLimits
  /** The tracer of this member, if it has one now. */
  readonly tracer?: () => Tracer | undefined
}

/** The counts of waiting messages and calls of a link. */
export type LinkWaits = {
  /** Messages that wait to be sent, and their bytes. */
  readonly messages: number
  readonly bytes: number
  /** Calls that the peer has not answered. */
  readonly calls: number
  /** Calls of the peer that have no answer yet. */
  readonly asked: number
}

/** A call at the peer. */
export type SentCall = {
  readonly call: PendingCall
  readonly target: string
  /** The call is for the owner of this shard; `undefined`: it is for the peer itself. */
  readonly shard: number | undefined
  /** The number of its frame. */
  readonly frame: number
  /** The link no longer listens to how it settles: it is answered, or goes another way. */
  readonly unlisten: () => void
}

/** The end of a link, and the calls that the peer has not answered, in the order of their ids. */
export type LinkEnd = {
  readonly reason: KeelsonError
  /** Whether it was the peer, or what carries links, that ended it without a fault. */
  readonly isPlain: boolean
  readonly unanswered: readonly (SentCall & { readonly wasSent: boolean })[]
}

/** The codes of what ends with its member. */
const ends: ReadonlySet<string> = new Set(['EXITED', 'CLOSED', 'NO_PROCESS', 'SHARD_DOWN'])

/** A name that no process has: the peer answers a monitor of this name at once. */
const noName = '\0'

/** A greeting is small. */
const greetingMax = 1_024

/** A peer that does not greet for so long is none, in ms. */
const greetingMs = 5_000

/** One link. */
export class Link {
  /** Resolves with the greeting of the peer. Rejects if the link ends before. */
  readonly greeted: Promise<Greeting>
  /** Called once, when the link has ended after the greeting. */
  onEnd: (end: LinkEnd) => void = () => undefined
  /** Called when a call of the peer has its answer, which is on its way, or needs none. */
  onAnswered: () => void = () => undefined
  /**
   * Called when the peer, no longer the owner of a shard, leaves a call to the next owner; with the
   * reason.
   */
  onMoved: (sent: SentCall, reason: KeelsonError) => void = () => undefined
  /** Says the order of a message to the owner of a shard, which it keeps if it comes back. */
  orderOf: (message: Message) => number = () => 0
  /** Called with a cast that the peer returns. */
  onReturned: (cast: ReturnedCast) => void = () => undefined
  /** The shards that the peer says it has. */
  owned: ReadonlySet<number> = new Set()
  /** Whether it has said that. */
  hasSaidOwned = false
  /** Called when the peer has said which shards it has. */
  onOwned: () => void = () => undefined
  /** Called when there is room for messages of users again. */
  onRoom: () => void = () => undefined
  readonly #terms: LinkTerms
  readonly #outbox: LinkOutbox
  readonly #reader = new FrameReader()
  readonly #calls = new Map<number, SentCall>()
  readonly #monitors = new Map<number, (reason: ExitReason) => void>()
  /** The shards for whose owner the peer was sent messages that it may not have returned. */
  readonly #sentTo = new Set<number>()
  #service: PeerService | undefined
  #peer: Greeting | undefined
  #greet!: { readonly done: (peer: Greeting) => void; readonly failed: (error: unknown) => void }
  #lastId = 0
  #hasEnded = false

  constructor(terms: LinkTerms) {
    const { connection, clock, own, limits = outboxLimits } = terms
    this.#terms = terms
    this.greeted = new Promise((done, failed) => {
      this.#greet = { done, failed }
    })
    this.greeted.catch(() => undefined)
    this.#outbox = new LinkOutbox(connection, clock, limits, () => this.onRoom())
    connection.open({
      bytes: (bytes) => this.#read(bytes),
      ended: () => this.#end(new KeelsonError('CLOSED', 'the connection has ended'), true),
    })
    const silent = (): void => this.#end(new KeelsonError('TIMEOUT', 'it did not greet'))
    const cancel = clock.after(greetingMs, silent, { holdsProcess: false })
    this.greeted.then(cancel, cancel)
    this.#outbox.addOwn(greetingFrame(own))
  }

  /** Whether it has ended. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Messages that wait to be sent, calls that the peer has not answered, and calls of the peer. */
  get status(): LinkWaits {
    return { ...this.#outbox.waiting, calls: this.#calls.size, asked: this.#service?.asked ?? 0 }
  }

  /** Whether answers take so much room that no further question of the peer should be taken. */
  get owesMuch(): boolean {
    return this.#outbox.owesMuch
  }

  /** The most calls of the peer without an answer, and its most monitors: as answers that wait. */
  get owedMax(): number {
    return (this.#terms.limits ?? outboxLimits).ownMessages
  }

  /** Resolves when the peer has read what was sent before, and its messages from before are read. */
  exchanged(): Promise<void> {
    return new Promise((resolve) => void this.monitor(noName, () => resolve()))
  }

  /**
   * Resolves when the peer, which has the shard no longer, has returned what it does of the messages to
   * its owner. `undefined`: since this was asked last it was sent none.
   */
  returned(shard: number): Promise<void> | undefined {
    return this.#sentTo.delete(shard) ? this.exchanged() : undefined
  }

  /** Resolves when the system has taken all messages, or the link has ended. */
  left(): Promise<void> {
    return this.#outbox.left()
  }

  /** Ends the link. */
  close(reason: KeelsonError): void {
    this.#end(reason, true)
  }

  /** The calls to the owner of a shard that the peer has not answered. */
  callsTo(shard: number): readonly PendingCall[] {
    return [...this.#calls.values()].flatMap((sent) => (sent.shard === shard ? [sent.call] : []))
  }

  // For callers here.

  /**
   * Sends a call, which then waits for the answer of the peer. False: there is no room. One that
   * cannot be sent has failed.
   */
  call(target: string, shard: number | undefined, call: PendingCall): boolean {
    if (call.isSettled) return true
    if (shard !== undefined) this.orderOf(call)
    const id = this.#lastId + 1
    const { slot, dueAt } = call
    const leftMs = slot < 0 ? Infinity : Math.max(0, dueAt - this.#terms.clock.monotonic())
    const frame = this.#framed(linkKinds.call, call.name, call, () =>
      this.#traced(call, false, callFrame(id, target, call, leftMs)),
    )
    if (frame === undefined) return true
    if (!this.#outbox.hasRoom(frame.length)) return false
    this.#lastId = id
    this.#outbox.add(frame)
    if (shard !== undefined) this.#sentTo.add(shard)
    const unlisten = call.onceSettled(() => {
      if (this.#calls.delete(id)) this.#sendOwn(idFrame(linkKinds.abort, id))
    })
    this.#calls.set(id, { call, target, shard, frame: this.#outbox.added, unlisten })
    // Here and not with the process that took it: the end of that one says nothing about the call.
    call.list?.remove(call)
    call.late = undefined
    call.there = undefined
    return true
  }

  /** Sends a cast or an info. False: there is no room. @throws KeelsonError if it cannot be sent */
  send(
    kind: typeof linkKinds.cast | typeof linkKinds.info,
    target: string,
    shard: number | undefined,
    message: Message,
  ): boolean {
    this.#expectKnown(kind, message.name)
    const order = shard === undefined ? 0 : this.orderOf(message)
    const frame = this.#traced(message, true, sendFrame(kind, target, order, message))
    if (!this.#outbox.hasRoom(frame.length)) return false
    this.#outbox.add(frame)
    if (shard !== undefined) this.#sentTo.add(shard)
    return true
  }

  /** Monitors a process of the peer. Returns a function that ends this. */
  monitor(target: string, onDown: (reason: ExitReason) => void): () => void {
    if (this.#knows < linkKinds.monitor) return () => undefined
    const id = ++this.#lastId
    this.#monitors.set(id, onDown)
    this.#sendOwn(monitorFrame(id, target))
    return () => {
      if (this.#monitors.delete(id)) this.#sendOwn(idFrame(linkKinds.demonitor, id))
    }
  }

  /** Tells the peer which shards this member has. */
  owns(shards: Iterable<number>): void {
    if (this.#knows >= linkKinds.owns) this.#sendOwn(ownsFrame(shards))
  }

  // For the service of the peer.

  /** Answers a call of the peer. An answer that cannot be sent fails the call. */
  reply(id: number, value: unknown, position: { shard: number; lsn: number } | undefined): void {
    try {
      this.#sendOwn(replyFrame(id, value, position))
      this.onAnswered()
    } catch (error) {
      this.fail(id, error)
    }
  }

  /** Fails a call of the peer. */
  fail(id: number, error: unknown): void {
    this.#sendOwn(reasonFrame(linkKinds.failed, id, error))
    this.onAnswered()
  }

  /** Says to the peer where a call of it waits: the text of its timeout has that. */
  held(id: number, place: CallPlace): void {
    if (this.#knows >= linkKinds.held && !this.owesMuch) this.#sendOwn(heldFrame(id, place))
  }

  /** Tells the peer that a process that it monitors has ended. */
  down(id: number, reason: ExitReason): void {
    this.#sendOwn(reasonFrame(linkKinds.down, id, reason))
  }

  /**
   * Returns a cast of the peer. It is lost if the link has ended or the peer reads nothing: passed on
   * from here it could come after later messages of its sender. False: the peer cannot take it back,
   * or there is no room in a message for its place.
   */
  giveBack(shard: number, target: string, order: number, cast: Message): boolean {
    if (this.#knows < linkKinds.returned) return false
    try {
      if (!this.owesMuch) this.#sendOwn(returnedFrame(shard, target, order, cast))
      return true
    } catch {
      return false
    }
  }

  get #knows(): number {
    return this.#peer?.knows ?? 0
  }

  #expectKnown(kind: number, name: string): void {
    if (name.length > nameMax)
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        `a message has a name of ${name.length} characters`,
      )
    if (this.#knows >= kind) return
    const { member } = this.#peer ?? {}
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `${name}: the member ${member} is of an older version, which does not know such a message`,
      { details: { member, message: name } },
    )
  }

  #framed(kind: number, name: string, call: PendingCall, make: () => Buffer): Buffer | undefined {
    try {
      this.#expectKnown(kind, name)
      return make()
    } catch (error) {
      call.fail(error)
      return undefined
    }
  }

  /** The frame of a message, after that of its place in a trace if it has one. */
  #traced({ context }: Message, isLate: boolean, frame: Buffer): Buffer {
    const tracer = context && this.#terms.tracer?.()
    if (context === undefined || tracer === undefined || this.#knows < linkKinds.traced)
      return frame
    let trace: TraceContext | undefined
    context.run(() => {
      trace = tracer.place()
    })
    return trace ? Buffer.concat([tracedFrame({ trace, isLate }), frame]) : frame
  }

  #sendOwn(frame: Buffer): void {
    if (this.#hasEnded || this.#outbox.addOwn(frame)) return
    this.#end(new KeelsonError('BUSY', 'the peer does not read what it is sent'))
  }

  #read(bytes: Buffer): void {
    if (this.#hasEnded) return
    try {
      const max = (): number => (this.#peer === undefined ? greetingMax : bodyMax)
      this.#reader.read(bytes, max, (body) => {
        if (!this.#hasEnded) this.#take(body)
      })
    } catch (error) {
      this.#end(
        isKeelsonError(error) ? error : new KeelsonError('INVALID_ARGUMENT', reasonText(error)),
      )
    }
  }

  #take(body: Buffer): void {
    if (this.#peer === undefined) {
      const peer = readGreeting(body)
      this.#terms.admit(peer)
      this.#peer = peer
      this.#service = this.#terms.serve(this)
      this.#greet.done(peer)
      return
    }
    const message = readMessage(body)
    switch (message.kind) {
      case linkKinds.reply: {
        const call = this.#answered(message.id)?.call
        if (call === undefined) return
        call.position = message.position
        call.reply(message.value)
        return
      }
      case linkKinds.failed:
        this.#failed(message.id, message.error)
        return
      case linkKinds.down: {
        this.#expectUsed(message.id)
        const onDown = this.#monitors.get(message.id)
        this.#monitors.delete(message.id)
        onDown?.(message.reason)
        return
      }
      case linkKinds.owns:
        this.owned = message.shards
        this.hasSaidOwned = true
        this.onOwned()
        return
      case linkKinds.returned:
        this.onReturned(message)
        return
      case linkKinds.held: {
        this.#expectUsed(message.id)
        const call = this.#calls.get(message.id)?.call
        if (call) call.there = { title: message.title, handling: message.handling }
        return
      }
      default:
        this.#service?.take(message)
    }
  }

  /** The call of an answer; `undefined` if its caller waits no longer. */
  #answered(id: number): SentCall | undefined {
    this.#expectUsed(id)
    const sent = this.#calls.get(id)
    this.#calls.delete(id)
    sent?.unlisten()
    return sent
  }

  #failed(id: number, error: ExitReason): void {
    const sent = this.#answered(id)
    if (sent === undefined) return
    if (isKeelsonError(error) && this.#isMoved(sent, error)) this.onMoved(sent, error)
    else sent.call.fail(error)
  }

  /**
   * Whether a call is for the owner that its shard has now: the peer has not taken it, and may have
   * the shard again, or the peer ends and may have taken it. In that case it needs an id.
   */
  #isMoved({ shard, call }: SentCall, error: KeelsonError): boolean {
    if (shard === undefined) return false
    if (isMoved(error)) return true
    return !this.owned.has(shard) && call.id !== undefined && ends.has(error.code)
  }

  #expectUsed(id: number): void {
    if (id > this.#lastId || id === 0)
      throw new KeelsonError('INVALID_ARGUMENT', 'a message of a link answers what was never asked')
  }

  #end(reason: KeelsonError, isPlain = false): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const { handed } = this.#outbox
    this.#outbox.close()
    this.#terms.connection.close()
    this.#service?.end()
    this.#greet.failed(reason)
    const sent = [...this.#calls.values()]
    for (const { unlisten } of sent) unlisten()
    this.#calls.clear()
    this.#monitors.clear()
    if (this.#peer === undefined) return
    const unanswered = sent.map((each) => ({ ...each, wasSent: each.frame <= handed }))
    this.onEnd({ reason, isPlain, unanswered })
  }
}
