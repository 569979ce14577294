/**
 * The memory through which small commits go to the log's thread, and their answers back: two slots, so that one commit can
 * be on its way while another is being written, and a word for each side that says whether it is awake. A message between
 * threads costs two wake-ups and two clones, on a fast disk as much as the sync itself; here nothing is cloned, and a side
 * that is awake (`lane-lookout.ts`) needs no waking. Pure but for the memory that both sides share.
 */
import { CommitSlot, slotBytes } from './commit-slot.ts'

/** The two sides of a lane. */
export const laneSides = { asker: 0, thread: 1 } as const
/** One of them. */
export type LaneSide = (typeof laneSides)[keyof typeof laneSides]

const slotCount = 2

/** The words that are read and written with `Atomics`: which sides are awake, then whose turn each slot is. */
const wordCount = 2 + slotCount
const slotsAt = 4 * wordCount

/** Memory for one lane. */
export const laneMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(slotsAt + slotCount * slotBytes)

/** One side's view of a lane. */
export class CommitLane {
  readonly #awake: Int32Array
  /** A commit may go through any that is free. */
  readonly slots: readonly CommitSlot[]

  constructor(memory: SharedArrayBuffer) {
    this.#awake = new Int32Array(memory, 0, 2)
    this.slots = Array.from({ length: slotCount }, (_, index) => {
      const turn = new Int32Array(memory, 4 * (2 + index), 1)
      return new CommitSlot(turn, memory, slotsAt + index * slotBytes)
    })
  }

  /** Whether a side looks by itself; if not, it has to be rung once there is something to see. */
  isAwake(side: LaneSide): boolean {
    return Atomics.load(this.#awake, side) === 1
  }

  /** Says of one's own side whether it looks by itself. Who goes to sleep looks once more afterwards. */
  setAwake(side: LaneSide, isAwake: boolean): void {
    Atomics.store(this.#awake, side, isAwake ? 1 : 0)
  }
}
