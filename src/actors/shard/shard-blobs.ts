/**
 * What of a shard's blobs must survive their actor: pins, the grace of what is young, and the one life that
 * their files have. Reads of a little go past the actor: they need nothing but a disk.
 */
import type { Clock } from '../../clock.ts'
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  BlobExtents,
  type BlobHost,
  type BlobHostFactory,
  type BlobRef,
  type Disk,
  type ReadBlob,
  readBlobRange,
  recordExtent,
} from '../../storage/index.ts'
import type { BlobTerms } from './blob-command.ts'

// What no sweep may take although nothing refers to it yet: blobs whose command is on its way. A pin is made before its blobs
// are written and ends when the outcome is known; an outcome that nobody knows hardens it until the log tells. They live in the
// `Shard` value: no actor's death ends one.

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

/** Where blobs are, and how they are reached. */
export type BlobParts = {
  readonly index: number
  readonly dir: string
  readonly terms: BlobTerms
  /** Sizes in bytes, times in ms. `sweepMs` 0: nobody sweeps but who is asked to. */
  readonly settings: {
    readonly segmentBytes: number
    readonly graceMs: number
    readonly sweepMs: number
  }
  readonly clock: Clock
  readonly disk: Disk
  readonly makeHost: BlobHostFactory
}

/** Blobs of a segment that were written at about one time. */
type Birth = { readonly segment: number; readonly from: number; to: number; at: number }

/** Blobs that were written within this part of the grace are of one age, and kept as much longer. */
const sameAge = 1 / 500

/** The blobs of one shard. */
export class ShardBlobs {
  readonly parts: BlobParts
  readonly pins = new BlobPins()
  /** Told of every blob that was found damaged. Whoever has the files sets it. */
  onDamage: (evidence: ErrorDetails) => void = () => undefined
  #young: Birth[] = []
  /** What stands there and was not told to be born is as young as this: nobody has written down how old it is. */
  #livesSince: number
  #host: BlobHost | undefined
  #isClosed = false
  #lives = 0
  /** The end of what was asked so far: the next life begins then. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: BlobParts) {
    this.parts = parts
    this.#livesSince = parts.clock.monotonic()
  }

  /**
   * Begins a new life of the files, once the one before has ended, whoever led it.
   * @throws KeelsonError `CLOSED`; `EXITED` when the process of `signal` has died; `SHARD_DOWN` (reason `disk`)
   */
  lease(signal: AbortSignal): Promise<BlobHost> {
    const turn = this.#turn.then(async () => {
      await this.#endHost()
      if (this.#isClosed) throw new KeelsonError('CLOSED', 'The instance is closed.')
      if (signal.aborted) throw new KeelsonError('EXITED', 'The process that asked has ended.')
      const { dir, settings, clock, makeHost, index } = this.parts
      const host = makeHost(index)
      this.#host = host
      await host.run('open', { dir, segmentBytes: settings.segmentBytes, life: ++this.#lives })
      // The life before may have ended between a write and its being told.
      if (this.#lives > 1) this.#livesSince = clock.monotonic()
      return host
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Ends the life of the files: no byte is written once it resolves. */
  end(): Promise<void> {
    const turn = this.#turn.then(() => this.#endHost())
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Ends it for good. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.end()
  }

  /**
   * Bytes of a blob, verified, while the caller waits.
   * @throws KeelsonError `CORRUPT`; `INVALID_ARGUMENT` for a range beyond it; `SHARD_DOWN` (reason `disk`)
   */
  read(ref: BlobRef, from: number, to: number): Uint8Array {
    try {
      return readBlobRange(this.parts.disk, this.parts.dir, ref, from, to)
    } catch (error) {
      if (isKeelsonError(error, 'CORRUPT')) this.onDamage(error.details)
      throw error
    }
  }

  /** `read`, for whoever applies commands. */
  get reader(): ReadBlob {
    return (ref, from, to) => this.read(ref, from, to)
  }

  /** Whether there may be any blob; true also when the disk cannot say. */
  hasFolder(): boolean {
    try {
      return this.parts.disk.entry(this.parts.dir) !== undefined
    } catch {
      return true
    }
  }

  /** These have just been written. */
  born(refs: readonly BlobRef[]): void {
    const at = this.parts.clock.monotonic()
    const sameAgeMs = this.parts.settings.graceMs * sameAge
    for (const ref of refs) {
      const { from, to } = recordExtent(ref)
      const last = this.#young[this.#young.length - 1]
      if (last?.segment === ref.segment && at - last.at < sameAgeMs && from >= last.from)
        last.to = Math.max(last.to, to)
      else this.#young.push({ segment: ref.segment, from, to, at })
    }
  }

  /** What is within its grace; `undefined` when everything is. Forgets what is older. */
  young(): BlobExtents | undefined {
    const { clock, settings } = this.parts
    const since = clock.monotonic() - settings.graceMs * (1 + sameAge)
    if (this.#livesSince > since) return undefined
    this.#young = this.#young.filter(({ at }) => at > since)
    const extents = new BlobExtents()
    for (const { segment, from, to } of this.#young) extents.add(segment, { from, to })
    return extents
  }

  async #endHost(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    await host?.end()
  }
}
