/**
 * The last report of each other member about its health. `health()` is synchronous: it has the last
 * answers, and asks for the next ones. So nothing is sent while nobody asks.
 */
import type { ShardClient } from '../../actors/index.ts'
import { reasonText } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { encodeValue } from '../../storage/index.ts'
import type { Answered, Health, Reported, Reports } from './health.ts'

/** `since`: when the first of the questions was asked that have no answer. */
type Last = { answered?: Answered & { readonly at: number }; reason?: string; since?: number }

/** The question of members to each other. */
const question = 'health'

/** A member has so long to answer a question of `health()`, in ms. */
const answerMs = 2_000

/** `health()` may be called at any rate; a member is asked again after so long, in ms. */
const pauseMs = 500

/** The most bytes of the report of one part of the user's tree. */
const partBytes = 64 * 1024

/** Tells the other members how this one is, when they ask. */
export const answerHealth = (
  way: ShardClient,
  about: Omit<Answered, 'health'>,
  own: () => Health,
): void =>
  way.answer(question, (): Answered => {
    const health = own()
    const parts = Object.entries(health.parts).map(([name, part]) => [name, sentPart(part)])
    return { ...about, health: { ...health, parts: Object.fromEntries(parts) } }
  })

/** A part reports what it wants, also what cannot be sent or is too large for a message. */
const sentPart = (part: unknown): unknown => {
  try {
    const { length } = encodeValue(part).bytes
    return length <= partBytes ? part : { unknown: `its report has ${length} bytes` }
  } catch (error) {
    return { unknown: reasonText(error) }
  }
}

/** The reports of the other members. */
export class MemberReports implements Reports {
  readonly #system: System
  readonly #way: ShardClient
  readonly #ending: AbortSignal
  readonly #last = new Map<string, Last>()
  /** The questions that have no answer yet, by member. */
  readonly #pending = new Set<string>()
  /** Since when no member has a shard, and since when there is no link to a member. */
  readonly #unowned = new Map<number, number>()
  readonly #unlinked = new Map<string, number>()
  #askedAt = Number.NEGATIVE_INFINITY

  /** Nobody is asked after `ending`. */
  constructor(system: System, way: ShardClient, ending: AbortSignal) {
    this.#system = system
    this.#way = way
    this.#ending = ending
    way.onMoved((shard) => {
      if (way.ownerOf(shard) === undefined) this.#unowned.set(shard, system.clock.now())
      else this.#unowned.delete(shard)
    })
    way.onUnlinked((member) => void this.#unlinked.set(member, system.clock.now()))
  }

  unownedSince(shard: number): number | undefined {
    return this.#unowned.get(shard)
  }

  of(member: string): Reported {
    const { answered, reason: unanswered, since: awaySince } = this.#last.get(member) ?? {}
    // Others have the shards of a member that has ended: its report is history.
    if (!this.#way.isLinked(member)) {
      const since = this.#unlinked.get(member)
      return { report: undefined, unanswered: undefined, awaySince: since }
    }
    if (!answered) return { report: undefined, unanswered, awaySince }
    const { at, ...rest } = answered
    const report = { ...rest, ageMs: this.#system.clock.monotonic() - at }
    return { report, unanswered, awaySince }
  }

  askAll(): void {
    const now = this.#system.clock.monotonic()
    if (this.#ending.aborted || now - this.#askedAt < pauseMs) return
    this.#askedAt = now
    for (const member of this.#way.others)
      if (this.#way.isLinked(member) && !this.#pending.has(member)) {
        this.#pending.add(member)
        this.ask(member, answerMs)
          .catch(() => undefined)
          .finally(() => this.#pending.delete(member))
      }
  }

  async ask(member: string, timeoutMs: number): Promise<Answered> {
    const last = this.#last.get(member) ?? {}
    this.#last.set(member, last)
    const askedAt = this.#system.clock.now()
    try {
      const found = await this.#way.askMember(member, question, null, timeoutMs)
      const answered = found as Answered
      last.answered = { ...answered, at: this.#system.clock.monotonic() }
      delete last.reason
      delete last.since
      return answered
    } catch (error) {
      // With its link the question ends. A member without a link is no member that is silent.
      if (this.#way.isLinked(member)) {
        last.reason = reasonText(error)
        last.since ??= askedAt
      }
      throw error
    }
  }
}
