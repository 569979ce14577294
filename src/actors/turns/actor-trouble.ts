/**
 * The trouble of the durable actors of an instance: turns that wait for space, steps and alarms that
 * fail, refusals, blocked workers. `health()` shows it. It is of this life of the instance: the rows
 * are the truth. Memory is bounded.
 */
import { failedAs, type KeelsonError, type ResultCode } from '../../errors.ts'

/** A turn that waits for space on the disk. */
export type WaitingTurn = {
  readonly entity: string
  /** The message in two words. */
  readonly what: string
  /** In ms since 1970. */
  readonly since: number
}

/** A step or an alarm that fails. */
export type FailingTurn = {
  readonly entity: string
  readonly what: string
  readonly tries: number
  /** When it failed first in this life of the instance, in ms since 1970. */
  readonly since: number
  /** When it is tried again, in ms since 1970. */
  readonly retryAt: number
  readonly error: string
}

/** A try of a step or an alarm that has failed. */
export type FailedTurn = Omit<FailingTurn, 'since'>

/** The most failing actors that are kept. Further ones are not counted. */
const failingMax = 10_000

/** The most kinds of failures that are kept. A further one takes the place of the quietest. */
const seenMax = 1_000

/** A failure that was not seen for this long counts from 1 again. */
const forgetMs = 600_000

/** How many turns of a kind are over, by their results. It is counted always, so it is exact. */
export class TurnTally {
  ok = 0
  readonly failed = new Map<ResultCode, number>()

  fails(error: unknown): void {
    const result = failedAs(error)
    this.failed.set(result, (this.failed.get(result) ?? 0) + 1)
  }
}

/** The troubles of the durable actors of one instance. */
export class ActorTrouble {
  /** The turns that wait for space, by their actors. */
  readonly waiting = new Map<string, WaitingTurn>()
  /** The steps and alarms that fail, by their actors and the names of their settings. */
  readonly failing = new Map<string, Map<string, FailingTurn>>()
  /** Why durable workers are blocked. */
  readonly blockedWorkers = new Map<string, KeelsonError>()
  /** How many turns were refused, by code. */
  readonly refused = new Map<string, number>()
  /** The turns that are over, by kinds. */
  readonly turns = new Map<string, TurnTally>()
  /** The kind that was seen last is at the end. */
  readonly #seen = new Map<string, { count: number; at: number }>()

  /** A step or an alarm has failed; `setting` identifies it among those of its actor. */
  fails(setting: string, turn: FailedTurn, now: number): void {
    const { entity } = turn
    if (this.failing.size >= failingMax && !this.failing.has(entity)) return
    const ofActor = this.failing.get(entity) ?? new Map<string, FailingTurn>()
    ofActor.set(setting, { ...turn, since: ofActor.get(setting)?.since ?? now })
    this.failing.set(entity, ofActor)
  }

  /**
   * Keeps the failures of an actor that its rows still have, and forgets the others. Returns
   * whether any is left.
   */
  keeps(entity: string, settings: ReadonlySet<string>): boolean {
    const ofActor = this.failing.get(entity)
    for (const setting of ofActor?.keys() ?? [])
      if (!settings.has(setting)) ofActor?.delete(setting)
    if (ofActor?.size === 0) this.failing.delete(entity)
    return this.failing.has(entity)
  }

  /** The count of the turns of a kind. */
  tallyOf(kind: string): TurnTally {
    const tally = this.turns.get(kind) ?? new TurnTally()
    this.turns.set(kind, tally)
    return tally
  }

  /** A turn was refused. */
  refuses(code: string): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1)
  }

  /** Counts a failure of this kind; returns how often it was seen. */
  seen(kind: string, now: number): number {
    const before = this.#seen.get(kind)
    const count = before !== undefined && now - before.at < forgetMs ? before.count + 1 : 1
    this.#seen.delete(kind)
    if (this.#seen.size >= seenMax) this.#forgetQuietest()
    this.#seen.set(kind, { count, at: now })
    return count
  }

  #forgetQuietest(): void {
    for (const kind of this.#seen.keys()) {
      this.#seen.delete(kind)
      return
    }
  }
}
