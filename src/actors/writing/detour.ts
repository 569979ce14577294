/**
 * A write that does not go straight into the log's queue: it takes its turn among others to its keys (`order-marks.ts`), then goes
 * its way, mostly to a slot of the batcher. It is one object from its mark to its answer, because thousands wait for one window.
 */
import type { Cancel } from '../../clock.ts'
import type { UnitAnswer } from '../../storage/index.ts'
import type { Mark, MarkedKeys, MarkTerms } from '../admission/order-marks.ts'
import { tooLate } from '../admission/order-turn.ts'
import type { BatchedWrite } from '../queue/arrivals.ts'
import type { Passage } from './passage.ts'

/** Where detours lead. */
export type Ways = {
  /** Nothing stands before it any more: it goes on. What stands behind it waits until it is `queued`. */
  readonly go: (detour: Detour) => void
  /** Somebody waits behind it while it is in its slot. */
  readonly hurry: (detour: Detour) => void
}

/** One of them, and when it has a slot a `BatchedWrite`. What stands behind it waits no longer than whoever waits for it. */
export class Detour implements MarkTerms, Omit<BatchedWrite, 'slot'> {
  readonly write: Passage
  readonly keys: MarkedKeys
  readonly slot: string | undefined
  windowMs: number
  at = 0
  isTold = false
  readonly #ways: Ways
  #mark: Mark | undefined
  /** Who counts those that were told. */
  #company: { told(): void } | undefined
  #cancelDeadline: Cancel | undefined

  constructor(
    write: Passage,
    keys: MarkedKeys,
    slot: string | undefined,
    windowMs: number,
    ways: Ways,
  ) {
    this.write = write
    this.keys = keys
    this.slot = slot
    this.windowMs = windowMs
    this.#ways = ways
  }

  /** Takes its turn, before this returns when nothing stands before it; `NOT_SUBMITTED` when it has not come in time. */
  begin(): void {
    const { shard, endsAt, deadlineMs, system } = this.write
    const mark = shard.marks.enter(this)
    if (this.#mark) return
    const leftMs = Math.max(1, endsAt - system.clock.monotonic())
    this.#cancelDeadline = system.clock.after(leftMs, () => {
      shard.marks.pass(mark)
      this.failed(tooLate(deadlineMs))
    })
  }

  turn(mark: Mark): void {
    if (this.isTold) return
    this.#cancelDeadline?.()
    this.#mark = mark
    // Who waits behind it has waited for others long enough.
    if (mark.isUrgent) this.windowMs = 0
    this.#ways.go(this)
  }

  hurry(): void {
    this.#ways.hurry(this)
  }

  join(company: { told(): void }): void {
    this.#company = company
  }

  queued(): void {
    if (this.#mark) this.write.shard.marks.pass(this.#mark)
  }

  applied(lsn: number, answers: readonly UnitAnswer[]): void {
    if (this.#tell()) this.write.applied(lsn, answers)
  }

  failed(error: unknown): void {
    if (!this.#tell()) return
    this.write.failed(error)
    this.queued()
  }

  #tell(): boolean {
    if (this.isTold) return false
    this.isTold = true
    this.#company?.told()
    return true
  }
}
