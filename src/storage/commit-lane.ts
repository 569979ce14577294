/**
 * A place in shared memory through which one commit at a time goes to the log's thread, and its answer back. A message
 * between threads costs two wake-ups and two clones, on a fast disk as much as the sync itself; here nothing is cloned, and
 * a side that is awake (`lane-lookout.ts`) needs no waking. What does not fit, or is odd, goes as a message. Pure but for the
 * memory that both sides share.
 */
import type { CommitRequest } from './log-host.ts'
import type { PackedCommit } from './log-wire.ts'

/** Larger commits are messages: what that costs is little beside writing them. */
const bytesMax = 1024 * 1024
const framesMax = 4_096
/** A commit that rolls has two runs of LSNs; one with more went through many segments, and is no small one. */
const runsMax = 8

/** Whose turn the slot is. Only that side writes to the rest of the memory. */
const turns = { free: 0, asked: 1, taken: 2, answered: 3 } as const

/** The two sides of a lane. */
export const laneSides = { asker: 0, thread: 1 } as const
/** One of them. */
export type LaneSide = (typeof laneSides)[keyof typeof laneSides]

/** The words that are read and written with `Atomics`: whose turn it is, and which sides are awake. */
const words = { turn: 0, awake: 1 } as const
/** The numbers of a request and of an answer. */
const asked = { id: 0, now: 1, projectedLsn: 2, sync: 3, bytes: 4, frames: 5, awake: 6 } as const
const told = {
  firstLsn: 7,
  count: 8,
  time: 9,
  durableLsn: 10,
  syncMs: 11,
  bytesWritten: 12,
  rolled: 13,
  runsLength: 14,
  runs: 15,
} as const

const numbersAt = 16
const lengthsAt = numbersAt + 8 * (told.runs + 2 * runsMax)
const bytesAt = lengthsAt + 4 * framesMax

/** Memory for one lane; only what is used of it takes room. */
export const laneMemory = (): SharedArrayBuffer => new SharedArrayBuffer(bytesAt + bytesMax)

/** A commit that came through a lane. Its bytes stand in the lane's memory until it is answered. */
export type LaneRequest = {
  readonly id: number
  readonly request: CommitRequest
  /** Who asked waits awake, and hopes for the same. */
  readonly isAwake: boolean
}
/** The answer to the commit `id`. */
export type LaneAnswer = { readonly id: number; readonly commit: PackedCommit }

/** One side's view of a lane. */
export class CommitLane {
  readonly #words: Int32Array
  readonly #numbers: Float64Array
  readonly #lengths: Uint32Array
  readonly #bytes: Uint8Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, 4)
    this.#numbers = new Float64Array(memory, numbersAt, told.runs + 2 * runsMax)
    this.#lengths = new Uint32Array(memory, lengthsAt, framesMax)
    this.#bytes = new Uint8Array(memory, bytesAt, bytesMax)
  }

  /** Whether a side looks by itself; if not, it has to be rung once there is something to see. */
  isAwake(side: LaneSide): boolean {
    return Atomics.load(this.#words, words.awake + side) === 1
  }

  /** Says of one's own side whether it looks by itself. Who goes to sleep looks once more afterwards. */
  setAwake(side: LaneSide, isAwake: boolean): void {
    Atomics.store(this.#words, words.awake + side, isAwake ? 1 : 0)
  }

  /** The asker's: puts a commit into the lane, its bytes copied; false when one is there already, or this one is too large. */
  offer(id: number, request: CommitRequest, isAwake: boolean): boolean {
    const { bytes, lengths, now, sync, projectedLsn } = request
    if (bytes.length > bytesMax || lengths.length > framesMax || !this.#isTurn(turns.free))
      return false
    const flags = [sync ? 1 : 0, bytes.length, lengths.length, isAwake ? 1 : 0]
    this.#numbers.set([id, now, projectedLsn, ...flags])
    this.#lengths.set(lengths)
    this.#bytes.set(bytes)
    this.#giveTurn(turns.asked)
    return true
  }

  /** The thread's: takes the commit when it is number `id`: what was asked before it must come first. */
  take(id: number): LaneRequest | undefined {
    const numbers = this.#numbers
    if (!this.#isTurn(turns.asked) || numbers[asked.id] !== id) return undefined
    this.#giveTurn(turns.taken)
    const request = {
      bytes: this.#bytes.subarray(0, numbers[asked.bytes]),
      lengths: this.#lengths.subarray(0, numbers[asked.frames]),
      now: numbers[asked.now] ?? 0,
      sync: numbers[asked.sync] === 1,
      projectedLsn: numbers[asked.projectedLsn] ?? 0,
    }
    return { id, request, isAwake: numbers[asked.awake] === 1 }
  }

  /** The thread's: answers the commit that was taken; false when this answer has to be a message. */
  answer({
    firstLsn,
    count,
    time,
    durableLsn,
    syncMs,
    bytesWritten,
    rolled,
    runs,
  }: PackedCommit): boolean {
    if (runs.length > 2 * runsMax) return false
    const isRolled = rolled ? 1 : 0
    const facts = [firstLsn, count, time, durableLsn, syncMs, bytesWritten, isRolled, runs.length]
    this.#numbers.set(facts, told.firstLsn)
    this.#numbers.set(runs, told.runs)
    this.#giveTurn(turns.answered)
    return true
  }

  /** The asker's: takes the answer when there is one; the lane is free then. */
  collect(): LaneAnswer | undefined {
    // Nothing is allocated where there is none: whoever looks out does so a thousand times for each answer.
    if (!this.#isTurn(turns.answered)) return undefined
    const answer = answerIn(this.#numbers)
    this.free()
    return answer
  }

  /** The asker's: the commit was answered by a message. */
  free(): void {
    this.#giveTurn(turns.free)
  }

  #isTurn(turn: number): boolean {
    return Atomics.load(this.#words, words.turn) === turn
  }

  #giveTurn(turn: number): void {
    Atomics.store(this.#words, words.turn, turn)
  }
}

const answerIn = (numbers: Float64Array): LaneAnswer => {
  const number = (at: number): number => numbers[at] ?? 0
  const runs = numbers.subarray(told.runs, told.runs + number(told.runsLength))
  return {
    id: number(asked.id),
    commit: {
      firstLsn: number(told.firstLsn),
      count: number(told.count),
      time: number(told.time),
      durableLsn: number(told.durableLsn),
      syncMs: number(told.syncMs),
      bytesWritten: number(told.bytesWritten),
      rolled: number(told.rolled) === 1,
      runs: Array.from(runs),
    },
  }
}
