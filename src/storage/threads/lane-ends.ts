/**
 * The two ends of a lane: the host's end offers small commits, the thread's end takes and answers
 * them. Both keep the order in which requests were made, also between the lane and messages. They
 * are apart from `thread-log-host.ts` because each end is right only beside the other one.
 */
import type { Clock } from '../../clock.ts'
import type { CommitRequest } from '../ports/log-host.ts'
import { Lane, type LaneSide, type LaneSlot, laneSides } from './lane.ts'
import type { PackedCommit } from './log-wire.ts'
import type { FastPath, Question } from './worker-thread.ts'

// How a side of a lane waits: it polls or it sleeps. Polling saves two thread wake-ups of about 20
// µs each, if a processor is free for it. If none is free, polling takes the time of the thread
// that it waits for. On a slow disk it saves nothing worth having. So short trials measure both
// ways under the same load, and the better one wins.

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

/** A commit in flight. */
type InFlight = {
  readonly id: number
  /** Absent for a commit that went as a message. Later answers wait for its answer. */
  readonly slot: LaneSlot | undefined
  readonly request: CommitRequest
  readonly began: number
  readonly polls: boolean
  /** No other commit was in flight when it began, so its time says how long a wait takes. */
  readonly isAlone: boolean
}

/** The host's end: the fast path of a log's host. */
export class LaneClient implements FastPath {
  readonly #lane: Lane
  readonly #clock: Clock
  readonly #poller: LanePoller
  readonly #mayPoll: boolean
  #settle: (id: number, answer: unknown) => void = () => undefined
  readonly #habit = new PollHabit()
  readonly #limit = new PollLimit()
  /** In the order in which they were offered, which is the order in which they are settled. */
  #inFlight: InFlight[] = []

  /** `mayPoll`: the machine has more than one processor. */
  constructor(memory: SharedArrayBuffer, clock: Clock, mayPoll: boolean) {
    const lane = new Lane(memory)
    this.#lane = lane
    this.#clock = clock
    this.#mayPoll = mayPoll
    this.#poller = new LanePoller({ lane, clock, side: laneSides.host, poll: () => this.poll() })
  }

  onAnswer(settle: (id: number, answer: unknown) => void): void {
    this.#settle = settle
  }

  offer({ id, kind, request }: Question, wake: () => void): boolean {
    if (kind !== 'commit') return false
    // The host sends a commit's request with a commit.
    const commit = request as CommitRequest
    const first = this.#inFlight[0]
    const polls = first ? first.polls : this.#mayPoll && this.#habit.choose()
    const slot = this.#lane.slots.find((free) => free.offer(id, commit, polls))
    const began = this.#clock.monotonic()
    const isAlone = !first && slot !== undefined
    this.#inFlight.push({ id, slot, request: commit, began, polls: polls && !!slot, isAlone })
    if (!slot) return false
    // A thread that must be woken may need this very processor, so a host that wakes it does not
    // poll.
    if (!this.#lane.isPolling(laneSides.thread)) wake()
    else if (polls) this.#poller.pollFor(this.#limit.ms)
    return true
  }

  poll(): boolean {
    let isAny = false
    for (let first = this.#inFlight[0]; first; first = this.#inFlight[0]) {
      const answer = first.slot?.collect()
      if (!answer) break
      isAny = true
      this.#end(first)
      const { isGiven, bytes } = first.request
      // The lane copied the bytes, so memory that was given goes back to its owner.
      this.#settle(answer.id, isGiven === true ? { bytes, ...answer.commit } : answer.commit)
    }
    return isAny
  }

  forget(id: number): void {
    const ended = this.#inFlight.find((commit) => commit.id === id)
    if (!ended) return
    ended.slot?.free()
    this.#end(ended)
  }

  #end(ended: InFlight): void {
    const { began, polls, isAlone } = ended
    if (isAlone) {
      const ms = this.#clock.monotonic() - began
      this.#habit.learn(polls, ms)
      if (!polls) this.#limit.learn(ms)
    }
    this.#inFlight = this.#inFlight.filter((commit) => commit !== ended)
    if (this.#inFlight.length === 0) this.#poller.stop()
  }
}

/** Answers by the lane. False when the answer must be a message. */
export type AnswerByLane = (answer: unknown) => boolean

/** The parts of the thread's end. */
export type LaneServerParts = {
  /** Wakes the host. */
  readonly wake: () => void
  /** Takes a commit, which `byLane` answers. */
  readonly take: (id: number, request: CommitRequest, byLane: AnswerByLane) => void
}

/**
 * The thread's end. It polls if the host polls and if the last commit followed soon after an
 * answer.
 */
export class LaneServer {
  readonly #lane: Lane
  readonly #clock: Clock
  readonly #parts: LaneServerParts
  readonly #poller: LanePoller
  readonly #slots: readonly { readonly slot: LaneSlot; readonly byLane: AnswerByLane }[]
  /** The last request that was taken, from the lane or as a message. */
  #lastId = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  #polls = false
  readonly #limit = new PollLimit()

  constructor(memory: SharedArrayBuffer, clock: Clock, parts: LaneServerParts) {
    const lane = new Lane(memory)
    this.#lane = lane
    this.#clock = clock
    this.#parts = parts
    this.#slots = lane.slots.map((slot) => ({
      slot,
      byLane: (answer) => this.#answer(slot, answer),
    }))
    this.#poller = new LanePoller({ lane, clock, side: laneSides.thread, poll: this.poll })
  }

  /** Takes the commits in the lane that are next in order. Returns whether there was one. */
  readonly poll = (): boolean => {
    if (!this.#takeNext()) return false
    // At most one for each slot, so that the event loop has its turn under load.
    for (let more = 1; more < this.#slots.length && this.#takeNext(); more++);
    return true
  }

  /** Request `id` came as a message. */
  passed(id: number): void {
    this.#lastId = id
  }

  #takeNext(): boolean {
    for (const { slot, byLane } of this.#slots) {
      const next = slot.take(this.#lastId + 1)
      if (!next) continue
      this.#lastId = next.id
      const ms = this.#clock.monotonic() - this.#answeredAt
      if (!this.#polls) this.#limit.learn(ms)
      this.#polls = next.hostPolls && ms < pollMsMax
      this.#parts.take(next.id, next.request, byLane)
      return true
    }
    return false
  }

  #answer(slot: LaneSlot, answer: unknown): boolean {
    // A commit's answer is a packed commit.
    if (!slot.answer(answer as PackedCommit)) return false
    if (!this.#lane.isPolling(laneSides.host)) this.#parts.wake()
    this.#answeredAt = this.#clock.monotonic()
    if (this.#polls) this.#poller.pollFor(this.#limit.ms)
    return true
  }
}
