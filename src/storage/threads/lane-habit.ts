/**
 * Whether waiting awake pays. It saves two wake-ups of a thread where a processor is free for it; where none is, it takes
 * the time of the very thread that is waited for; on a slow disk it saves nothing worth having. Which of these holds nobody
 * knows beforehand, and it changes: so now and then some waits are spent in turns one way and the other, side by side, so
 * that both meet the same weather, and the better way is the habit until the next trial. Pure.
 */

/** Waits from one trial to the next: the more often the outcome was the same, the more. */
const periodMin = 128
const periodMax = 4_096
/** Waits of a trial, half of them awake, and how many are spent the same way in a row: the other side follows one later. */
const trial = 32
const run = 4

/** Waiting awake costs a processor: it has to be that much shorter. */
const worthwhile = 0.9

/** The longest wait, in ms, that is spent awake. */
export const awakeMsMax = 0.4

/** Knows how the next wait is best spent. */
export class LaneHabit {
  #isAwake = false
  #period = periodMin
  /** Waits since the last trial began. */
  #waits = 0
  #awake: number[] = []
  #asleep: number[] = []

  /** Whether to spend the wait that begins now awake. */
  choose(): boolean {
    if (this.#waits === this.#period) this.#waits = 0
    // Here, not where the last of them is learned: a wait that was chosen may turn out to be none, and is never learned.
    if (this.#waits === trial) this.#decide()
    const at = this.#waits++
    return at < trial ? at % (2 * run) >= run : this.#isAwake
  }

  /** The wait that was chosen last was spent like this and took so many ms. */
  learn(wasAwake: boolean, ms: number): void {
    if (this.#waits > trial) return
    if (wasAwake) this.#awake.push(ms)
    else this.#asleep.push(ms)
  }

  #decide(): void {
    const awakeMs = middle(this.#awake)
    const isBetter = awakeMs < awakeMsMax && awakeMs < worthwhile * middle(this.#asleep)
    this.#period = isBetter === this.#isAwake ? Math.min(2 * this.#period, periodMax) : periodMin
    this.#isAwake = isBetter
    this.#awake = []
    this.#asleep = []
  }
}

/** Half of the figures are greater: one hiccup among them changes no habit. */
const middle = (figures: number[]): number =>
  figures.sort((left, right) => left - right)[figures.length >> 1] ?? Number.POSITIVE_INFINITY
