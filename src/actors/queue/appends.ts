/**
 * The appends of a shard on their way into its log: the group that fills, which every write joins;
 * the groups that are under way; and the memory that goes round between groups.
 */
import type { Clock } from '../../clock.ts'
import { type Append, AppendGroup, type GroupLimits } from './append-group.ts'

/** A group begins with at least so much room, in bytes. */
const roomMin = 512

/** A group has got a departure, or an earlier one, by a windowed append. */
export type Departing = (group: AppendGroup, append: Append) => void

/** The groups of one shard. */
export class Appends {
  readonly #limits: GroupLimits
  readonly #clock: Clock
  #open: AppendGroup | undefined
  /** Groups that the writer, the log or the applier has; each resolves when that has ended. */
  readonly #underWay = new Map<AppendGroup, Promise<unknown>>()
  #departing: Departing | undefined
  /** What a group that was written has left. */
  #memory: Buffer | undefined

  constructor(limits: GroupLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Whether anybody sees to departures. If nobody does, no write may wait for one. */
  get keepsDepartures(): boolean {
    return this.#departing !== undefined
  }

  /** Calls `departing` of every departure from now on, in place of whoever was called until now; `undefined`: nobody. */
  listen(departing: Departing | undefined): void {
    this.#departing = departing
  }

  /** Whether a group waits full behind another that is under way: then a write that will not wait is refused. */
  isFullFor({ length, commands }: Append): boolean {
    const open = this.#open
    return (
      this.#underWay.size > 1 &&
      open !== undefined &&
      !open.isTaken &&
      !open.takes(length, commands)
    )
  }

  /** The group that an append joins; `undefined` if one is to be begun. */
  groupFor({ length, commands }: Append): AppendGroup | undefined {
    return this.#open?.takes(length, commands) ? this.#open : undefined
  }

  /** A new group, likely as large as the one before it, which waits no longer. */
  begin(): AppendGroup {
    this.#open?.depart()
    const room = Math.max(roomMin, this.#open?.size ?? 0)
    this.#open = new AppendGroup(this.#takeMemory(room), this.#limits, this.#clock)
    return this.#open
  }

  /** A group was handed to the writer; `ended` resolves, with the failure if there is one, when it was applied or has failed. */
  track(group: AppendGroup, ended: Promise<unknown>): void {
    this.#underWay.set(group, ended)
    void ended.then(() => this.#underWay.delete(group))
  }

  /** Tells of a departure that `append` has set. */
  departs(group: AppendGroup, append: Append): void {
    this.#departing?.(group, append)
  }

  /** Resolves, with the failure if there is one, when a group has ended. */
  endOf(group: AppendGroup): Promise<unknown> {
    return this.#underWay.get(group) ?? Promise.resolve()
  }

  /** The group that was begun last. */
  get last(): AppendGroup | undefined {
    return this.#open
  }

  /** Resolves when every group that there is now has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  /** Takes back the memory of a group that was written: the next one to begin is written into it. */
  reuse(spent: Uint8Array): void {
    this.#memory = Buffer.from(spent.buffer)
  }

  #takeMemory(room: number): Buffer {
    const memory = this.#memory
    this.#memory = undefined
    // When groups have become small, a large buffer is not kept for them.
    if (memory && memory.length >= room && memory.length <= 4 * room) return memory
    return Buffer.allocUnsafeSlow(room)
  }
}
