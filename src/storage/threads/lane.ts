/**
 * Shared memory that carries small commits to the log's thread and their answers back. A message
 * costs two thread wake-ups and two clones; with one writer an append took 2.2 times a bare sync by
 * messages and takes 1.17 by the lane (bench/NOTES.md). Two slots let one commit travel while
 * another is written. Larger commits go as messages.
 */
import type { CommitRequest } from '../ports/log-host.ts'
import type { PackedCommit } from './log-wire.ts'

const slotCount = 2

/** Limits of a slot. Writing a larger commit costs much more than sending its message. */
const bytesMax = 1024 * 1024
const framesMax = 4_096
/** A commit has one run of LSNs, and one more for each segment that it begins. */
const runsMax = 8

/**
 * States of a slot. The host acts on `free` and `answered`, the thread on `offered` and `taken`.
 */
const states = { free: 0, offered: 1, taken: 2, answered: 3 } as const

/** Numbers of a slot: those of the request, then those of the answer. */
const numbers = {
  id: 0,
  now: 1,
  projectedLsn: 2,
  sync: 3,
  bytes: 4,
  frames: 5,
  hostPolls: 6,
  features: 7,
  firstLsn: 8,
  count: 9,
  time: 10,
  durableLsn: 11,
  syncMs: 12,
  bytesWritten: 13,
  rolled: 14,
  runsLength: 15,
  runs: 16,
} as const
const numberCount = numbers.runs + 2 * runsMax

/** Where the parts of a slot begin. A slot is a multiple of eight bytes. */
const lengthsAt = 8 * numberCount
const bytesAt = lengthsAt + 4 * framesMax
const slotBytes = bytesAt + bytesMax

/** The state of each slot comes first. Both sides use `Atomics` on it. */
const slotsAt = 4 * slotCount

/** Makes the memory of one lane. The system backs only the pages that are used. */
export const laneMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(slotsAt + slotCount * slotBytes)

/** One side's view of the slots of a lane. */
export const laneSlots = (memory: SharedArrayBuffer): readonly LaneSlot[] =>
  Array.from({ length: slotCount }, (_, index) => {
    const state = new Int32Array(memory, 4 * index, 1)
    return new LaneSlot(state, memory, slotsAt + index * slotBytes)
  })

/** Makes the memory of the two signals that all lanes of a thread share. */
export const signalMemory = (): SharedArrayBuffer => new SharedArrayBuffer(16)

/** The signals of the two sides in that memory: those of a host, and of its thread. */
export const signalsIn = (memory: SharedArrayBuffer) => ({
  host: new LaneSignal(new Int32Array(memory, 0, 2)),
  thread: new LaneSignal(new Int32Array(memory, 8, 2)),
})

/** Words of a signal. */
const words = { awake: 0, raised: 1 } as const

/**
 * Says to one side that the other one has written to a slot of any of their lanes. A side that is
 * awake looks at its lanes by itself: it polls, or a message is about to wake it. So many commits
 * share one message.
 */
export class LaneSignal {
  readonly #words: Int32Array

  constructor(memory: Int32Array) {
    this.#words = memory
  }

  /** How often it was raised. */
  get raised(): number {
    return Atomics.load(this.#words, words.raised)
  }

  /** The other side wrote to a slot. Returns whether it must send a message that wakes this side. */
  raise(): boolean {
    Atomics.add(this.#words, words.raised, 1)
    return Atomics.exchange(this.#words, words.awake, 1) === 0
  }

  /** This side looks at its lanes by itself. */
  stayAwake(): void {
    Atomics.store(this.#words, words.awake, 1)
  }

  /** This side waits for a message. It must look once more: the other side may have seen it awake. */
  sleep(): void {
    Atomics.store(this.#words, words.awake, 0)
  }
}

/**
 * A commit that the thread took from a slot. Its bytes are the slot's memory until the commit is
 * answered.
 */
export type SlotRequest = {
  readonly id: number
  readonly request: CommitRequest
  /** The host polls for the answer. */
  readonly hostPolls: boolean
}
/** The answer to the commit `id`. */
export type SlotAnswer = { readonly id: number; readonly commit: PackedCommit }

/** One side's view of a slot, which carries one commit at a time. */
export class LaneSlot {
  readonly #state: Int32Array
  readonly #numbers: Float64Array
  readonly #lengths: Uint32Array
  readonly #bytes: Uint8Array

  /** `state`: the slot's word; `at`: where its memory begins. */
  constructor(state: Int32Array, memory: SharedArrayBuffer, at: number) {
    this.#state = state
    this.#numbers = new Float64Array(memory, at, numberCount)
    this.#lengths = new Uint32Array(memory, at + lengthsAt, framesMax)
    this.#bytes = new Uint8Array(memory, at + bytesAt, bytesMax)
  }

  /** Host: copies a commit into the slot. False when the slot is in use or the commit too large. */
  offer(id: number, request: CommitRequest, hostPolls: boolean): boolean {
    const { bytes, lengths, now, sync, projectedLsn, features = 0 } = request
    if (bytes.length > bytesMax || lengths.length > framesMax || !this.#is(states.free))
      return false
    const into = this.#numbers
    into[numbers.id] = id
    into[numbers.now] = now
    into[numbers.projectedLsn] = projectedLsn
    into[numbers.sync] = sync ? 1 : 0
    into[numbers.bytes] = bytes.length
    into[numbers.frames] = lengths.length
    into[numbers.hostPolls] = hostPolls ? 1 : 0
    into[numbers.features] = features
    this.#lengths.set(lengths)
    this.#bytes.set(bytes)
    this.#become(states.offered)
    return true
  }

  /** Thread: takes the commit if its number is `id`, so that requests keep their order. */
  take(id: number): SlotRequest | undefined {
    const from = this.#numbers
    if (!this.#is(states.offered) || from[numbers.id] !== id) return undefined
    this.#become(states.taken)
    const request = {
      bytes: this.#bytes.subarray(0, from[numbers.bytes]),
      lengths: this.#lengths.subarray(0, from[numbers.frames]),
      now: from[numbers.now] ?? 0,
      sync: from[numbers.sync] === 1,
      projectedLsn: from[numbers.projectedLsn] ?? 0,
      features: from[numbers.features] ?? 0,
    }
    return { id, request, hostPolls: from[numbers.hostPolls] === 1 }
  }

  /**
   * Thread: answers the commit that it took. False when the answer does not fit and must be a
   * message.
   */
  answer(commit: PackedCommit): boolean {
    const { runs } = commit
    if (runs.length > 2 * runsMax) return false
    const into = this.#numbers
    into[numbers.firstLsn] = commit.firstLsn
    into[numbers.count] = commit.count
    into[numbers.time] = commit.time
    into[numbers.durableLsn] = commit.durableLsn
    into[numbers.syncMs] = commit.syncMs
    into[numbers.bytesWritten] = commit.bytesWritten
    into[numbers.rolled] = commit.rolled ? 1 : 0
    into[numbers.runsLength] = runs.length
    into.set(runs, numbers.runs)
    this.#become(states.answered)
    return true
  }

  /**
   * Host: takes the answer, if there is one, and frees the slot. Allocates nothing without an
   * answer.
   */
  collect(): SlotAnswer | undefined {
    if (!this.#is(states.answered)) return undefined
    const answer = answerIn(this.#numbers)
    this.free()
    return answer
  }

  /** Host: frees the slot of a commit that was answered by a message. */
  free(): void {
    this.#become(states.free)
  }

  #is(state: number): boolean {
    return Atomics.load(this.#state, 0) === state
  }

  #become(state: number): void {
    Atomics.store(this.#state, 0, state)
  }
}

const answerIn = (from: Float64Array): SlotAnswer => {
  const number = (at: number): number => from[at] ?? 0
  const runs: number[] = []
  for (let at = 0; at < number(numbers.runsLength); at++) runs.push(number(numbers.runs + at))
  return {
    id: number(numbers.id),
    commit: {
      firstLsn: number(numbers.firstLsn),
      count: number(numbers.count),
      time: number(numbers.time),
      durableLsn: number(numbers.durableLsn),
      syncMs: number(numbers.syncMs),
      bytesWritten: number(numbers.bytesWritten),
      rolled: number(numbers.rolled) === 1,
      runs,
    },
  }
}
