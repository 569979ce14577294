/**
 * The two ends of a lane: the host's end offers small commits, the thread's end takes and answers
 * them. Both keep the order in which requests were made, also between the lane and messages.
 */
import type { Clock } from '../../clock.ts'
import type { CommitRequest } from '../ports/log-host.ts'
import { Lane, type LaneSlot, laneSides } from './lane.ts'
import { LanePoller, PollHabit, PollLimit, pollMsMax } from './lane-waiting.ts'
import type { PackedCommit } from './log-wire.ts'
import type { FastPath, Question } from './worker-thread.ts'

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
