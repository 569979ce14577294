/**
 * The sums of payloads that are put together in a workbench, one payload after another: the SHA-256 of the whole and the CRC of
 * each chunk. Whoever stages them says where their bytes stand and leaves them there until they were seen; who sums them up,
 * and when, is the other side's concern: at once here, or another thread (`sum-assistant.ts`).
 */

import { type Sha256, startSha256 } from '../bytes/sha256.ts'
import { type BlobPlace, ChunkSums } from './blob-record.ts'

/** What a payload sums up to. */
export type PayloadSum = { readonly sha256: Uint8Array; readonly chunks: readonly number[] }

/** Sums in the order of their payloads. */
export type PayloadSums = {
  /** Forgets what was begun and not taken, which a put that failed leaves. Nothing of the bench is looked at any more. */
  reset(): void
  /** The next payload is one of `size` bytes for this place. */
  begin(place: BlobPlace, size: number): void
  /** The next bytes of the present payload stand at `from` up to `to` of the bench. */
  add(from: number, to: number): void
  /** The present payload is whole. */
  end(): void
  /** What `settle` takes: everything so far. */
  mark(): number
  /** Returns once all that was added up to a mark has been seen: its place may be taken by something else. */
  settle(mark: number): void
  /**
   * The next sum. `undefined`: it is not there yet, or, asked with `wait`, it never will be, and whoever has the payload sums it up; as
   * all that follow it then.
   */
  next(patience: 'now' | 'wait'): PayloadSum | undefined
}

/** Sums up one payload, whatever pieces it comes in. */
export class PayloadSumming {
  readonly #sha: Sha256 = startSha256()
  readonly #chunks: ChunkSums

  /** The sums of chunks begin with the place. */
  constructor(place: BlobPlace) {
    this.#chunks = new ChunkSums(place)
  }

  /** Takes the next bytes. */
  add(bytes: Uint8Array): void {
    this.#sha.add(bytes)
    this.#chunks.add(bytes)
  }

  /** The sums of the chunks that are full by now. */
  get full(): readonly number[] {
    return this.#chunks.full
  }

  /** What all came to; nothing can be added after it. */
  end(): PayloadSum {
    return { sha256: this.#sha.end(), chunks: this.#chunks.end() }
  }
}

/** The sum of a payload that is whole. */
export const payloadSum = (payload: Uint8Array, place: BlobPlace): PayloadSum => {
  const summing = new PayloadSumming(place)
  summing.add(payload)
  return summing.end()
}

/** Sums that are there as soon as their payload is whole. */
export class PromptSums implements PayloadSums {
  readonly #memory: Uint8Array
  #sums: PayloadSum[] = []
  #present: PayloadSumming | undefined

  /** `memory` is that of the bench. */
  constructor(memory: Uint8Array) {
    this.#memory = memory
  }

  reset(): void {
    this.#sums = []
  }

  begin(place: BlobPlace): void {
    this.#present = new PayloadSumming(place)
  }

  add(from: number, to: number): void {
    this.#present?.add(this.#memory.subarray(from, to))
  }

  end(): void {
    if (this.#present) this.#sums.push(this.#present.end())
    this.#present = undefined
  }

  mark(): number {
    return 0
  }

  settle(): void {}

  next(): PayloadSum | undefined {
    return this.#sums.shift()
  }
}
