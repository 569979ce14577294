/**
 * Does for one peer what it asks for: calls and casts to processes of this member by their names,
 * and monitors of them. Messages are taken in the order in which they came, so each of the peer's
 * senders keeps its own. Its calls here, and its monitors, are bounded. It is apart from its only
 * importer, the switchboard, which knows peers and no messages.
 */

import type { Cancel } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  addressOf,
  type CallPlace,
  callNow,
  callOfPeer,
  castMessage,
  Envelope,
  type ExitReason,
  kinds,
  type Positioned,
  type Ref,
  type System,
  send,
  type TraceOrigin,
  tracerOf,
} from '../../runtime/index.ts'
import type { AnyMessages, Reach } from '../../supervisors/index.ts'
import type { Link, PeerRequest, PeerService } from './link.ts'
import { linkKinds } from './link-message.ts'
import { isMoved, linkFull, movedError } from './link-refusals.ts'

type Request<K extends number> = Extract<PeerRequest, { readonly kind: K }>

type SendRequest = Request<typeof linkKinds.cast | typeof linkKinds.info>

/** A cast of a peer. */
export class PeerCast extends Envelope {
  readonly #link: Link
  readonly #target: string
  readonly #order: number

  constructor(link: Link, { target, name, order, payload }: SendRequest) {
    super(kinds.cast, name, payload)
    this.#link = link
    this.#target = target
    this.#order = order
  }

  /** The shard has left before the cast was handled: its sender sends it to the next owner. False: it does not. */
  giveBack(shard: number): boolean {
    return this.#link.giveBack(shard, this.#target, this.#order, this)
  }
}

/** A call of the peer that can be ended, and where it waits, if a handler there is pending. */
type Asked = { readonly place?: CallPlace | undefined; fail(reason: unknown): unknown }

/** A call that waits for so long says where, in ms. Most timeouts are longer. */
const heldMs = 1_000
/** The most calls, the oldest ones, of which the peer hears each time. */
const heldMax = 100

/** The service of one peer. */
export class LocalService implements PeerService {
  readonly #system: System
  readonly #link: Link
  readonly #reach: Reach
  readonly #calls = new Map<number, Asked>()
  readonly #monitors = new Map<number, () => void>()
  #unheld: Cancel | undefined
  /** Where the next message is in a trace. */
  #origin: TraceOrigin | undefined

  constructor(system: System, link: Link, reach: Reach) {
    this.#system = system
    this.#link = link
    this.#reach = reach
  }

  get asked(): number {
    return this.#calls.size
  }

  take(request: PeerRequest): void {
    const origin = this.#origin
    this.#origin = undefined
    switch (request.kind) {
      case linkKinds.traced:
        this.#origin = request.origin
        return
      case linkKinds.call:
        this.#within(origin, () => this.#call(request))
        return
      case linkKinds.cast:
      case linkKinds.info:
        this.#within(origin, () => this.#send(request))
        return
      case linkKinds.abort:
        this.#abort(request.id)
        return
      case linkKinds.monitor:
        this.#monitor(request)
        return
      case linkKinds.demonitor:
        this.#monitors.get(request.id)?.()
        this.#monitors.delete(request.id)
    }
  }

  end(): void {
    for (const unmonitor of this.#monitors.values()) unmonitor()
    this.#monitors.clear()
    this.#unheld?.()
    // A call that waits for a name would be made after the end of its link.
    for (const id of this.#calls.keys()) this.#abort(id)
  }

  /** Does what a message asks for, where that is in a trace. */
  #within(origin: TraceOrigin | undefined, does: () => void): void {
    const tracer = origin && tracerOf(this.#system)
    if (tracer) tracer.scope(origin).run(does)
    else does()
  }

  #call(request: Request<typeof linkKinds.call>): void {
    const { id, target, name, payload, leftMs } = request
    if (this.#calls.has(id)) throw usedTwice()
    if (this.#link.owesMuch || this.#calls.size >= this.#link.owedMax) {
      this.#link.fail(id, tooMuch(name))
      return
    }
    const ref = this.#reach(target)
    if (ref === undefined) {
      this.#link.fail(id, noProcess(target, name))
      return
    }
    const options = {
      timeoutMs: leftMs,
      id: request.callId,
      waitForName: request.waitsForName,
      position: request.asksPosition,
    }
    const origin = {
      giveBack: (shard: number): void => {
        if (this.#calls.delete(id)) this.#link.fail(id, movedError(shard))
      },
    }
    let pending: ReturnType<typeof callNow>
    try {
      pending = callNow(ref, name, payload, options, origin)
    } catch (error) {
      // The process cannot be looked up or woken: that is a fault of this member, not of the link.
      this.#link.fail(id, error)
      return
    }
    const refusal = pending ? undefined : refusalOf(ref)
    if (pending) this.#answer(request, pending, pending.promise)
    else if (refusal) this.#link.fail(id, refusal)
    else {
      const controller = new AbortController()
      const { signal } = controller
      const asked = { fail: (reason: unknown) => controller.abort(reason) }
      this.#answer(request, asked, callOfPeer(ref, name, payload, { ...options, signal }, origin))
    }
  }

  /** Sends the answer of a call, unless it ends before. */
  #answer(
    { id, asksPosition }: Request<typeof linkKinds.call>,
    asked: Asked,
    answer: Promise<unknown>,
  ): void {
    this.#calls.set(id, asked)
    this.#unheld ??= this.#sayHeld(new Map())
    // Its number may be that of another call, if the caller has waited no longer.
    const ends = (): boolean => this.#calls.get(id) === asked && this.#calls.delete(id)
    answer.then(
      (answered) => {
        if (!ends()) return
        if (!asksPosition) this.#link.reply(id, answered, undefined)
        else {
          const { value, position } = answered as Positioned<unknown>
          this.#link.reply(id, value, position)
        }
      },
      (error) => {
        if (ends()) this.#link.fail(id, error)
      },
    )
  }

  /**
   * Says to the peer for which handlers its calls wait that have waited for so long: only here that is
   * known. `sent`: the handlers of the last time.
   */
  #sayHeld(sent: ReadonlyMap<Asked, number>): Cancel {
    const { clock } = this.#system
    const last = new Set(this.#calls.values())
    return clock.after(
      heldMs,
      () => {
        const now = new Map<Asked, number>()
        for (const [id, asked] of this.#calls) {
          if (now.size === heldMax) break
          const place = last.has(asked) ? asked.place : undefined
          if (!place) continue
          now.set(asked, place.handling.since)
          if (sent.get(asked) !== place.handling.since) this.#link.held(id, place)
        }
        this.#unheld = this.#calls.size > 0 ? this.#sayHeld(now) : undefined
      },
      { holdsProcess: false },
    )
  }

  /** The caller waits no longer. */
  #abort(id: number): void {
    const asked = this.#calls.get(id)
    this.#calls.delete(id)
    asked?.fail(aborted())
    this.#link.onAnswered()
  }

  /** At most once: one that is refused here is dropped, as one to a process that ends is. */
  #send(request: SendRequest): void {
    const { kind, target, name, payload } = request
    const ref = this.#reach(target)
    if (ref === undefined) return
    try {
      // A cast and an info wake a durable actor that is at rest.
      if (kind === linkKinds.info) send(ref, name, payload)
      else this.#cast(ref, new PeerCast(this.#link, request))
    } catch (error) {
      // There is no such process.
      if (!isKeelsonError(error)) throw error
    }
  }

  #cast(ref: Ref<AnyMessages>, message: PeerCast): void {
    if (castMessage(ref, message)) return
    const refusal = refusalOf(ref)
    if (refusal) message.giveBack(Number(refusal.details.shard))
  }

  #monitor({ id, target }: Request<typeof linkKinds.monitor>): void {
    if (this.#monitors.has(id) || this.#monitors.size >= this.#link.owedMax) throw usedTwice()
    const ref = this.#reach(target)
    if (ref === undefined) {
      this.#link.down(id, 'noproc')
      return
    }
    let isDown = false
    const down = (reason: ExitReason): void => {
      isDown = true
      this.#monitors.delete(id)
      this.#link.down(id, reason)
    }
    try {
      const unmonitor = this.#system.monitor(ref, down)
      if (!isDown) this.#monitors.set(id, unmonitor)
    } catch (error) {
      // As for a call: it cannot be looked up.
      down(error)
    }
  }
}

/**
 * The refusal of a message whose shard is elsewhere. It leaves in the turn in which the message came,
 * so that the peer gets back calls and casts in their order.
 */
const refusalOf = (ref: Ref<AnyMessages>): KeelsonError | undefined => {
  const address = addressOf(ref)
  const fault = address.resolve() ? undefined : address.directory.fault?.(address.name)
  return fault && isMoved(fault) ? fault : undefined
}

const aborted = (): KeelsonError =>
  new KeelsonError('CLOSED', 'the caller at another member waits no longer')

const usedTwice = (): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'a message of a link has a number that is in use')

const tooMuch = (name: string): KeelsonError =>
  linkFull(`${name}: the link has no room for another answer`, {})

const noProcess = (target: string, name: string): KeelsonError =>
  new KeelsonError('NO_PROCESS', `${name}: there is no process ${target}`, {
    details: { reason: 'noproc', message: name, target },
  })
