/**
 * Calls that no link has taken, or that may be repeated, and casts that came back, each at its place:
 * a member, or a shard whose owner is to get it. They wait there for the next link, and go to it in
 * the order in which they were first sent, whichever came back first: of an owner that dies while it
 * leaves, messages that waited after a call are back before that call is lost. It is apart from
 * `members.ts` because it says how often, and in which order, a call may be sent.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { isCall, type Message, type PendingCall } from '../../runtime/index.ts'
import { noConnection } from './forwarder.ts'
import type { Unsent } from './link-process.ts'
import { unreachableMs } from './shard-owners.ts'

/** The name of a member, or the number of a shard. */
export type Place = string | number

/** A call under which so many members have ended is not sent again. */
const endsMax = 2

/** So many messages wait at a place; further casts are dropped. */
const keptMax = 65_536

/** The calls and casts that a member keeps. */
export class KeptCalls {
  readonly #clock: Clock
  /** At each place what is kept, and how nothing waits for its end any longer. */
  readonly #at = new Map<Place, Map<Unsent, () => void>>()
  /** Since when nobody has taken a call without a deadline. */
  readonly #untakenSince = new WeakMap<PendingCall, number>()
  /** Of calls that a link has sent: the incarnations of members under which they were lost. */
  readonly #lost = new WeakMap<PendingCall, Set<string>>()
  /** The order of messages to shards, from their first way out of this member. */
  readonly #orders = new WeakMap<Message, number>()
  #lastOrder = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The order of a message, which is the last one if it has none yet. */
  orderOf(message: Message): number {
    const order = this.#orders.get(message) ?? ++this.#lastOrder
    this.#orders.set(message, order)
    return order
  }

  /**
   * A message goes to its owner, which is here. If that gives the shard away before it handles it, the
   * message leaves in the order of its mailbox, as the calls do: here they are new calls. Scenario: an
   * owner that closes returns casts and calls to this member, which gets the shard, and closes next.
   */
  arrived(message: Message): void {
    this.#orders.delete(message)
  }

  /** A cast came back. The peer says its order. */
  returned(cast: Message, order: number): void {
    this.#orders.set(cast, order)
  }

  /**
   * A call was sent, and may have been handled. `endOf`: this incarnation of a member has ended under
   * it, or its process has.
   */
  lost(call: PendingCall, endOf?: string): void {
    const ends = this.#lost.get(call) ?? new Set()
    this.#lost.set(call, endOf === undefined ? ends : ends.add(endOf))
    if (endOf !== undefined) this.#untakenSince.delete(call)
  }

  /**
   * Keeps a message for the next link to its place. A call under which two members have ended waits
   * for no third one: it may be what ends them.
   */
  keep(place: Place, unsent: Unsent): void {
    const { message: call } = unsent
    this.orderOf(call)
    const kept = this.#at.get(place) ?? new Map<Unsent, () => void>()
    if (!isCall(call)) {
      if (kept.size < keptMax)
        this.#at.set(
          place,
          kept.set(unsent, () => undefined),
        )
      return
    }
    if (Number(this.#lost.get(call)?.size) >= endsMax) call.fail(unknownOutcome(call, place))
    if (call.isSettled) return
    const endWait = this.#waitForTaker(call, () => this.fail(unsent, place))
    const unlisten = call.onceSettled(() => {
      kept.delete(unsent)
      endWait()
    })
    const forget = (): void => {
      unlisten()
      endWait()
    }
    this.#at.set(place, kept.set(unsent, forget))
    // Of one that was sent its deadline says as much as that of any call.
    if (!this.#lost.has(call)) call.late = () => notSubmitted(call, place)
  }

  /** Calls `giveUp` when nobody has taken a call without a deadline for too long. */
  #waitForTaker(call: PendingCall, giveUp: () => void): Cancel {
    if (call.slot >= 0) return () => undefined
    const now = this.#clock.monotonic()
    const since = this.#untakenSince.get(call) ?? now
    this.#untakenSince.set(call, since)
    const leftMs = Math.max(0, since + unreachableMs - now)
    return this.#clock.after(leftMs, giveUp, { holdsProcess: false })
  }

  /** Whether messages wait at a place. */
  has(place: Place): boolean {
    return Number(this.#at.get(place)?.size) > 0
  }

  /** Takes the messages of a place out, to be sent. */
  take(place: Place): readonly Unsent[] {
    const all = this.#at.get(place) ?? new Map<Unsent, () => void>()
    this.#at.delete(place)
    for (const forget of all.values()) forget()
    const kept = [...all.keys()]
    kept.sort((one, other) => this.orderOf(one.message) - this.orderOf(other.message))
    return kept.filter(({ message }) => {
      if (!isCall(message)) return true
      message.late = undefined
      return !message.isSettled
    })
  }

  /** Fails a call that can never be sent; a cast is dropped. */
  fail({ message: call }: Unsent, place: Place): void {
    if (!isCall(call)) return
    call.fail(this.#lost.has(call) ? unknownOutcome(call, place) : notSubmitted(call, place))
  }

  /** There will be no link to such places. */
  failAll(isLost: (place: Place) => boolean = () => true): void {
    const lost = [...this.#at].filter(([place]) => isLost(place))
    for (const [place] of lost) this.#at.delete(place)
    for (const [place, calls] of lost) for (const each of calls.keys()) this.fail(each, place)
  }
}

const textOf = (place: Place): string =>
  typeof place === 'number' ? `the owner of shard ${place}` : place

const detailsOf = ({ name }: PendingCall, place: Place) => ({
  reason: noConnection,
  message: name,
  ...(typeof place === 'number' ? { shard: place } : { member: place }),
})

/** The error of a call that was sent, and whose answer cannot come. */
export const unknownOutcome = (call: PendingCall, place: Place): KeelsonError =>
  new KeelsonError(
    'UNKNOWN_OUTCOME',
    `${call.name}: the connection to ${textOf(place)} ended before the answer came`,
    { details: detailsOf(call, place) },
  )

const notSubmitted = (call: PendingCall, place: Place): KeelsonError =>
  new KeelsonError(
    'NOT_SUBMITTED',
    `${call.name}: the connection to ${textOf(place)} ended before it was sent`,
    { details: detailsOf(call, place) },
  )
