/**
 * The trouble of the durable actors of an instance: turns that wait for space, steps and alarms that
 * fail, refusals, blocked workers. `health()` shows it. It counts from the start of the instance: the rows
 * are the truth. Memory is bounded.
 */
import { failedAs, type KeelsonError, type ResultCode } from '../../errors.ts'
import type { FailureLog } from './failure-log.ts'

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

/** A run that rests with unread signals. `since`: in ms since 1970, as far as this was seen. */
export type RestingRun = { readonly type: string; readonly id: string; readonly since: number }

/** A try that has failed. */
export type FailedTurn = Omit<FailingTurn, 'since'>

/**
 * The most owners of failing work that are kept, and the most failing works of one owner. Beyond,
 * nothing is kept or counted.
 */
const failingMax = 10_000

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
  /** The runs that rest with unread signals, by their names such as `payment/7`. */
  readonly restingRuns = new Map<string, RestingRun>()
  /** Why durable workers are blocked. */
  readonly blockedWorkers = new Map<string, KeelsonError>()
  /** When the actor of this reason was blocked, in ms since 1970. */
  readonly #blockedAt = new WeakMap<KeelsonError, number>()
  /** How many turns were refused, by code. */
  readonly refused = new Map<string, number>()
  /** The turns that are over, by kinds. */
  readonly turns = new Map<string, TurnTally>()
  /** Its lines in the log. */
  readonly log: FailureLog

  constructor(log: FailureLog) {
    this.log = log
  }

  /** An actor is blocked. `before`: why it already was, so that it lasts since then. */
  blocks(reason: KeelsonError, before: KeelsonError | undefined, now: number): void {
    this.#blockedAt.set(reason, (before && this.#blockedAt.get(before)) ?? now)
  }

  /** Since when the actor of this reason is blocked. */
  blockedSince(reason: KeelsonError): number | undefined {
    return this.#blockedAt.get(reason)
  }

  /** A try has failed, and will be repeated. `setting` identifies the work. */
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
}
