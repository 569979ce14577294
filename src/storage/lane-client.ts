/**
 * The asking side of a lane: commits that are small go through shared memory, all else by message. Whether both sides wait
 * awake for each other is its habit to know (`lane-habit.ts`).
 */
import type { Clock } from '../clock.ts'
import { CommitLane, laneSides } from './commit-lane.ts'
import { awakeMsMax, LaneHabit } from './lane-habit.ts'
import { LaneLookout } from './lane-lookout.ts'
import type { CommitRequest } from './log-host.ts'
import type { Byway, Question } from './worker-thread.ts'

/** What is under way. */
type UnderWay = {
  readonly id: number
  readonly request: CommitRequest
  readonly began: number
  readonly isAwake: boolean
}

/** The byway of a log's host. `mayStayAwake`: there is a processor to spare. */
export class LaneClient implements Byway {
  readonly #lane: CommitLane
  readonly #clock: Clock
  readonly #lookout: LaneLookout
  readonly #mayStayAwake: boolean
  #settle: (id: number, answer: unknown) => void = () => undefined
  readonly #habit = new LaneHabit()
  #underWay: UnderWay | undefined

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
    const isAwake = this.#mayStayAwake && this.#habit.choose()
    if (!this.#lane.offer(id, asked, isAwake)) return false
    this.#underWay = { id, request: asked, began: this.#clock.monotonic(), isAwake }
    // A thread that has to be woken may need this very processor for it: who rings does not look out.
    if (!this.#lane.isAwake(laneSides.thread)) ring()
    else if (isAwake) this.#lookout.stayAwake(awakeMsMax)
    return true
  }

  look(): boolean {
    const answer = this.#lane.collect()
    if (!answer || !this.#underWay) return false
    const { request } = this.#underWay
    this.#end(this.#underWay)
    // Nothing was given away; whoever gave it may have it back.
    const spent = request.isGiven === true ? { bytes: request.bytes } : {}
    this.#settle(answer.id, { ...answer.commit, ...spent })
    return true
  }

  forget(id: number): void {
    if (this.#underWay?.id !== id) return
    this.#lane.free()
    this.#end(this.#underWay)
  }

  #end({ began, isAwake }: UnderWay): void {
    this.#habit.learn(isAwake, this.#clock.monotonic() - began)
    this.#underWay = undefined
    this.#lookout.sleepSoon()
  }
}
