/**
 * The thread's side of a lane: takes commits out of it in the order in which all requests were made, and answers there.
 * It stays awake for the next one when who asks does, and the last came soon after the answer before it.
 */
import type { Clock } from '../clock.ts'
import { CommitLane, laneSides } from './commit-lane.ts'
import { awakeMsMax } from './lane-habit.ts'
import { LaneLookout } from './lane-lookout.ts'
import type { CommitRequest } from './log-host.ts'
import type { PackedCommit } from './log-wire.ts'

/** What a server needs. */
export type LaneServerParts = {
  /** Wakes the asker. */
  readonly ring: () => void
  /** Takes a commit, to be answered by `answering`. */
  readonly take: (id: number, request: CommitRequest) => void
}

/** Serves one lane. */
export class LaneServer {
  readonly #lane: CommitLane
  readonly #clock: Clock
  readonly #parts: LaneServerParts
  readonly #lookout: LaneLookout
  /** The last request that was taken, from the lane or as a message. */
  #lastId = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  #staysAwake = false

  constructor(memory: SharedArrayBuffer, clock: Clock, parts: LaneServerParts) {
    const lane = new CommitLane(memory)
    this.#lane = lane
    this.#clock = clock
    this.#parts = parts
    this.#lookout = new LaneLookout({ lane, clock, side: laneSides.thread, look: this.look })
  }

  /** Takes what is in the lane, if it is what comes next. */
  readonly look = (): boolean => {
    const next = this.#lane.take(this.#lastId + 1)
    if (!next) return false
    this.#lastId = next.id
    this.#staysAwake = next.isAwake && this.#clock.monotonic() - this.#answeredAt < awakeMsMax
    this.#parts.take(next.id, next.request)
    return true
  }

  /** A request came as a message. */
  passed(id: number): void {
    this.#lastId = id
  }

  /** Answers the commit that was taken; false when this answer has to be a message. */
  readonly answering = (answer: unknown): boolean => {
    // A commit is answered with a commit.
    if (!this.#lane.answer(answer as PackedCommit)) return false
    if (!this.#lane.isAwake(laneSides.asker)) this.#parts.ring()
    this.#answeredAt = this.#clock.monotonic()
    if (this.#staysAwake) this.#lookout.stayAwake(awakeMsMax)
    return true
  }
}
