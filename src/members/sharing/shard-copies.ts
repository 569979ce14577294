/**
 * The copies of shards that other members own. This member would own them next, so it keeps its
 * cache of them up to date. It looks at their logs again and again, and follows a log that has
 * moved on. A shard is never followed while this member has it: an opening waits for the round. Reads
 * that may be stale see a copy as the last round left it.
 */

import { type CopiedRow, type CopiedRows, isAway, isLoss } from '../../actors/index.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { ProjectionStore } from '../../storage/index.ts'
import type { LogEnd } from '../engine-log/log-end.ts'
import { CopyViews } from './copy-views.ts'

/** The logs, the member's cache, and who hears of a failure. */
export type ShardCopiesParts = {
  /** The shards that should be here, and with more copies the shards that would come here next. */
  readonly wanted: (copies: number) => readonly number[]
  /** How many members have each shard in their cache, with its owner. */
  readonly copies: number
  /** Whether this member has the shard, or opens it. */
  readonly isOwn: (shard: number) => boolean
  /** As `movedEnd`. */
  readonly endOf: (shard: number, known: LogEnd | undefined) => Promise<LogEnd | undefined>
  /** As `isOutdated`. */
  readonly isOutdated: (copy: LogEnd | undefined, end: LogEnd) => boolean
  /** Brings the cache up to the ends of the logs of some shards. */
  readonly follow: (shards: readonly number[]) => Promise<void>
  /** Opens the projection of a copy; `undefined` if it has no sound one. */
  readonly open: (shard: number) => Promise<ProjectionStore | undefined>
  /** Aborted by `stop`: it ends a round, and what is asked of the engine. */
  readonly ended: AbortController
  readonly everyMs: number
  readonly clock: Clock
  /** The engine has lost what the cache has. */
  readonly onLoss: (error: KeelsonError) => void
  readonly onFailure: (error: unknown, shards: readonly number[]) => void
}

/** The knowledge of one copy. */
type Copy = {
  /** The place up to which it was applied. */
  applied?: LogEnd
  /** The end of the log at the last look. */
  seen?: LogEnd
  /** When its log is looked at next. */
  nextAt: number
  pauseMs: number
  /** The last look or round has failed: it is tried again after a pause, whatever is read. */
  hasFailed?: boolean
}

/** So many shards are followed at a time. */
const roundMax = 4

/**
 * A new copy begins after so many times `everyMs`. When a member dies, the others open its shards, and
 * it comes back soon: copies for the time in between would hold up both.
 */
const newFactor = 6

/** A log at rest is looked at less and less often: at last once in so many times `everyMs`. */
const restFactor = 12

/** A read that waits for a later position asks for a look so often, in ms. */
const hurryMs = 200

/** The log was trimmed in between, its owner has changed, or the member ends. */
const passing: ReadonlySet<string> = new Set(['FENCED', 'BAD_CURSOR', 'CLOSED'])

/** How many shards of others are in the cache, and how many of them lack little. */
export type CopiesHealth = { readonly shards: number; readonly warm: number }

/** The copies at one member. */
export class ShardCopies implements CopiedRows {
  readonly #parts: ShardCopiesParts
  readonly #views: CopyViews
  readonly #copies = new Map<number, Copy>()
  /** The shards of the present round, and its end. */
  #round: { readonly shards: readonly number[]; readonly ended: Promise<void> } | undefined
  #cancel: Cancel = () => undefined
  /**
   * Whether a look is running. There is one look at a time, and `#round` belongs to it. A look
   * lasts until the timer of the next look is set.
   */
  #isLooking = false
  #health: CopiesHealth = { shards: 0, warm: 0 }

  constructor(parts: ShardCopiesParts) {
    this.#parts = parts
    this.#views = new CopyViews(parts.open)
  }

  /**
   * Resolves when the shards that should be here were followed, so that their owners can give them
   * without a long pause. From then on the copies are kept.
   */
  async begin(): Promise<void> {
    await this.#look(1, 0)
    this.#again()
  }

  /** Resolves when no round has the shard, which this member has taken. */
  async leave(shard: number): Promise<void> {
    this.#copies.delete(shard)
    if (this.#round?.shards.includes(shard)) await this.#round.ended
    await this.#views.close([shard])
  }

  /** Ends the rounds. */
  async stop(): Promise<void> {
    this.#parts.ended.abort(new KeelsonError('CLOSED', 'the member keeps no copies now'))
    this.#cancel()
    await this.#round?.ended
    await this.#views.close()
  }

  /** A copy that is read follows its log each `everyMs`. */
  async read(
    shard: number,
    key: string,
    least: number,
    withinMs: number,
  ): Promise<CopiedRow | undefined> {
    const { clock } = this.#parts
    const endsAt = clock.monotonic() + withinMs
    let lsn: number | undefined
    for (;;) {
      if (this.#hasStopped || !this.#copies.get(shard)?.applied) return undefined
      const round = this.#round?.shards.includes(shard) ? this.#round : undefined
      const rows = round ? 'closed' : await this.#views.of(shard)
      if (rows === undefined) return undefined
      if (rows !== 'closed') {
        lsn = rows.position()?.lsn ?? 0
        if (lsn >= least) return { row: rows.get(key), lsn }
      }
      if (clock.monotonic() >= endsAt) throw notYet(shard, least, lsn)
      if (round) await this.#unless(round.ended, endsAt)
      else if (rows !== 'closed') await this.#hurry(shard, endsAt)
    }
  }

  /** Looks at the log of a shard now. Resolves soon after that, or at `endsAt`. */
  async #hurry(shard: number, endsAt: number): Promise<void> {
    const { clock } = this.#parts
    const copy = this.#copies.get(shard)
    if (copy && !copy.hasFailed) copy.nextAt = clock.monotonic()
    if (!this.#isLooking) {
      this.#cancel()
      this.#lookNow()
    }
    await this.#unless(new Promise(() => undefined), Math.min(endsAt, clock.monotonic() + hurryMs))
  }

  /** Resolves when `work` settles, and at `endsAt` at the latest. */
  #unless(work: Promise<unknown>, endsAt: number): Promise<void> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      const cancel = clock.after(Math.max(0, endsAt - clock.monotonic()), resolve)
      const settled = (): void => {
        cancel()
        resolve()
      }
      work.then(settled, settled)
    })
  }

  get #hasStopped(): boolean {
    return this.#parts.ended.signal.aborted
  }

  /** As of the last look. */
  get health(): CopiesHealth {
    return this.#health
  }

  #judged(): CopiesHealth {
    const { copies, wanted, isOwn, isOutdated } = this.#parts
    const here = wanted(copies).filter((shard) => !isOwn(shard))
    const isWarm = ({ applied, seen }: Partial<Copy> = noOptions): boolean =>
      applied !== undefined && seen !== undefined && !isOutdated(applied, seen)
    return {
      shards: here.length,
      warm: here.filter((shard) => isWarm(this.#copies.get(shard))).length,
    }
  }

  /** A look has ended: the next one follows. */
  #again(): void {
    this.#isLooking = false
    if (this.#hasStopped) return
    const { clock, everyMs } = this.#parts
    this.#cancel = clock.after(everyMs, () => this.#lookNow(), { holdsProcess: false })
  }

  #lookNow(): void {
    const { copies, everyMs } = this.#parts
    void this.#look(copies, newFactor * everyMs).then(() => this.#again())
  }

  /** Never rejects. */
  async #look(copies: number, newMs: number): Promise<void> {
    const { wanted, isOwn } = this.#parts
    this.#isLooking = true
    const due: number[] = []
    const shards = wanted(copies)
    for (const shard of this.#copies.keys()) if (!shards.includes(shard)) this.#copies.delete(shard)
    for (const shard of shards)
      if (!isOwn(shard) && (await this.#lacksMuch(shard, newMs))) due.push(shard)
    while (due.length > 0 && !this.#hasStopped) {
      const shards = due.splice(0, roundMax).filter((shard) => !isOwn(shard))
      if (shards.length === 0) continue
      const ended = this.#follow(shards)
      this.#round = { shards, ended }
      await ended
      this.#round = undefined
    }
    await this.#views.rest()
    this.#health = this.#judged()
  }

  /** Whether the copy should follow its log now. Never rejects. */
  async #lacksMuch(shard: number, newMs: number): Promise<boolean> {
    const { clock, endOf, isOutdated } = this.#parts
    const nextAt = clock.monotonic() + newMs
    const copy = this.#copies.get(shard) ?? { nextAt, pauseMs: 0 }
    this.#copies.set(shard, copy)
    if (this.#hasStopped || clock.monotonic() < copy.nextAt) return false
    copy.hasFailed = false
    try {
      const end = await endOf(shard, copy.seen)
      this.#rest(copy, end !== undefined)
      if (end) copy.seen = end
      return (
        copy.seen !== undefined && (isOutdated(copy.applied, copy.seen) || this.#lacks(copy, shard))
      )
    } catch (error) {
      this.#failed(error, [shard])
      return false
    }
  }

  /** Whether the copy is read, and lacks anything. */
  #lacks({ applied, seen }: Copy, shard: number): boolean {
    return this.#views.has(shard) && applied?.id !== seen?.id
  }

  #rest(copy: Copy, hasMoved: boolean): void {
    const { clock, everyMs } = this.#parts
    const longer = Math.min(Math.max(copy.pauseMs * 2, everyMs), restFactor * everyMs)
    copy.pauseMs = hasMoved ? 0 : longer
    copy.nextAt = clock.monotonic() + copy.pauseMs
  }

  /** Never rejects. */
  async #follow(shards: readonly number[]): Promise<void> {
    const ends = shards.map((shard) => this.#copies.get(shard)?.seen)
    try {
      await this.#views.close(shards)
      await this.#parts.follow(shards)
      for (const [at, shard] of shards.entries()) {
        const copy = this.#copies.get(shard)
        // It may have been taken in the round.
        if (copy && ends[at]) copy.applied = ends[at]
      }
    } catch (error) {
      this.#failed(error, shards)
    }
  }

  #failed(error: unknown, shards: readonly number[]): void {
    const { onLoss, onFailure, clock, everyMs } = this.#parts
    const isPassing = isKeelsonError(error) && passing.has(error.code)
    if (this.#hasStopped || isAway(error) || isPassing) return
    for (const shard of shards) {
      const copy = this.#copies.get(shard)
      if (copy) {
        copy.nextAt = clock.monotonic() + restFactor * everyMs
        copy.hasFailed = true
      }
    }
    if (isLoss(error)) onLoss(error)
    else onFailure(error, shards)
  }
}

const notYet = (shard: number, least: number, lsn: number | undefined): KeelsonError =>
  new KeelsonError('TIMEOUT', `the copy of shard ${shard} has not come to lsn ${least}`, {
    details: { shard, least, ...(lsn === undefined ? {} : { lsn }) },
  })
