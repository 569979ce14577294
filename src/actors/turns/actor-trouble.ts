/**
 * The trouble of the durable actors of an instance: turns that wait for space, steps and alarms that
 * fail, refusals, blocked workers. `health()` shows it. It counts from the start of the instance: the rows
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

/** Work that fails and is tried again: a step or an alarm, a step of a run, a job of a queue. */
export type FailingTurn = {
  /** The actor whose work it is: `order/17`, `$flow-payment/7`, `$queue-mails/queue`. */
  readonly entity: string
  /** `continue charge`, `alarm unpaid`, `step charge`, `job 12`. */
  readonly what: string
  readonly tries: number
  /** When it failed first since the start of the instance, in ms since 1970. */
  readonly since: number
  /** When it is tried again, in ms since 1970. */
  readonly retryAt: number
  readonly error: string
}

/** Work that failed so often is stuck. */
export const stuckTries = 3

/** A try that has failed. */
export type FailedTurn = Omit<FailingTurn, 'since'>

/** The most owners of failing work that are kept, and the most of one. Further ones are not counted. */
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
  /**
   * The work that fails, by its owner and the names that this gives it. Steps and alarms are owned by
   * their actor, and named by their settings. The work beside the mailbox of an actor has another
   * owner: a turn of the actor says nothing about it.
   */
  readonly failing = new Map<string, Map<string, FailingTurn>>()
  /** Why durable workers are blocked. */
  readonly blockedWorkers = new Map<string, KeelsonError>()
  /** How many turns were refused, by code. */
  readonly refused = new Map<string, number>()
  /** The turns that are over, by kinds. */
  readonly turns = new Map<string, TurnTally>()
  /** The kind that was seen last is at the end. */
  readonly #seen = new Map<string, { count: number; at: number }>()

  /** A try has failed, and another one follows; `setting` identifies the work. */
  fails(setting: string, turn: FailedTurn, now: number, owner = turn.entity): void {
    const ofOwner = this.failing.get(owner) ?? new Map<string, FailingTurn>()
    const isFull = this.failing.size >= failingMax && ofOwner.size === 0
    if (isFull || (ofOwner.size >= failingMax && !ofOwner.has(setting))) return
    ofOwner.set(setting, { ...turn, since: ofOwner.get(setting)?.since ?? now })
    this.failing.set(owner, ofOwner)
  }

  /** This work has stopped failing. */
  passes(setting: string, owner: string): void {
    const ofOwner = this.failing.get(owner)
    ofOwner?.delete(setting)
    if (ofOwner?.size === 0) this.failing.delete(owner)
  }

  /**
   * Keeps the failures of an owner that its rows still have, and forgets the others. Returns
   * whether any is left.
   */
  keeps(owner: string, settings: ReadonlySet<string>): boolean {
    for (const setting of [...(this.failing.get(owner)?.keys() ?? [])])
      if (!settings.has(setting)) this.passes(setting, owner)
    return this.failing.has(owner)
  }

  /** Forgets the failures of actors that have gone. */
  forget(isGone: (entity: string) => boolean): void {
    for (const [owner, turns] of this.failing)
      for (const { entity } of turns.values()) if (isGone(entity)) this.failing.delete(owner)
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
