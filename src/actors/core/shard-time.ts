/**
 * The time of a shard. It follows the machine's clock and never goes back. When that clock is set,
 * the shard's time does not jump with it: it goes on by the monotonic clock, so that nothing
 * expires at once and no lease becomes longer, until `follow` accepts the clock. It never stands
 * still: time that is ahead of an accepted clock goes at half speed until that has caught up. A step
 * back of less than a minute needs no acceptance: time goes a tenth slower until it is made up.
 */
import type { Cancel, Clock } from '../../clock.ts'

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

const unheld = { holdsProcess: false } as const

/** A wait until the time of a shard has come to `at`. */
type Wait = { readonly at: number; readonly action: () => void; disarm: Cancel }

/** The time of one shard. */
export class ShardTime {
  readonly #clock: Clock
  /** The latest time that was taken or given out. */
  #last = 0
  /** How far `wall` is ahead of the machine's clock. */
  #ahead = 0
  /** How far `now` is ahead of `wall`. */
  #lead = 0
  /** The times of the two clocks at their last comparison. */
  #wall = 0
  #monotonic = 0
  /** Until where the monotonic clock was counted for a lower speed; `undefined` at full speed. */
  #slowSince: number | undefined
  #pace = steppedPace
  #listener: ((jump: ClockJump) => void) | undefined
  readonly #waits = new Set<Wait>()
  /** Ends the watch of the machine's clock; `undefined` while nobody waits. */
  #unwatch: Cancel | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.begin()
  }

  /**
   * Begins as at a start. `wallAheadMs`: how far `wall` is ahead of the machine's clock then. What
   * the clock did before does not count.
   */
  begin(wallAheadMs = 0): void {
    this.#last = 0
    this.#ahead = wallAheadMs
    this.#lead = 0
    this.#wall = this.#clock.now()
    this.#monotonic = this.#clock.monotonic()
    this.#slowSince = undefined
    this.#armAgain()
  }

  /**
   * The time of day in ms since 1970: `now` without the lead that came from stamps of a clock that was
   * ahead. It goes back at a start or with another member, and only there. Times that users see, or that
   * shards compare, go by it.
   */
  wall(): number {
    return this.now() - this.#lead
  }

  /** The time of this shard at a time of day. */
  ofWall(time: number): number {
    return time + this.#lead
  }

  /** How far this time is ahead of the machine's clock, in ms; negative if behind. */
  get aheadMs(): number {
    this.now()
    return this.#ahead + this.#lead
  }

  /** As `aheadMs`, of `wall`. */
  get wallAheadMs(): number {
    this.now()
    return this.#ahead
  }

  /** The time in ms since 1970. */
  now(): number {
    const wall = this.#clock.now()
    if (wall < this.#wall || wall - this.#wall >= lookMs) this.#look(wall)
    if (this.#slowSince !== undefined) this.#slow(this.#slowSince)
    return this.#reach(wall + this.#ahead + this.#lead)
  }

  /** Takes a stamp into account. Returns the time, which is never less. */
  observe(stamp: number): number {
    const beyondMs = stamp - (this.#clock.now() + this.#ahead + this.#lead)
    // The clock was ahead when the stamp was made. Time goes on from there without a stop.
    const isAhead = stamp > this.#last && beyondMs >= stepMinMs
    if (isAhead) {
      this.#lead += beyondMs
      this.#shifted(-beyondMs)
    }
    const time = this.#reach(stamp)
    if (isAhead) this.#armAgain()
    return time
  }

  /**
   * Takes the machine's clock as right. Returns by how many ms the time leaps forward. It never goes
   * back: if the machine's clock is behind, time goes at half speed until that has caught up.
   */
  follow(): number {
    const before = this.now()
    if (this.#ahead < 0) {
      // `wall` leaps. `now` leaps as far as it is not there yet.
      this.#lead = Math.max(0, this.#lead + this.#ahead)
      this.#ahead = 0
    }
    if (this.#ahead + this.#lead > 0) this.#goSlower(acceptedPace)
    const leaptMs = this.now() - before
    this.#armAgain()
    return leaptMs
  }

  /**
   * Calls `action` once, when this time has come to `at`, in a separate turn. However the machine's
   * clock is set meanwhile, it is called neither before that time nor more than a second after it.
   * Does not hold the process open. Returns the function that ends the wait.
   */
  at(at: number, action: () => void): Cancel {
    const wait: Wait = { at, action, disarm: () => undefined }
    this.#waits.add(wait)
    this.#unwatch ??= this.#clock.whenSet(() => this.#armAgain())
    this.#arm(wait)
    return () => {
      wait.disarm()
      this.#ends(wait)
    }
  }

  /** Calls `listener` at each jump, in place of the listener before it. */
  listen(listener: (jump: ClockJump) => void): void {
    this.#listener = listener
  }

  /** This time may go slower than the clock of the timer: then it is not yet there, and waits again. */
  #arm(wait: Wait): void {
    const ring = (): void => {
      if (this.now() < wait.at) this.#arm(wait)
      else {
        this.#ends(wait)
        wait.action()
      }
    }
    wait.disarm = this.#clock.after(Math.max(0, wait.at - this.now()), ring, unheld)
  }

  /** This time has moved against the clock of the timers. */
  #armAgain(): void {
    for (const wait of this.#waits) {
      wait.disarm()
      this.#arm(wait)
    }
  }

  #ends(wait: Wait): void {
    if (!this.#waits.delete(wait) || this.#waits.size > 0) return
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  #reach(time: number): number {
    if (time > this.#last) this.#last = time
    return this.#last
  }

  #goSlower(pace: number): void {
    this.#slowSince ??= this.#clock.monotonic()
    this.#pace = pace
  }

  /** Gives up one ms in so many as the pace says: first of what `wall` is ahead, then of the lead. */
  #slow(since: number): void {
    const passedMs = this.#clock.monotonic() - since
    const ahead = this.#ahead + this.#lead
    const lostMs = Math.max(0, Math.min(ahead, Math.floor(passedMs / this.#pace)))
    const ofWallMs = Math.min(lostMs, Math.max(0, this.#ahead))
    this.#ahead -= ofWallMs
    this.#lead -= lostMs - ofWallMs
    this.#slowSince = lostMs < ahead ? since + this.#pace * lostMs : undefined
  }

  #look(wall: number): void {
    const monotonic = this.#clock.monotonic()
    const jumpMs = Math.round(wall - this.#wall - (monotonic - this.#monotonic))
    this.#wall = wall
    this.#monotonic = monotonic
    const isForward = jumpMs > 0 && jumpMs < jumpMinMs
    // A small step forward is followed, and makes up for one back.
    if (isForward && this.#ahead <= 0) return
    if (Math.abs(jumpMs) < stepMinMs) return
    const ahead = this.#ahead - jumpMs
    // A jump that was undone leaves no trace.
    this.#ahead = ahead > -jumpMinMs && ahead < stepMinMs ? 0 : ahead
    this.#shifted(jumpMs)
  }

  /** The machine's clock is off by `jumpMs`, and this time is not. */
  #shifted(jumpMs: number): void {
    const aheadMs = this.#ahead + this.#lead
    const isSmall = aheadMs > 0 && aheadMs < jumpMinMs
    if (isSmall) this.#goSlower(steppedPace)
    else if (this.#pace === steppedPace) this.#slowSince = undefined
    this.#listener?.({ jumpMs, aheadMs })
  }
}
