/**
 * The thread's side of a lane: takes commits out of it in the order in which all requests were made, and answers there.
 * It stays awake for the next one when who asks does, and the last came soon after the answer before it.
 */
import type { Clock } from '../../clock.ts'
import type { CommitRequest } from '../ports/log-host.ts'
import { CommitLane, laneSides } from './commit-lane.ts'
import type { CommitSlot } from './commit-slot.ts'
import { awakeMsMax } from './lane-habit.ts'
import { LaneLookout } from './lane-lookout.ts'
import type { PackedCommit } from './log-wire.ts'

/** Answers by the lane; false when this answer has to be a message. */
export type AnswerByLane = (answer: unknown) => boolean

/** What a server needs. */
export type LaneServerParts = {
  /** Wakes the asker. */
  readonly ring: () => void
  /** Takes a commit, to be answered by `byLane`. */
  readonly take: (id: number, request: CommitRequest, byLane: AnswerByLane) => void
}

/** Serves one lane. */
export class LaneServer {
  readonly #lane: CommitLane
  readonly #clock: Clock
  readonly #parts: LaneServerParts
  readonly #lookout: LaneLookout
  readonly #slots: readonly { readonly slot: CommitSlot; readonly byLane: AnswerByLane }[]
  /** The last request that was taken, from the lane or as a message. */
  #lastId = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  #staysAwake = false

  constructor(memory: SharedArrayBuffer, clock: Clock, parts: LaneServerParts) {
    const lane = new CommitLane(memory)
    this.#lane = lane
    this.#clock = clock
    this.#parts = parts
    this.#slots = lane.slots.map((slot) => ({
      slot,
      byLane: (answer) => this.#answer(slot, answer),
    }))
    this.#lookout = new LaneLookout({ lane, clock, side: laneSides.thread, look: this.look })
  }

  /** Takes what is in the lane as far as it is what comes next. */
  readonly look = (): boolean => {
    if (!this.#takeNext()) return false
    // Not all that may come meanwhile: the loop has other things to do.
    for (let more = 1; more < this.#slots.length && this.#takeNext(); more++);
    return true
  }

  /** A request came as a message. */
  passed(id: number): void {
    this.#lastId = id
  }

  #takeNext(): boolean {
    for (const { slot, byLane } of this.#slots) {
      const next = slot.take(this.#lastId + 1)
      if (!next) continue
      this.#lastId = next.id
      this.#staysAwake = next.isAwake && this.#clock.monotonic() - this.#answeredAt < awakeMsMax
      this.#parts.take(next.id, next.request, byLane)
      return true
    }
    return false
  }

  #answer(slot: CommitSlot, answer: unknown): boolean {
    // A commit is answered with a commit.
    if (!slot.answer(answer as PackedCommit)) return false
    if (!this.#lane.isAwake(laneSides.asker)) this.#parts.ring()
    this.#answeredAt = this.#clock.monotonic()
    if (this.#staysAwake) this.#lookout.stayAwake(awakeMsMax)
    return true
  }
}
