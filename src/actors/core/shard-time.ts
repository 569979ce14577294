/**
 * The time of a shard. It follows the machine's clock and never goes back. When that clock is set,
 * the shard's time does not jump with it: it goes on by the monotonic clock, so that nothing
 * expires at once and no lease becomes longer, until `follow` accepts the clock. It never stands
 * still: time that is ahead of an accepted clock goes at half speed until that has caught up. A step
 * back of less than a minute needs no acceptance: time goes a tenth slower until it is made up.
 */
import type { Clock } from '../../clock.ts'

/**
 * A jump of the machine's clock by `jumpMs`, negative if it went back. The shard's time is `aheadMs`
 * ahead of the machine's clock from now on, negative if behind.
 */
export type ClockJump = { readonly jumpMs: number; readonly aheadMs: number }

/** Smaller steps of the machine's clock are followed: forward at once, back by going slower. */
const jumpMinMs = 60_000

/** Smaller differences of the two clocks are their drift. */
const stepMinMs = 100

/** Of so many ms one is given up: of a lead on an accepted clock, and after a small step back. */
const acceptedPace = 2
const steppedPace = 10

/** The two clocks are compared once in so many ms: a read has no time for it. */
const lookMs = 1_000

/** The time of one shard. */
export class ShardTime {
  readonly #clock: Clock
  /** The latest time that was taken or given out. */
  #last = 0
  /** How far this time is ahead of the machine's clock. */
  #ahead = 0
  /** The times of the two clocks at their last comparison. */
  #wall = 0
  #monotonic = 0
  /** Until where the monotonic clock was counted for a lower speed; `undefined` at full speed. */
  #slowSince: number | undefined
  #pace = steppedPace
  #listener: ((jump: ClockJump) => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.begin()
  }

  /**
   * Begins as at a start. `aheadMs`: how far it is ahead of the machine's clock then. What
   * the clock did before does not count.
   */
  begin(aheadMs = 0): void {
    this.#last = 0
    this.#ahead = aheadMs
    this.#wall = this.#clock.now()
    this.#monotonic = this.#clock.monotonic()
    this.#slowSince = undefined
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
    // The clock was ahead when the stamp was made. Time goes on from there without a stop.
    if (stamp > this.#last && beyondMs >= stepMinMs) this.#shift(-beyondMs)
    return this.#reach(stamp)
  }

  /**
   * Takes the machine's clock as right. Returns by how many ms the time leaps forward. It never goes
   * back: if the machine's clock is behind, time goes at half speed until that has caught up.
   */
  follow(): number {
    const before = this.now()
    if (this.#ahead > 0) this.#goSlower(acceptedPace)
    else this.#ahead = 0
    return this.now() - before
  }

  /** Calls `listener` at each jump, in place of the listener before it. */
  listen(listener: (jump: ClockJump) => void): void {
    this.#listener = listener
  }

  #reach(time: number): number {
    if (time > this.#last) this.#last = time
    return this.#last
  }

  #goSlower(pace: number): void {
    this.#slowSince ??= this.#clock.monotonic()
    this.#pace = pace
  }

  /** Gives up one ms of the lead in so many as the pace says. */
  #slow(since: number): void {
    const passedMs = this.#clock.monotonic() - since
    const lostMs = Math.max(0, Math.min(this.#ahead, Math.floor(passedMs / this.#pace)))
    this.#ahead -= lostMs
    this.#slowSince = this.#ahead > 0 ? since + this.#pace * lostMs : undefined
  }

  #look(wall: number): void {
    const monotonic = this.#clock.monotonic()
    const jumpMs = Math.round(wall - this.#wall - (monotonic - this.#monotonic))
    this.#wall = wall
    this.#monotonic = monotonic
    const isForward = jumpMs > 0 && jumpMs < jumpMinMs
    // A small step forward is followed, and makes up for one back.
    if (isForward && this.#ahead <= 0) return
    if (Math.abs(jumpMs) >= stepMinMs) this.#shift(jumpMs)
  }

  /** The machine's clock is off by `jumpMs`, and this time is not. */
  #shift(jumpMs: number): void {
    const ahead = this.#ahead - jumpMs
    // A jump that was undone leaves no trace.
    this.#ahead = ahead > -jumpMinMs && ahead < stepMinMs ? 0 : ahead
    const isSmall = this.#ahead > 0 && this.#ahead < jumpMinMs
    if (isSmall) this.#goSlower(steppedPace)
    else if (this.#pace === steppedPace) this.#slowSince = undefined
    this.#listener?.({ jumpMs, aheadMs: this.#ahead })
  }
}
