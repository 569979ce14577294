/**
 * What no sweep may take although nothing refers to it yet: blobs whose command is on its way. A pin is made before its blobs
 * are written and ends when the outcome is known; an outcome that nobody knows hardens it until the log tells. They live in the
 * `Shard` value: no actor's death ends one.
 */
import { BlobExtents, type BlobRef, recordExtent } from '../storage/index.ts'

/** The blobs of one write. */
export class BlobPin {
  readonly #pins: Set<BlobPin>
  readonly #refs: BlobRef[] = []
  #state: 'held' | 'hardened' | 'released' = 'held'

  /** For `BlobPins.hold`. */
  constructor(pins: Set<BlobPin>) {
    this.#pins = pins
  }

  /** What it keeps. */
  get refs(): readonly BlobRef[] {
    return this.#refs
  }

  /** Nobody knows whether its command is in the log. */
  get isHardened(): boolean {
    return this.#state === 'hardened'
  }

  /** Keeps these too; nothing when it was released, because whoever wanted them has given up. */
  add(refs: readonly BlobRef[]): void {
    if (this.#state !== 'released') this.#refs.push(...refs)
  }

  /** The outcome is known: from now on it is the references that keep what they name. */
  release(): void {
    this.#state = 'released'
    this.#pins.delete(this)
  }

  /** The outcome is not known: only a sweep that has asked the log ends it. */
  harden(): void {
    if (this.#state === 'held') this.#state = 'hardened'
  }
}

/** The pins of a shard. */
export class BlobPins {
  readonly #pins = new Set<BlobPin>()

  /** How many there are. */
  get size(): number {
    return this.#pins.size
  }

  /** Makes a pin that keeps nothing yet. */
  hold(): BlobPin {
    const pin = new BlobPin(this.#pins)
    this.#pins.add(pin)
    return pin
  }

  /** Those whose outcome nobody knows. */
  hardened(): readonly BlobPin[] {
    return [...this.#pins].filter(({ isHardened }) => isHardened)
  }

  /** All that is pinned, but by the pins of `except`. */
  extents(except: readonly BlobPin[] = []): BlobExtents {
    const left = new Set(except)
    const extents = new BlobExtents()
    for (const pin of this.#pins)
      if (!left.has(pin)) for (const ref of pin.refs) extents.add(ref.segment, recordExtent(ref))
    return extents
  }
}
