/**
 * How a side of a lane waits: it polls or it sleeps. Polling saves two thread wake-ups of about 20
 * µs each, if a processor is free for it. If none is free, polling takes the time of the thread
 * that it waits for. On a slow disk it saves nothing worth having. So short trials measure both
 * ways under the same load, and the better one wins.
 */
import type { Clock } from '../../clock.ts'
import type { Lane, LaneSide } from './lane.ts'

/** The longest wait, in ms, that is worth polling. */
export const pollMsMax = 0.6

/**
 * Waits from one trial to the next. The period doubles each time a trial confirms the one before.
 * Trials in a young process mislead, because its code is not compiled yet. So none counts for more
 * than a second or so.
 */
const periodMin = 128
const periodMax = 1_024
/**
 * Waits of a trial. Half of them poll, four in a row, because the other side adapts one wait later.
 */
const trialLength = 32
const runLength = 4

/** Polling occupies a processor, so its median must be below this share of the other. */
const worthwhile = 0.9

/** Decides for each wait whether to poll. Pure. */
export class PollHabit {
  #polls = false
  #period = periodMin
  /** Waits since the last trial began. */
  #waits = 0
  #polledMs: number[] = []
  #sleptMs: number[] = []

  /** Whether to poll during the wait that begins now. */
  choose(): boolean {
    if (this.#waits === this.#period) this.#waits = 0
    // Decided here and not in `learn`, because some chosen waits never happen and are never
    // learned.
    if (this.#waits === trialLength) this.#decide()
    const at = this.#waits++
    return at < trialLength ? at % (2 * runLength) >= runLength : this.#polls
  }

  /** The last chosen wait took `ms`. */
  learn(polled: boolean, ms: number): void {
    if (this.#waits > trialLength) return
    if (polled) this.#polledMs.push(ms)
    else this.#sleptMs.push(ms)
  }

  #decide(): void {
    const polledMs = median(this.#polledMs)
    const isBetter = polledMs < pollMsMax && polledMs < worthwhile * median(this.#sleptMs)
    this.#period = isBetter === this.#polls ? Math.min(2 * this.#period, periodMax) : periodMin
    this.#polls = isBetter
    this.#polledMs = []
    this.#sleptMs = []
  }
}

/** The upper median: a single slow wait does not change it. */
const median = (figures: number[]): number =>
  figures.sort((left, right) => left - right)[figures.length >> 1] ?? Number.POSITIVE_INFINITY

/**
 * How long one turn of the event loop polls, in ms. A single poll for each turn would cost more, in
 * turns and garbage, than it waits. Other work in the loop waits this long at most.
 */
const turnMs = 0.05

/** How quickly a limit follows the waits: by this part of the difference, each time. */
const limitPart = 16

/**
 * How long a poll goes on: twice as long as a wait that is spent asleep. The system may put both
 * sides on one processor, and then the other side runs only when the poll ends. So a poll that
 * lasts must end soon, and the waits that were polled say nothing: they take as long as the limit.
 * Pure.
 */
export class PollLimit {
  #sleptMs = pollMsMax / 2

  /** The limit in ms. */
  get ms(): number {
    return Math.min(pollMsMax, 2 * this.#sleptMs)
  }

  /** A wait that was spent asleep took `ms`. */
  learn(ms: number): void {
    this.#sleptMs += (Math.min(ms, pollMsMax) - this.#sleptMs) / limitPart
  }
}

/** The parts of a poller. */
export type PollerParts = {
  readonly lane: Lane
  readonly side: LaneSide
  readonly clock: Clock
  /** Handles what has arrived. Returns whether there was anything. */
  readonly poll: () => boolean
}

/** Reading the clock allocates, so it is read once for so many polls. */
const pollsPerReading = 1_000

/**
 * Polls one side of a lane, in each turn of its event loop, for a limited time. Stopped at first.
 */
export class LanePoller {
  readonly #parts: PollerParts
  #until = 0
  #isPolling = false

  constructor(parts: PollerParts) {
    this.#parts = parts
  }

  /** Polls in each turn for `ms` from now on. */
  pollFor(ms: number): void {
    const { lane, side, clock } = this.#parts
    this.#until = clock.monotonic() + ms
    if (this.#isPolling) return
    this.#isPolling = true
    lane.setPolling(side, true)
    clock.soon(this.#turn)
  }

  /** Stops polling at the end of the next turn. */
  stop(): void {
    this.#until = 0
  }

  readonly #turn = (): void => {
    const { lane, side, clock, poll } = this.#parts
    const end = clock.monotonic() + turnMs
    while (!this.#pollOften() && clock.monotonic() < end);
    if (clock.monotonic() < this.#until) {
      clock.soon(this.#turn)
      return
    }
    this.#isPolling = false
    lane.setPolling(side, false)
    // The other side may have written something, and sent no wake-up, just before it could see
    // this.
    poll()
  }

  #pollOften(): boolean {
    for (let times = 0; times < pollsPerReading; times++) if (this.#parts.poll()) return true
    return false
  }
}
