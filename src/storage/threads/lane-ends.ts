/**
 * The two ends of a lane: the host's end offers small commits, the thread's end takes and answers
 * them. Both keep the order in which requests were made, also between the lane and messages. They
 * are apart from `thread-log-host.ts` because each end is right only beside the other one.
 */
import type { Clock } from '../../clock.ts'
import type { CommitRequest } from '../ports/log-host.ts'
import { type LaneSignal, type LaneSlot, laneSlots, signalsIn } from './lane.ts'
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
  /** The signal of its side. */
  readonly signal: LaneSignal
  readonly clock: Clock
  /** Handles what has arrived. Returns whether there was anything. */
  readonly poll: () => boolean
}

/** Reading the clock allocates, so it is read once for so many polls. */
const pollsPerReading = 1_000

/**
 * Polls one side's lanes, in each turn of its event loop, for a limited time. Stopped at first: then
 * a message wakes the side.
 */
export class LanePoller {
  readonly #parts: PollerParts
  /** How often the signal was raised when the side last looked at its lanes. */
  #seen = 0
  #until = 0
  #isPolling = false

  constructor(parts: PollerParts) {
    this.#parts = parts
  }

  /** Polls in each turn for `ms` from now on. */
  pollFor(ms: number): void {
    const { signal, clock } = this.#parts
    this.#until = clock.monotonic() + ms
    if (this.#isPolling) return
    this.#isPolling = true
    signal.stayAwake()
    clock.soon(this.#turn)
  }

  /** A message woke this side. */
  woken(): void {
    if (!this.#isPolling) this.#parts.signal.sleep()
    this.#poll()
  }

  /** Stops polling at the end of the next turn. */
  stop(): void {
    this.#until = 0
  }

  readonly #turn = (): void => {
    const { signal, clock } = this.#parts
    const end = clock.monotonic() + turnMs
    while (!this.#pollOften() && clock.monotonic() < end);
    if (clock.monotonic() < this.#until) {
      clock.soon(this.#turn)
      return
    }
    this.#isPolling = false
    signal.sleep()
    // The other side may have written something, and sent no wake-up, just before it could see
    // this.
    this.#poll()
  }

  #pollOften(): boolean {
    for (let times = 0; times < pollsPerReading; times++) if (this.#poll()) return true
    return false
  }

  #poll(): boolean {
    const { signal, poll } = this.#parts
    const { raised } = signal
    if (raised === this.#seen) return false
    this.#seen = raised
    return poll()
  }
}

/**
 * With so many commits in flight on a thread, those of other logs had better wait and grow: one for
 * each thread that syncs, and one that follows it.
 */
const inFlightMax = 8

/** A commit in flight. */
type InFlight = {
  readonly id: number
  readonly request: CommitRequest
  /** Absent for a commit that went as a message. Later answers wait for its answer. */
  readonly slot: LaneSlot | undefined
  /** The wait of one in a slot. If no other one was in flight, its time says how long a wait takes. */
  readonly wait: { readonly began: number; readonly isAlone: boolean } | undefined
}

/**
 * The host's ends of all lanes of one thread. They wait for answers together: one message, or one
 * poll, brings the answers of many logs.
 */
export class LaneHost {
  readonly #clock: Clock
  readonly #mayPoll: boolean
  readonly #poller: LanePoller
  readonly #thread: LaneSignal
  readonly #habit = new PollHabit()
  readonly #limit = new PollLimit()
  /** The ends that wait for an answer. */
  readonly #waiting = new Set<LaneClient>()
  /** The ends whose commits wait, in the order in which they asked, and their `whenFree`. */
  readonly #held = new Map<LaneClient, () => void>()
  #inFlight = 0
  #polls = false

  /** `mayPoll`: the machine has more than one processor. */
  constructor(memory: SharedArrayBuffer, clock: Clock, mayPoll: boolean) {
    const { host, thread } = signalsIn(memory)
    this.#clock = clock
    this.#mayPoll = mayPoll
    this.#thread = thread
    this.#poller = new LanePoller({ signal: host, clock, poll: () => this.#poll() })
  }

  /** Returns whether the host polls for the answer to a commit that it is about to offer. */
  choose(): boolean {
    if (this.#inFlight === 0) this.#polls = this.#mayPoll && this.#habit.choose()
    return this.#polls
  }

  /** As `LogHost.isFree`, for `client`. */
  isFree(client: LaneClient, whenFree: () => void): boolean {
    if (this.#inFlight < inFlightMax) return true
    this.#held.set(client, whenFree)
    return false
  }

  /** `client` has offered a commit. */
  offered(client: LaneClient, wake: () => void): InFlight['wait'] {
    const isAlone = this.#inFlight++ === 0
    // The wake-up is a part of the wait: it takes time, and the thread may begin in it, on this very
    // processor. Without it a wait that sleeps would look short beside one that polls.
    const began = this.#clock.monotonic()
    this.#waiting.add(client)
    // A thread that must be woken may need this very processor, so a host that wakes it does not
    // poll.
    if (this.#thread.raise()) wake()
    else if (this.#polls) this.#poller.pollFor(this.#limit.ms)
    return { began, isAlone }
  }

  /** A commit of `client` was answered, or will not be. */
  ended(client: LaneClient, { began, isAlone }: NonNullable<InFlight['wait']>): void {
    this.#inFlight--
    if (client.isIdle) this.#waiting.delete(client)
    if (isAlone) {
      const ms = this.#clock.monotonic() - began
      this.#habit.learn(this.#polls, ms)
      if (!this.#polls) this.#limit.learn(ms)
    }
    if (this.#inFlight === 0) this.#poller.stop()
    this.#letGo()
  }

  /** One that goes may have no commit any more. So all go when nothing is in flight. */
  #letGo(): void {
    let free = this.#inFlight === 0 ? Number.POSITIVE_INFINITY : inFlightMax - this.#inFlight
    for (const [client, whenFree] of this.#held) {
      if (free-- <= 0) return
      this.#held.delete(client)
      whenFree()
    }
  }

  /** A message of the thread woke the host. */
  woken(): void {
    this.#poller.woken()
  }

  #poll(): boolean {
    let isAny = false
    for (const client of this.#waiting) if (client.poll()) isAny = true
    return isAny
  }
}

/** The host's end of one lane: the fast path of a log's host. */
export class LaneClient implements FastPath {
  readonly #slots: readonly LaneSlot[]
  readonly #host: LaneHost
  #settle: (id: number, answer: unknown) => void = () => undefined
  /** In the order in which they were offered, which is the order in which they are settled. */
  #inFlight: InFlight[] = []

  constructor(memory: SharedArrayBuffer, host: LaneHost) {
    this.#slots = laneSlots(memory)
    this.#host = host
  }

  /** Whether no commit of it is in flight. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0
  }

  /** As `LogHost.isFree`. */
  isFree(whenFree: () => void): boolean {
    return this.#host.isFree(this, whenFree)
  }

  onAnswer(settle: (id: number, answer: unknown) => void): void {
    this.#settle = settle
  }

  offer({ id, kind, request }: Question, wake: () => void): boolean {
    if (kind !== 'commit') return false
    // The host sends a commit's request with a commit.
    const commit = request as CommitRequest
    const polls = this.#host.choose()
    const slot = this.#slots.find((free) => free.offer(id, commit, polls))
    const wait = slot && this.#host.offered(this, wake)
    this.#inFlight.push({ id, slot, request: commit, wait })
    return slot !== undefined
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

  woken(): void {
    this.#host.woken()
  }

  forget(id: number): void {
    const ended = this.#inFlight.find((commit) => commit.id === id)
    if (!ended) return
    ended.slot?.free()
    this.#end(ended)
  }

  #end(ended: InFlight): void {
    this.#inFlight = this.#inFlight.filter((commit) => commit !== ended)
    if (ended.wait) this.#host.ended(this, ended.wait)
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
 * The thread's ends of all its lanes. It polls if the host polls and if the last commit followed
 * soon after an answer.
 */
export class LaneThread {
  readonly #clock: Clock
  readonly #poller: LanePoller
  readonly #host: LaneSignal
  readonly #servers = new Set<LaneServer>()
  #answeredAt = Number.NEGATIVE_INFINITY
  #polls = false
  readonly #limit = new PollLimit()

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    const { host, thread } = signalsIn(memory)
    this.#clock = clock
    this.#host = host
    this.#poller = new LanePoller({ signal: thread, clock, poll: () => this.#poll() })
  }

  /** Serves one more lane. */
  add(server: LaneServer): void {
    this.#servers.add(server)
  }

  /** A lane has ended. */
  delete(server: LaneServer): void {
    this.#servers.delete(server)
  }

  /** A message of the host woke the thread. */
  woken(): void {
    this.#poller.woken()
  }

  /** A commit was taken from a lane. */
  taken(hostPolls: boolean): void {
    const ms = this.#clock.monotonic() - this.#answeredAt
    if (!this.#polls) this.#limit.learn(ms)
    this.#polls = hostPolls && ms < pollMsMax
  }

  /** A commit was answered in its lane. */
  answered(wake: () => void): void {
    if (this.#host.raise()) wake()
    this.#answeredAt = this.#clock.monotonic()
    if (this.#polls) this.#poller.pollFor(this.#limit.ms)
  }

  #poll(): boolean {
    let isAny = false
    for (const server of this.#servers) if (server.poll()) isAny = true
    return isAny
  }
}

/** The thread's end of one lane. */
export class LaneServer {
  readonly #thread: LaneThread
  readonly #parts: LaneServerParts
  readonly #slots: readonly { readonly slot: LaneSlot; readonly byLane: AnswerByLane }[]
  /** The last request that was taken, from the lane or as a message. */
  #lastId = 0

  constructor(memory: SharedArrayBuffer, thread: LaneThread, parts: LaneServerParts) {
    this.#thread = thread
    this.#parts = parts
    this.#slots = laneSlots(memory).map((slot) => ({
      slot,
      byLane: (answer) => this.#answer(slot, answer),
    }))
    thread.add(this)
  }

  /** Takes the commits in the lane that are next in order. Returns whether there was one. */
  poll(): boolean {
    if (!this.#takeNext()) return false
    // At most one for each slot, so that the event loop has its turn under load.
    for (let more = 1; more < this.#slots.length && this.#takeNext(); more++);
    return true
  }

  /** Request `id` came as a message. */
  passed(id: number): void {
    this.#lastId = id
  }

  /** Takes nothing more. */
  end(): void {
    this.#thread.delete(this)
  }

  #takeNext(): boolean {
    for (const { slot, byLane } of this.#slots) {
      const next = slot.take(this.#lastId + 1)
      if (!next) continue
      this.#lastId = next.id
      this.#thread.taken(next.hostPolls)
      this.#parts.take(next.id, next.request, byLane)
      return true
    }
    return false
  }

  #answer(slot: LaneSlot, answer: unknown): boolean {
    // A commit's answer is a packed commit.
    if (!slot.answer(answer as PackedCommit)) return false
    this.#thread.answered(this.#parts.wake)
    return true
  }
}
