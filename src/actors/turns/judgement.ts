/**
 * The actors at rest that the running program would block, as far as they were judged since the start: a
 * deploy wakes none of them, so without it an operator hears of a body that has changed when the signal
 * comes, days later. Nothing is written. It outlives the process that judges, `judge.ts`, and bounds what
 * is kept.
 */
import type { Row } from '../../storage/index.ts'

/** A durable actor as its rows have it. A worker has the kind `$worker`, and its name as its id. */
export type StoredActor = {
  readonly kind: string
  readonly id: string
  readonly main: Row
  /** The rows of its alarms by their names. */
  readonly alarms: readonly (readonly [name: string, row: Row])[]
}

/** An actor at rest that would be blocked when it wakes. */
export type WouldBlock = {
  /** `order/17`; of a run `$flow-payment/7`. */
  readonly entity: string
  readonly reason: string
  /** Since when that is known, in ms since 1970. */
  readonly since?: number
}

/** Judges the actors of kinds that have more than a state: runs of workflows. */
export interface KindJudge {
  /**
   * Judges these actors of one kind. An actor whose replay stands still is not in the result: its
   * verdict comes with a later call, or from `rest`.
   */
  judge(actors: readonly StoredActor[]): Promise<readonly WouldBlock[]>
  /** How many actors stand still in their replay, and have no verdict yet. */
  readonly still: number
  /** Judges the actors that still stand still. */
  rest(): Promise<readonly WouldBlock[]>
}

/** How far a judgement is, and what it has found. */
export type JudgementHealth = {
  /** How many actors at rest would be blocked when they wake. */
  readonly count: number
  /** The first ten of them. */
  readonly first: readonly WouldBlock[]
  /** How many actors were judged. */
  readonly judged: number
  /**
   * How many parts are left: the actors of one kind in one shard each, and one for runs whose bodies
   * stand still. 0: it is over.
   */
  readonly left: number
}

/** At most so many actors are kept. Beyond, actors are only counted until the next judgement. */
const keptMax = 10_000

const shownMax = 10

/** The judgement of one instance. */
export class Judgement {
  /** As in `JudgementHealth`. */
  left = 0
  /**
   * Has all judged once more, in the process that judges; resolves with the number of parts. Absent:
   * there is no such process.
   */
  again: (() => Promise<number>) | undefined
  /** Called with the kinds that get their own judge. */
  onJudge: ((kinds: readonly string[]) => void) | undefined
  readonly #judges = new Map<string, KindJudge>()
  readonly #blocked = new Map<string, WouldBlock>()
  /** The actors that the judgement before found and the present one has not reached yet. */
  #stale: Set<string> = new Set()
  readonly #listeners: (() => void)[] = []
  /** How many actors were looked at, by kind and shard. */
  readonly #judged = new Map<string, number>()
  #wasOver = false
  #beyond = 0

  /** The judges of kinds that have their own. */
  get judges(): ReadonlyMap<string, KindJudge> {
    return this.#judges
  }

  /** These kinds have their own judge. The function that is returned ends that. */
  judgedBy(judge: KindJudge, kinds: readonly string[]): () => void {
    for (const kind of kinds) this.#judges.set(kind, judge)
    this.onJudge?.(kinds)
    return () => {
      for (const kind of kinds) if (this.#judges.get(kind) === judge) this.#judges.delete(kind)
    }
  }

  /** The actors of a kind in a shard are judged from the beginning, perhaps once more. */
  begins(kind: string, shard: number): void {
    this.#judged.delete(`${kind}/${shard}`)
  }

  /** So many more of them were judged. */
  counts(kind: string, shard: number, actors: number): void {
    const part = `${kind}/${shard}`
    this.#judged.set(part, (this.#judged.get(part) ?? 0) + actors)
  }

  /** How many would be blocked. */
  get count(): number {
    return this.#blocked.size + this.#beyond
  }

  /** Why this actor would be blocked; `undefined`: it would not, or it was not judged yet. */
  reasonAgainst(entity: string): string | undefined {
    return this.#blocked.get(entity)?.reason
  }

  /** The actors that are known, in the order of their judgement. */
  *known(): Iterable<WouldBlock> {
    yield* this.#blocked.values()
  }

  /** Calls `listener` each time when nothing is left to judge; now too, if that has been so. */
  onOver(listener: () => void): void {
    this.#listeners.push(listener)
    if (this.#wasOver) listener()
  }

  /** Nothing is left to judge. */
  over(): void {
    this.#wasOver = true
    for (const entity of this.#stale) this.#blocked.delete(entity)
    this.#stale = new Set()
    for (const listener of this.#listeners) listener()
  }

  /** As `health()` has it. */
  get health(): JudgementHealth {
    const { count, left } = this
    let judged = 0
    for (const actors of this.#judged.values()) judged += actors
    const first: WouldBlock[] = []
    for (const each of this.known()) if (first.push(each) === shownMax) break
    return { count, first, judged, left }
  }

  /** Adds what a judge has found at this time, in ms since 1970. */
  add(found: readonly WouldBlock[], now: number): void {
    for (const { entity, reason } of found) {
      const { since = now } = this.#blocked.get(entity) ?? {}
      this.#stale.delete(entity)
      if (this.#blocked.has(entity) || this.#blocked.size < keptMax)
        this.#blocked.set(entity, { entity, reason, since })
      else this.#beyond++
    }
  }

  /** An actor wakes, or is gone: from here on its own status says how it is. */
  woke(entity: string): void {
    this.#blocked.delete(entity)
  }

  /** Actors have gone, with their shard or with all. */
  forget(isGone: (entity: string) => boolean): void {
    for (const entity of this.#blocked.keys()) if (isGone(entity)) this.#blocked.delete(entity)
  }

  /** All is judged once more. Until it is, the earlier findings remain: an alert does not go and come. */
  begin(): void {
    this.#judged.clear()
    this.#beyond = 0
    this.#stale = new Set(this.#blocked.keys())
  }
}
