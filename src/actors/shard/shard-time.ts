/**
 * The time of a shard. It follows the machine's clock and never goes back. When that clock is set,
 * the shard's time does not jump with it: it goes on by the monotonic clock, so that nothing
 * expires at once and no lease becomes longer, until `follow` accepts the clock. It never stands
 * still: time that is ahead of an accepted clock goes at half speed until that has caught up.
 */
import type { Clock } from '../../clock.ts'

/**
 * A jump of the machine's clock by `jumpMs`, negative if it went back. The shard's time is `aheadMs`
 * ahead of the machine's clock from now on, negative if behind.
 */
export type ClockJump = { readonly jumpMs: number; readonly aheadMs: number }

/** Smaller steps of the machine's clock are followed. */
const jumpMinMs = 60_000

/** The two clocks are compared once in so many ms: a read has no time for it. */
const lookMs = 1_000

/** The time of one shard. */
export class ShardTime {
  readonly #clock: Clock
  /** The latest time that was taken or given out. */
  #last = 0
  /** How far this time is ahead of the machine's clock. */
  #ahead = 0
  /** What the two clocks said when they were compared last. */
  #wall: number
  #monotonic: number
  /** Until where the monotonic clock was counted for half speed; `undefined` at full speed. */
  #slowSince: number | undefined
  #told: ((jump: ClockJump) => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wall = clock.now()
    this.#monotonic = clock.monotonic()
  }

  /** How far this time is ahead of the machine's clock, in ms; negative if behind. */
  get aheadMs(): number {
    this.now()
    return this.#ahead
  }

  /** The time in ms since 1970. */
  now(): number {
    const wall = this.#clock.now()
    if (wall < this.#wall || wall - this.#wall >= lookMs) this.#look(wall)
    if (this.#slowSince !== undefined) this.#slow(this.#slowSince)
    return this.#reach(wall + this.#ahead)
  }

  /** Takes a stamp into account. Returns the time, which is never less. */
  observe(stamp: number): number {
    const beyondMs = stamp - (this.#clock.now() + this.#ahead)
    // The clock was ahead when the stamp was made. Time goes on from there and does not stand still.
    if (stamp > this.#last && beyondMs >= jumpMinMs) this.#shift(-beyondMs)
    return this.#reach(stamp)
  }

  /**
   * Takes the machine's clock as right. Returns by how many ms the time leaps forward. It never goes
   * back: if the machine's clock is behind, time goes at half speed until that has caught up.
   */
  follow(): number {
    const before = this.now()
    if (this.#ahead > 0) this.#slowSince ??= this.#clock.monotonic()
    else this.#ahead = 0
    return this.now() - before
  }

  /** Calls `told` at each jump, in place of the listener before it. */
  listen(told: (jump: ClockJump) => void): void {
    this.#told = told
  }

  #reach(time: number): number {
    if (time > this.#last) this.#last = time
    return this.#last
  }

  /** Gives up one ms of the lead in two. */
  #slow(since: number): void {
    const lostMs = Math.min(this.#ahead, Math.floor((this.#clock.monotonic() - since) / 2))
    this.#ahead -= lostMs
    this.#slowSince = this.#ahead > 0 ? since + 2 * lostMs : undefined
  }

  #look(wall: number): void {
    const monotonic = this.#clock.monotonic()
    const jumpMs = Math.round(wall - this.#wall - (monotonic - this.#monotonic))
    this.#wall = wall
    this.#monotonic = monotonic
    if (Math.abs(jumpMs) >= jumpMinMs) this.#shift(jumpMs)
  }

  /** The machine's clock is off by `jumpMs`, and this time is not. */
  #shift(jumpMs: number): void {
    const ahead = this.#ahead - jumpMs
    // A jump that was undone leaves nothing behind.
    this.#ahead = Math.abs(ahead) < jumpMinMs ? 0 : ahead
    this.#told?.({ jumpMs, aheadMs: this.#ahead })
  }
}
