/**
 * Sums that another thread works out: the side that has the payloads. Nothing depends on the assistant: one that makes no progress for a
 * while is given up, and whoever asks for the sums works out those that it has not.
 */
import { type BlobPlace, chunkCount } from './blob-record.ts'
import type { PayloadSum, PayloadSums } from './payload-sums.ts'
import { isAt, parts, ringLength, SumBoard, words } from './sum-board.ts'

/**
 * So long nobody waits for a job. The longest takes less than a millisecond of a processor; a machine on which it takes longer than
 * this has none to spare for an assistant.
 */
const defaultPatienceMs = 1_000

const nowhere: BlobPlace = { segment: 0, offset: 0 }

/** A payload whose sum was not taken: how many chunks it has, and the job after which it is there. */
type Ended = { readonly chunks: number; readonly mark: number }

/** See above. */
export class AssistedSums implements PayloadSums {
  readonly #board: SumBoard
  #posted: number
  #part: number = parts.first
  #place = nowhere
  #size = 0
  #waiting: Ended[] = []
  /** Sums of payloads, and of chunks, that were taken from the board; those of chunks belong to the payloads that wait. */
  #shas = 0
  #taken: number
  #chunks: number[] = []
  readonly #patienceMs: number
  #isGivenUp = false

  /** `memory` begins with the board. */
  constructor(memory: SharedArrayBuffer, patienceMs = defaultPatienceMs) {
    this.#board = new SumBoard(memory)
    this.#patienceMs = patienceMs
    this.#posted = this.#board.read('posted')
    this.#taken = this.#board.read('chunks')
  }

  /** Whether there is somebody who takes jobs. */
  get isAssisted(): boolean {
    return !this.#isGivenUp && this.#board.read('isReady') === 1
  }

  /** Nobody needs the assistant any more. */
  giveUp(): void {
    this.#isGivenUp = true
    this.#board.write('isOver', 1)
    // It waits for a job.
    Atomics.notify(this.#board.words, words.posted)
  }

  reset(): void {
    this.settle(this.#posted)
    this.#takeChunks()
    this.#chunks = []
    this.#shas = (this.#shas + this.#waiting.length) | 0
    this.#waiting = []
  }

  begin(place: BlobPlace, size: number): void {
    this.#place = place
    this.#size = size
    this.#part = parts.first
  }

  add(from: number, to: number): void {
    this.#post(from, to, this.#part)
    this.#part = 0
  }

  end(): void {
    if (this.#waiting.length === ringLength)
      throw new Error('more sums wait than the board has room for')
    this.#post(0, 0, this.#part | parts.last)
    this.#waiting.push({ chunks: chunkCount(this.#size), mark: this.#posted })
  }

  mark(): number {
    return this.#posted
  }

  settle(mark: number): void {
    while (!this.#isGivenUp) {
      const done = this.#board.read('done')
      if (isAt(done, mark)) return
      // Waits only while it is what was just looked at.
      const answer = Atomics.wait(this.#board.words, words.done, done, this.#patienceMs)
      if (answer === 'timed-out') this.giveUp()
    }
  }

  next(patience: 'now' | 'wait'): PayloadSum | undefined {
    const ended = this.#waiting[0]
    if (!ended) return undefined
    if (patience === 'wait') this.settle(ended.mark)
    // Where nobody waits any more, what was summed may be something else by now.
    if (this.#isGivenUp || !isAt(this.#board.read('done'), ended.mark)) return undefined
    this.#takeChunks()
    this.#waiting.shift()
    const sha256 = this.#board.sha(this.#shas).slice()
    this.#shas = (this.#shas + 1) | 0
    return { sha256, chunks: this.#chunks.splice(0, ended.chunks) }
  }

  #post(from: number, to: number, part: number): void {
    this.settle((this.#posted + 1 - ringLength) | 0)
    if (this.#isGivenUp) return
    // At each job, so that those of all jobs that are outstanding then have room.
    this.#takeChunks()
    const { segment, offset } = this.#place
    this.#board.job(this.#posted).set([from, to, part, segment, offset])
    this.#posted = (this.#posted + 1) | 0
    this.#board.write('posted', this.#posted)
  }

  #takeChunks(): void {
    for (const end = this.#board.read('chunks'); this.#taken !== end; ) {
      this.#chunks.push(this.#board.chunk(this.#taken))
      this.#taken = (this.#taken + 1) | 0
    }
  }
}
