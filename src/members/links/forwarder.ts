/**
 * A local proxy for a process of another member. Code here sends to the proxy, monitors it and
 * links to it. The proxy hands each message to the link in the order of arrival. It ends as the
 * remote process does, or with `noconnection` when the link ends. While the link has no room, the
 * proxy takes no message, and calls fail with `BUSY`.
 */

import { type KeelsonError, reasonText } from '../../errors.ts'
import {
  type Behaviour,
  direct,
  type ExitReason,
  isCall,
  isExit,
  kinds,
  type Message,
  type PendingCall,
  type Process,
} from '../../runtime/index.ts'
import type { Link } from './link.ts'
import { linkKinds } from './link-message.ts'
import { linkFull } from './link-refusals.ts'

/** The reason of what ended because two members are not connected. */
export const noConnection = 'noconnection'

/** The argument of a forwarder. */
export type ForwarderTerms = {
  readonly link: Link
  readonly member: string
  /** The name of the process at that member. */
  readonly target: string
  /** The shard whose owner that member is, if its messages are for an owner, and not for a member. */
  readonly shard: number | undefined
  /** The link has no room. */
  readonly onFull: () => void
  /** It has ended with the process elsewhere: these messages go to the next one of that name. */
  readonly onLeft: (messages: readonly Message[]) => void
}

/** The behaviour of a forwarder. */
export class Forwarder implements Behaviour {
  readonly answersSys = false
  readonly process: Process
  readonly #terms: ForwarderTerms
  /** It announces the process, and was made with it. */
  readonly #began: Behaviour
  #unmonitor: (() => void) | undefined
  /** The message that waits for room. */
  #waiting: Message | undefined
  #handledBefore = 0

  /** Takes the place of the behaviour of `process`, which has not begun. */
  constructor(process: Process, terms: ForwarderTerms) {
    this.process = process
    this.#terms = terms
    this.#began = process.behaviour
    process.behaviour = this
    // The member decides about ids and positions: here every call passes.
    process.outputs = { ...direct, isDurable: true }
    // The end of the link is judged by `unplug`.
    process.trapping = true
    if (terms.shard === undefined) this.#monitor()
  }

  /**
   * A durable actor may be at rest until it is woken by a message. So one that is not watched before
   * is monitored behind the first message to it.
   */
  #monitor(): void {
    const { link, target, shard, onLeft } = this.#terms
    this.#unmonitor ??= link.monitor(target, (reason) => {
      // Later messages are for the actor that the next one wakes.
      const left = shard === undefined ? [] : this.#takeMailbox()
      this.process.end(reason)
      onLeft(left)
    })
  }

  get target(): string {
    return this.#terms.target
  }

  /** Its own number says nothing about the process elsewhere. */
  get title(): string {
    const { target, shard, member } = this.#terms
    return `${target} at ${member}${shard === undefined ? '' : `, the owner of shard ${shard}`}`
  }

  get shard(): number | undefined {
    return this.#terms.shard
  }

  /** Whether it had nothing to do since this was asked, and is not needed. */
  get isIdle(): boolean {
    const { handled } = this.process
    const wasIdle = handled === this.#handledBefore
    this.#handledBefore = handled
    return wasIdle && !this.isNeeded
  }

  /** Whether it has something to do, or is watched: a call watches it until it is answered. */
  get isNeeded(): boolean {
    const { depth, ties, busy } = this.process
    return depth > 0 || busy || ties.watchers.all.size > 0 || ties.links.all.size > 1
  }

  begin(): void {
    this.#began.begin()
    this.process.busy = false
    if (this.process.depth === 0) this.#monitor()
  }

  handle(message: Message): void {
    if (this.#forward(message)) return
    this.#waiting = message
    this.process.busy = true
    this.process.busySince = this.process.kernel.clock.now()
    this.#terms.onFull()
  }

  idle(): void {}

  ended(reason: ExitReason): void {
    this.#began.ended(reason)
    this.#unmonitor?.()
  }

  status(): 'waiting' {
    return 'waiting'
  }

  /** Whether calls are refused now. */
  set isFull(isFull: boolean) {
    this.process.refusal = isFull ? () => this.#busy() : undefined
  }

  /** The link has room again. */
  goOn(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    if (!this.#forward(waiting)) {
      this.#terms.onFull()
      return
    }
    this.#waiting = undefined
    this.process.busy = false
    this.process.proceed()
  }

  /** The link has ended. Returns the calls that it has not taken, in their order. */
  unplug(): readonly PendingCall[] {
    const calls = this.#takeMailbox().filter(isCall)
    this.process.end(noConnection)
    return calls
  }

  /** Takes out the calls and casts that the link has not taken, in order. It goes on with the others. */
  takeBack(): readonly Message[] {
    const { process } = this
    const isRouted = ({ kind }: Message): boolean => kind === kinds.call || kind === kinds.cast
    const hasWaited = this.#waiting !== undefined
    const left = this.#takeMailbox()
    for (const each of left) if (!isRouted(each)) process.mailbox.push(each)
    if (hasWaited) {
      process.busy = false
      process.proceed()
    }
    return left.filter(isRouted)
  }

  /** Takes out what the link has not taken, in order. The end of the process then fails no call. */
  #takeMailbox(): readonly Message[] {
    const { mailbox } = this.process
    const left = this.#waiting === undefined ? [] : [this.#waiting]
    this.#waiting = undefined
    for (let next = mailbox.shift(); next; next = mailbox.shift()) left.push(next)
    for (const call of left.filter(isCall)) call.list?.remove(call)
    return left
  }

  /** False: there is no room. */
  #forward(message: Message): boolean {
    const isTaken = this.#sent(message)
    if (isTaken) this.#monitor()
    return isTaken
  }

  #sent(message: Message): boolean {
    const { link, target, shard } = this.#terms
    if (isCall(message)) return link.call(target, shard, message)
    if (isExit(message)) this.#exit(message.payload.reason)
    const { kind, name } = message
    if (kind !== kinds.cast && kind !== kinds.info) return true
    try {
      return link.send(
        kind === kinds.cast ? linkKinds.cast : linkKinds.info,
        target,
        shard,
        message,
      )
    } catch (error) {
      const { process } = this
      process.kernel.logger.error(`${process}: ${name} was dropped: ${reasonText(error)}`, {
        pid: process.pid,
        reason: error,
      })
      return true
    }
  }

  /** Exit signals do not cross. One ends what stands for its target, as a process that traps none. */
  #exit(reason: ExitReason): void {
    if (reason !== 'normal') this.process.end(reason)
  }

  #busy(): KeelsonError {
    const { member } = this.#terms
    return linkFull(`${this.process}: too much waits to be sent to ${member}`, { member })
  }
}
