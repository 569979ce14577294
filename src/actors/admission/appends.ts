/**
 * The appends of a shard on their way into its log: the group that fills, the groups that are under
 * way, and those among them that wait for the next writer.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  type FrameUnits,
  GroupFiller,
  type GroupLimits,
  type GroupWrite,
  outcomeOf,
  type UnitAnswer,
  type WriteGroup,
} from '../../storage/index.ts'

/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** A write on its way into the log, which becomes a frame. */
export interface Append extends GroupWrite {
  readonly units: FrameUnits
  /** Of its first key. */
  readonly namespace: string
  /** It stands at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void
}

/** The appends that share one commit. */
export type AppendGroup = WriteGroup<Append>

/** Called when a windowed append gives a group a departure, or an earlier one. */
export type Departing = (group: AppendGroup, append: Append) => void

/** The groups of one shard. */
export class Appends {
  readonly #filler: GroupFiller<Append>
  /**
   * Groups that were begun and have not ended, in order. Each promise resolves when its group has
   * ended.
   */
  readonly #underWay = new Map<AppendGroup, Promise<unknown>>()
  /** Groups that wait until the shard opens, and how each goes on. */
  readonly #parked = new Map<AppendGroup, () => void>()
  #departing: Departing | undefined

  constructor(limits: GroupLimits, clock: Clock) {
    this.#filler = new GroupFiller(limits, clock)
  }

  /** Whether a batcher listens. Without one, no write may wait for a departure. */
  get keepsDepartures(): boolean {
    return this.#departing !== undefined
  }

  /**
   * Calls `departing`, in place of the last listener, at every departure from now on; `undefined`:
   * none.
   */
  listen(departing: Departing | undefined): void {
    this.#departing = departing
  }

  /**
   * Whether the group that fills is full behind another: then a write that will not wait is
   * refused.
   */
  isFullFor(append: Append): boolean {
    const { last } = this.#filler
    return this.#underWay.size > 1 && last?.isFilling === true && !last.takes(append)
  }

  /** The group that an append joins; `undefined` if one is to be begun. */
  groupFor(append: Append): AppendGroup | undefined {
    return this.#filler.groupFor(append)
  }

  /** Begins a new group; the one before it may leave. */
  begin(): AppendGroup {
    return this.#filler.begin()
  }

  /**
   * A group was begun. `ended` resolves when it was applied or has failed, with the
   * failure.
   */
  track(group: AppendGroup, ended: Promise<unknown>): void {
    this.#underWay.set(group, ended)
    void ended.then(() => this.#underWay.delete(group))
  }

  /** The group has no writer: `goOn` is called when the shard opens, or is down or closed. */
  park(group: AppendGroup, goOn: () => void): void {
    this.#parked.set(group, goOn)
  }

  /** Lets the parked groups go on, in the order in which they were begun. */
  resume(): void {
    for (const group of this.#underWay.keys()) {
      const goOn = this.#parked.get(group)
      this.#parked.delete(group)
      goOn?.()
    }
  }

  /** Calls the listener: `append` has set the group's departure. */
  departs(group: AppendGroup, append: Append): void {
    this.#departing?.(group, append)
  }

  /** Resolves when a group has ended, with its failure if it failed. */
  endOf(group: AppendGroup): Promise<unknown> {
    return this.#underWay.get(group) ?? Promise.resolve()
  }

  /** The group that was begun last. */
  get last(): AppendGroup | undefined {
    return this.#filler.last
  }

  /** Resolves when every group that there is now has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  /** Takes back the memory of a group that was written. */
  reuse(spent: Uint8Array): void {
    this.#filler.reuse(spent)
  }
}

/** What a failure before the log means to the caller of a write: a refusal stays what it is. */
export const beforeTheLog = (failure: unknown): KeelsonError =>
  isKeelsonError(failure) && !callFailures.has(failure.code)
    ? failure
    : outcomeOf('unsubmitted', failure)

/** Failures of a call, which say nothing about the write. */
const callFailures: ReadonlySet<string> = new Set([
  'TIMEOUT',
  'EXITED',
  'NO_PROCESS',
  'MAILBOX_FULL',
])
