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
  /** How far this time is ahead of the machine's clock. */
  #ahead = 0
  /** How far it was ahead at its beginning. */
  #begunAhead = 0
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
   * Begins as at a start. `aheadMs`: how far it is ahead of the machine's clock then. What
   * the clock did before does not count.
   */
  begin(aheadMs = 0): void {
    this.#last = 0
    this.#ahead = aheadMs
    this.#begunAhead = aheadMs
    this.#wall = this.#clock.now()
    this.#monotonic = this.#clock.monotonic()
    this.#slowSince = undefined
    this.#armAgain()
  }

  /**
   * The time of day in ms since 1970. It is `now` without the lead that the shard has had since its start:
   * that came from stamps of a wrong clock. A clock that is set since then changes neither.
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
    const isAhead = stamp > this.#last && beyondMs >= stepMinMs
    if (isAhead) this.#shift(-beyondMs)
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
    if (this.#ahead > 0) this.#goSlower(acceptedPace)
    else this.#ahead = 0
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

  /** The part of the lead at its beginning that is left. */
  get #lead(): number {
    return Math.max(0, Math.min(this.#begunAhead, this.#ahead))
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
