/**
 * Pins keep blobs whose command is on its way: no row or frame refers to them yet, and no sweep may
 * free them. A pin is made before its blobs are written. It ends when the outcome is known. An
 * unknown outcome hardens the pin, until a sweep has checked the log. A reader has a pin too: the row
 * that it found may be replaced. Pins are a part of the shard, so no actor's death ends one.
 */
import { BlobExtents, type BlobRef, recordExtent } from '../../storage/index.ts'

/** The blobs of one write, or of one reader. */
export class BlobPin {
  /**
   * The answer to the put of the write, once its payloads were handed to the files. If the blob
   * store dies before, its caller asks the next one for it: the payloads are gone.
   */
  stored: Promise<readonly BlobRef[]> | undefined = undefined
  readonly #pins: Set<BlobPin>
  readonly #refs: BlobRef[] = []
  #state: 'held' | 'hardened' | 'released' = 'held'

  /** Called by `BlobPins.hold`. */
  constructor(pins: Set<BlobPin>) {
    this.#pins = pins
  }

  /** The blobs that the pin keeps. */
  get refs(): readonly BlobRef[] {
    return this.#refs
  }

  /** Whether it is unknown if the log has the command. */
  get isHardened(): boolean {
    return this.#state === 'hardened'
  }

  /** Keeps these blobs too. Does nothing after the release: then the caller has given up. */
  add(refs: readonly BlobRef[]): void {
    if (this.#state === 'released') return
    // A chunk of a replica has more of them than a call may have arguments.
    for (const ref of refs) this.#refs.push(ref)
  }

  /** Whether it keeps nothing any longer: it was released, or the shard has left. */
  get isReleased(): boolean {
    return this.#state === 'released'
  }

  /** Ends the pin, because the outcome is known. From now on only references keep its blobs. */
  release(): void {
    this.#state = 'released'
    this.#pins.delete(this)
  }

  /**
   * Keeps the pin, because the outcome is unknown. Only a sweep that has checked the log ends it.
   */
  harden(): void {
    if (this.#state === 'held') this.#state = 'hardened'
  }
}

/** The pins of a shard. */
export class BlobPins {
  readonly #pins = new Set<BlobPin>()

  /** The number of pins. */
  get size(): number {
    return this.#pins.size
  }

  /** Makes an empty pin. */
  hold(): BlobPin {
    const pin = new BlobPin(this.#pins)
    this.#pins.add(pin)
    return pin
  }

  /** The shard leaves: the next owner knows of no pin. */
  releaseAll(): void {
    for (const pin of this.#pins) pin.release()
  }

  /** The pins with an unknown outcome. */
  hardened(): readonly BlobPin[] {
    return [...this.#pins].filter(({ isHardened }) => isHardened)
  }

  /** The extents of all pins except `except`. */
  extents(except: readonly BlobPin[] = []): BlobExtents {
    const left = new Set(except)
    const extents = new BlobExtents()
    for (const pin of this.#pins)
      if (!left.has(pin)) for (const ref of pin.refs) extents.add(ref.segment, recordExtent(ref))
    return extents
  }
}
