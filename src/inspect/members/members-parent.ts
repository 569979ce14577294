/**
 * The parent of members: carries out the orders of its plan on processes and on a clock. It has no
 * data and opens no folder.
 */
import type { Cancel, Clock } from '../../clock.ts'
import type { Logger } from '../../runtime/index.ts'
import { checkMembersOptions } from '../../supervisors/index.ts'
import type { EndSignal } from '../command/environment.ts'
import type { FromMember, ToMember } from './member-message.ts'
import { type MemberEnd, MembersPlan, type Order } from './members-plan.ts'

/** The processes of members. Each has one at most. None of these functions throws. */
export interface MemberProcesses {
  /** Starts the process of a member. `hear` is called until its `end`, which comes once. */
  start(
    member: string,
    hear: {
      readonly said: (message: FromMember) => void
      readonly ended: (end: MemberEnd) => void
    },
  ): void
  /** Sends a message, unless the process has ended. */
  send(member: string, message: ToMember): void
  /** Ends the process by a signal that it cannot handle, even if it is stopped. */
  kill(member: string): void
}

/** The ports of a parent. */
export type ParentPorts = {
  readonly clock: Clock
  readonly log: Logger
  readonly processes: MemberProcesses
  /** Called once, when all members are ready. `line` is that of one of them. */
  readonly announce: (line: string) => void
}

/** A parent. It begins at once. */
export class MembersParent {
  /** Resolves with the exit status when no process is left. */
  readonly finished: Promise<number>
  readonly #ports: ParentPorts
  readonly #plan: MembersPlan
  #finish: (status: number) => void = () => undefined
  #line = ''
  #cancelTick: Cancel = () => undefined
  #cancelHold: Cancel = () => undefined
  readonly #waits = new Map<string, Cancel>()

  constructor(names: readonly string[], ports: ParentPorts) {
    this.#ports = ports
    this.#plan = new MembersPlan(names, checkMembersOptions())
    this.finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.#follow(this.#plan.begin(ports.clock.monotonic()))
    this.#tickLater()
  }

  /** A signal that ends all: the first one in order, the second one at once. */
  signalled(signal: EndSignal): void {
    this.#follow(this.#plan.signalled(signal))
  }

  /** SIGHUP: restarts the members one after another. */
  hungUp(): void {
    this.#follow(this.#plan.hungUp())
  }

  #said(name: string, message: FromMember): void {
    const { clock } = this.#ports
    if (message.keelson === 'alive') this.#follow(this.#plan.alive(name, message.isInspected))
    else if (message.keelson === 'joined')
      this.#follow(this.#plan.joined(name, message.options, clock.monotonic()))
    else if (message.keelson === 'judged') this.#follow(this.#plan.judged(name, message.wouldBlock))
    else {
      this.#line = message.line
      this.#follow(this.#plan.ready(name))
    }
  }

  #follow(orders: readonly Order[]): void {
    for (const order of orders) this.#do(order)
  }

  #do(order: Order): void {
    const { clock, log, processes, announce } = this.#ports
    if (order.to === 'say') log[order.level](order.text)
    else if (order.to === 'announce') announce(this.#line)
    else if (order.to === 'finish') this.#end(order.status)
    else if (order.to === 'start') this.#start(order.member)
    else if (order.to === 'kill') processes.kill(order.member)
    else if (order.to === 'hold') {
      this.#cancelHold()
      const unjudged = (): void => this.#follow(this.#plan.unjudged(order.member))
      this.#cancelHold = clock.after(order.ms, unjudged)
    } else if (order.to === 'wait') {
      const { member, ms } = order
      const waited = (): void => this.#follow(this.#plan.waited(member, clock.monotonic()))
      this.#waits.set(member, clock.after(ms, waited))
    } else processes.send(order.member, { keelson: order.to })
  }

  #start(member: string): void {
    const { clock, processes } = this.#ports
    processes.start(member, {
      said: (message) => this.#said(member, message),
      ended: (end) =>
        this.#follow(this.#plan.ended(member, end, clock.monotonic(), clock.random())),
    })
  }

  #tickLater(): void {
    const tick = (): void => {
      this.#follow(this.#plan.tick())
      this.#tickLater()
    }
    this.#cancelTick = this.#ports.clock.after(this.#plan.tickMs, tick)
  }

  #end(status: number): void {
    this.#cancelTick()
    this.#cancelHold()
    for (const cancel of this.#waits.values()) cancel()
    this.#finish(status)
  }
}
