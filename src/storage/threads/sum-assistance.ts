/** Sums for another thread: the assistant's side of a board. It decides nothing, and reads what jobs name and nothing else. */
import { PayloadSumming } from '../blobs/payload-sums.ts'
import { parts, SumBoard, words } from '../blobs/sum-board.ts'

const nowhere = { segment: 0, offset: 0 }

/** See above. */
export class SumAssistance {
  readonly #board: SumBoard
  readonly #bench: Uint8Array
  #summing = new PayloadSumming(nowhere)
  #done: number
  #shas = 0
  #chunks: number
  /** How many of the present payload's sums stand on the board. */
  #written = 0

  /** `memory` begins with the board; what jobs name is in `bench`, a part of it. */
  constructor(memory: SharedArrayBuffer, bench: Uint8Array) {
    this.#board = new SumBoard(memory)
    this.#bench = bench
    this.#done = this.#board.read('done')
    this.#chunks = this.#board.read('chunks')
  }

  /** From now on there is somebody. */
  announce(): void {
    this.#board.write('isReady', 1)
  }

  /** Does the next job, waiting for one; false when nobody needs it any more. */
  next(): boolean {
    while (this.#board.read('posted') === this.#done) {
      if (this.#board.read('isOver') === 1) return false
      Atomics.wait(this.#board.words, words.posted, this.#done)
    }
    const [from = 0, to = 0, part = 0, segment = 0, offset = 0] = this.#board.job(this.#done)
    // One that was begun and never ended belonged to a put that failed.
    if (part & parts.first) {
      this.#summing = new PayloadSumming({ segment, offset })
      this.#written = 0
    }
    this.#summing.add(this.#bench.subarray(from, to))
    if (part & parts.last) this.#writeSha(this.#summing.end().sha256)
    this.#writeChunks(this.#summing.full)
    this.#done = (this.#done + 1) | 0
    this.#board.write('done', this.#done)
    return true
  }

  #writeSha(sha256: Uint8Array): void {
    this.#board.sha(this.#shas).set(sha256)
    this.#shas = (this.#shas + 1) | 0
  }

  /** Those that were not written yet. */
  #writeChunks(sums: readonly number[]): void {
    for (; this.#written < sums.length; this.#written++) {
      this.#board.setChunk(this.#chunks, sums[this.#written] as number)
      this.#chunks = (this.#chunks + 1) | 0
    }
    this.#board.write('chunks', this.#chunks)
  }
}
