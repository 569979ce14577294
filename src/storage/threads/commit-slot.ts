/**
 * A place in shared memory through which one commit at a time goes to the log's thread, and its answer back. What does not
 * fit, or is odd, goes as a message. Pure but for the memory that both sides share.
 */
import type { CommitRequest } from '../ports/log-host.ts'
import type { PackedCommit } from './log-wire.ts'

/** Larger commits are messages: what that costs is little beside writing them. */
const bytesMax = 1024 * 1024
const framesMax = 4_096
/** A commit that rolls has two runs of LSNs; one with more went through many segments, and is no small one. */
const runsMax = 8

/** Whose turn the slot is. Only that side writes to the rest of the memory. */
const turns = { free: 0, asked: 1, taken: 2, answered: 3 } as const

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

/** Where the parts of a slot begin. */
const numbersAt = 0
const lengthsAt = numbersAt + 8 * (told.runs + 2 * runsMax)
const bytesAt = lengthsAt + 4 * framesMax

/** The memory of a slot, a multiple of eight; only what is used of it takes room. */
export const slotBytes = bytesAt + bytesMax

/** A commit that came through a slot. Its bytes stand in the slot's memory until it is answered. */
export type SlotRequest = {
  readonly id: number
  readonly request: CommitRequest
  /** Who asked waits awake, and hopes for the same. */
  readonly isAwake: boolean
}
/** The answer to the commit `id`. */
export type SlotAnswer = { readonly id: number; readonly commit: PackedCommit }

/** One side's view of a slot. */
export class CommitSlot {
  readonly #turn: Int32Array
  readonly #numbers: Float64Array
  readonly #lengths: Uint32Array
  readonly #bytes: Uint8Array

  /** `turn`: a word of its own that says whose turn it is; `at`: where its `slotBytes` of memory begin. */
  constructor(turn: Int32Array, memory: SharedArrayBuffer, at: number) {
    this.#turn = turn
    this.#numbers = new Float64Array(memory, at + numbersAt, told.runs + 2 * runsMax)
    this.#lengths = new Uint32Array(memory, at + lengthsAt, framesMax)
    this.#bytes = new Uint8Array(memory, at + bytesAt, bytesMax)
  }

  /** The asker's: puts a commit into the slot, its bytes copied; false when one is there already, or this one is too large. */
  offer(id: number, request: CommitRequest, isAwake: boolean): boolean {
    const { bytes, lengths, now, sync, projectedLsn } = request
    if (bytes.length > bytesMax || lengths.length > framesMax || !this.#isTurn(turns.free))
      return false
    const numbers = this.#numbers
    numbers[asked.id] = id
    numbers[asked.now] = now
    numbers[asked.projectedLsn] = projectedLsn
    numbers[asked.sync] = sync ? 1 : 0
    numbers[asked.bytes] = bytes.length
    numbers[asked.frames] = lengths.length
    numbers[asked.awake] = isAwake ? 1 : 0
    this.#lengths.set(lengths)
    this.#bytes.set(bytes)
    this.#giveTurn(turns.asked)
    return true
  }

  /** The thread's: takes the commit when it is number `id`: what was asked before it must come first. */
  take(id: number): SlotRequest | undefined {
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
  answer(commit: PackedCommit): boolean {
    const { runs } = commit
    if (runs.length > 2 * runsMax) return false
    const numbers = this.#numbers
    numbers[told.firstLsn] = commit.firstLsn
    numbers[told.count] = commit.count
    numbers[told.time] = commit.time
    numbers[told.durableLsn] = commit.durableLsn
    numbers[told.syncMs] = commit.syncMs
    numbers[told.bytesWritten] = commit.bytesWritten
    numbers[told.rolled] = commit.rolled ? 1 : 0
    numbers[told.runsLength] = runs.length
    numbers.set(runs, told.runs)
    this.#giveTurn(turns.answered)
    return true
  }

  /** The asker's: takes the answer when there is one; the slot is free then. */
  collect(): SlotAnswer | undefined {
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
    return Atomics.load(this.#turn, 0) === turn
  }

  #giveTurn(turn: number): void {
    Atomics.store(this.#turn, 0, turn)
  }
}

const answerIn = (numbers: Float64Array): SlotAnswer => {
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
