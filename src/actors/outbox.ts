/**
 * The outbox: committed frames on their way to the projection, in the order of their LSNs, bounded in slots and
 * bytes. When it is full it overflows: it forgets everything, and the log's files take its place until the projection has caught up.
 * So the commit path never waits for the projection, and nothing is lost.
 */
import type { FrameReference } from './applier.ts'

/** The outbox of one shard. */
export class Outbox {
  readonly #slots: number
  readonly #bytesMax: number
  #references: FrameReference[] = []
  #head = 0
  #bytes = 0

  constructor(slots: number, bytesMax: number) {
    this.#slots = slots
    this.#bytesMax = bytesMax
  }

  /** References held. */
  get size(): number {
    return this.#references.length - this.#head
  }

  /** Bytes of the frames held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a reference; `false` when there is no room, and then nothing is held any more. */
  push(reference: FrameReference): boolean {
    if (this.size >= this.#slots || this.#bytes + reference.frame.length > this.#bytesMax) {
      this.clear()
      return false
    }
    this.#references.push(reference)
    this.#bytes += reference.frame.length
    return true
  }

  /** The reference at `index` from the oldest; it stays until `drop`. */
  at(index: number): FrameReference | undefined {
    return this.#references[this.#head + index]
  }

  /** Lets go of the `count` oldest. */
  drop(count: number): void {
    for (let at = 0; at < count; at++)
      this.#bytes -= this.#references[this.#head + at]?.frame.length ?? 0
    this.#head += count
    if (this.#head * 2 > this.#references.length) {
      this.#references = this.#references.slice(this.#head)
      this.#head = 0
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#references = []
    this.#head = 0
    this.#bytes = 0
  }
}
