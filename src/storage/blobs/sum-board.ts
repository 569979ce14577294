/**
 * A board in shared memory on which one thread says what is to be summed up (`assisted-sums.ts`) and another, its assistant, writes
 * the sums (`sum-assistance.ts`): jobs and sums stand in rings, in their order. Pure but for the memory that both share.
 */

import { shaBytes } from '../bytes/sha256.ts'
import { blobChunkBytes } from './blob-record.ts'

/** Jobs, and sums, that may be outstanding at a time: a power of two, because what counts them begins anew at 2^31. */
export const ringLength = 64

/** The longest job. */
export const jobBytesMax = 4 * blobChunkBytes

/** Sums of chunks that jobs of a ring can come to: a job that begins within a chunk ends one more. */
const chunksMax = 512

/** How many jobs were posted and done, how many sums of chunks there are, and what the sides have said of themselves. */
export const words = { posted: 0, done: 1, chunks: 2, isReady: 3, isOver: 4 } as const

/** What a job is to its payload. */
export const parts = { first: 1, last: 2 } as const

/** From, to, part, and with the first one the place. */
const jobLength = 5

const jobsAt = 64
const shasAt = jobsAt + 8 * jobLength * ringLength
const chunksAt = shasAt + shaBytes * ringLength

/** Bytes that a board takes, a multiple of a block. */
export const sumBoardBytes = 8192

const inRing = (number: number, length: number): number => number & (length - 1)

/** Whether a count has come to a mark, although both begin anew at 2^31. */
export const isAt = (count: number, mark: number): boolean => ((count - mark) | 0) >= 0

/** What both sides see. */
export class SumBoard {
  /** For whoever waits for a word to change. */
  readonly words: Int32Array
  readonly #jobs: Float64Array
  readonly #shas: Uint8Array
  readonly #chunks: Uint32Array

  /** `memory` begins with the board. */
  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, jobsAt / 4)
    this.#jobs = new Float64Array(memory, jobsAt, jobLength * ringLength)
    this.#shas = new Uint8Array(memory, shasAt, shaBytes * ringLength)
    this.#chunks = new Uint32Array(memory, chunksAt, chunksMax)
  }

  /** What a word says. */
  read(word: keyof typeof words): number {
    return Atomics.load(this.words, words[word])
  }

  /** Writes a word, and wakes whoever waits for it. */
  write(word: keyof typeof words, value: number): void {
    Atomics.store(this.words, words[word], value)
    Atomics.notify(this.words, words[word])
  }

  /** The numbers of a job. */
  job(number: number): Float64Array {
    const at = inRing(number, ringLength) * jobLength
    return this.#jobs.subarray(at, at + jobLength)
  }

  /** The SHA-256 of a payload. */
  sha(number: number): Uint8Array {
    const at = inRing(number, ringLength) * shaBytes
    return this.#shas.subarray(at, at + shaBytes)
  }

  /** The sum of a chunk. */
  chunk(number: number): number {
    return this.#chunks[inRing(number, chunksMax)] ?? 0
  }

  /** Writes the sum of a chunk. */
  setChunk(number: number, sum: number): void {
    this.#chunks[inRing(number, chunksMax)] = sum
  }
}
