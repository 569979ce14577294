/**
 * The asking side of a lane: commits that are small go through shared memory, all else by message. Whether both sides wait
 * awake for each other is its habit to know (`lane-habit.ts`).
 */
import type { Clock } from '../../clock.ts'
import type { CommitRequest } from '../ports/log-host.ts'
import { CommitLane, laneSides } from './commit-lane.ts'
import type { CommitSlot } from './commit-slot.ts'
import { awakeMsMax, LaneHabit } from './lane-habit.ts'
import { LaneLookout } from './lane-lookout.ts'
import type { Byway, Question } from './worker-thread.ts'

/** A commit that is under way. */
type UnderWay = {
  readonly id: number
  readonly slot: CommitSlot
  readonly request: CommitRequest
  readonly began: number
  readonly isAwake: boolean
  /** No other was under way when it began, so its time tells something about the wait. */
  readonly isAlone: boolean
}

/** The byway of a log's host. `mayStayAwake`: there is a processor to spare. */
export class LaneClient implements Byway {
  readonly #lane: CommitLane
  readonly #clock: Clock
  readonly #lookout: LaneLookout
  readonly #mayStayAwake: boolean
  #settle: (id: number, answer: unknown) => void = () => undefined
  readonly #habit = new LaneHabit()
  /** In the order in which they were offered, which is the one in which they are settled. */
  #underWay: UnderWay[] = []

  constructor(memory: SharedArrayBuffer, clock: Clock, mayStayAwake: boolean) {
    const lane = new CommitLane(memory)
    this.#lane = lane
    this.#clock = clock
    this.#mayStayAwake = mayStayAwake
    this.#lookout = new LaneLookout({ lane, clock, side: laneSides.asker, look: () => this.look() })
  }

  settleBy(settle: (id: number, answer: unknown) => void): void {
    this.#settle = settle
  }

  offer({ id, kind, request }: Question, ring: () => void): boolean {
    if (kind !== 'commit') return false
    // The host asks for a commit with a commit's request.
    const asked = request as CommitRequest
    const first = this.#underWay[0]
    const isAwake = first ? first.isAwake : this.#mayStayAwake && this.#habit.choose()
    const slot = this.#offered(id, asked, isAwake)
    if (!slot) return false
    const began = this.#clock.monotonic()
    this.#underWay.push({ id, slot, request: asked, began, isAwake, isAlone: !first })
    // A thread that has to be woken may need this very processor for it: who rings does not look out.
    if (!this.#lane.isAwake(laneSides.thread)) ring()
    else if (isAwake) this.#lookout.stayAwake(awakeMsMax)
    return true
  }

  look(): boolean {
    let isAny = false
    for (let first = this.#underWay[0]; first; first = this.#underWay[0]) {
      const answer = first.slot.collect()
      if (!answer) break
      isAny = true
      this.#end(first)
      const { isGiven, bytes } = first.request
      // Nothing was given away; whoever gave it may have it back.
      this.#settle(answer.id, isGiven === true ? { bytes, ...answer.commit } : answer.commit)
    }
    return isAny
  }

  forget(id: number): void {
    const ended = this.#underWay.find((commit) => commit.id === id)
    if (!ended) return
    ended.slot.free()
    this.#end(ended)
  }

  #offered(id: number, request: CommitRequest, isAwake: boolean): CommitSlot | undefined {
    for (const slot of this.#lane.slots) if (slot.offer(id, request, isAwake)) return slot
    return undefined
  }

  #end(ended: UnderWay): void {
    const { began, isAwake, isAlone } = ended
    if (isAlone) this.#habit.learn(isAwake, this.#clock.monotonic() - began)
    this.#underWay = this.#underWay.filter((commit) => commit !== ended)
    if (this.#underWay.length === 0) this.#lookout.sleepSoon()
  }
}
