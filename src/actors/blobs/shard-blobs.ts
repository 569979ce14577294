/**
 * The parts of a shard's blobs that outlive the blob store: pins, the grace of young blobs, and the
 * lease of the blob files. Short reads bypass the actor: they need only a disk.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import type { Clock } from '../../clock.ts'
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  BlobExtents,
  type BlobHost,
  type BlobHostFactory,
  type BlobRef,
  type Disk,
  isFreed,
  type ReadBlob,
  readBlobRange,
  recordExtent,
} from '../../storage/index.ts'
import type { BlobTerms } from './blob-command.ts'
import { BlobPins } from './blob-pins.ts'

/** The place of the blobs, and the ports to reach them. */
export type BlobParts = {
  readonly index: number
  readonly dir: string
  /** The folder is a cache: blobs may come into it when the log is opened. */
  readonly isCache?: boolean | undefined
  readonly terms: BlobTerms
  /** Sizes in bytes, times in ms. `sweepMs` 0: sweeps run only on request. */
  readonly settings: {
    readonly segmentBytes: number
    readonly graceMs: number
    readonly sweepMs: number
  }
  readonly clock: Clock
  readonly disk: Disk
  readonly makeHost: BlobHostFactory
}

/** Blobs of a segment that were written at about the same time. */
type Birth = { readonly segment: number; readonly from: number; to: number; at: number }

/**
 * Blobs written within this fraction of the grace count as one age, and are kept that much longer.
 */
const sameAge = 1 / 500

/** The blobs of one shard. */
export class ShardBlobs {
  readonly parts: BlobParts
  readonly pins = new BlobPins()
  /** Called for each damaged blob. The blob store sets it. */
  onDamage: (evidence: ErrorDetails) => void = () => undefined
  /** The oldest first. */
  readonly #young: Birth[] = []
  /** Blobs without a recorded birth count as written at this time: their true age is not stored. */
  #openSince: number
  #host: BlobHost | undefined
  /** The puts that the files have not answered. */
  readonly #puts = new Set<Promise<unknown>>()
  #isClosed = false
  #openings = 0
  /** An opening begins after the end of the request before. */
  readonly #turns = new SerialQueue()

  constructor(parts: BlobParts) {
    this.parts = parts
    this.#openSince = parts.clock.monotonic()
  }

  /** The shard comes to this process: another one may have written blobs until now. */
  arrived(): void {
    this.#openSince = this.parts.clock.monotonic()
  }

  /**
   * Opens the blob files, after the opening before has ended.
   * @throws KeelsonError `CLOSED`; `EXITED` if the process of `signal` has died; `SHARD_DOWN`
   * (reason `disk`)
   */
  lease(signal: AbortSignal): Promise<BlobHost> {
    return this.#turns.run(async () => {
      await this.#endHost()
      if (this.#isClosed) throw new KeelsonError('CLOSED', 'the instance is closed')
      if (signal.aborted) throw new KeelsonError('EXITED', 'the calling process has ended')
      const { dir, settings, clock, makeHost, index } = this.parts
      const host = makeHost(index)
      this.#host = host
      await host.run('open', {
        dir,
        segmentBytes: settings.segmentBytes,
        opening: ++this.#openings,
      })
      // The previous opening may have written blobs that were not recorded with `born`.
      if (this.#openings > 1) this.#openSince = clock.monotonic()
      return host
    })
  }

  /**
   * Hands payloads to the files, in one group. Returns their references in order.
   * @throws as `BlobProtocol` says of `put`
   */
  put(host: BlobHost, payloads: readonly Uint8Array[]): Promise<readonly BlobRef[]> {
    const stored = host.run('put', { payloads }).then(({ refs }) => {
      // Recorded before a sweep can see the blobs: its survey is answered after this.
      this.born(refs)
      return refs
    })
    const ended = stored.catch(() => undefined).finally(() => this.#puts.delete(ended))
    this.#puts.add(ended)
    return stored
  }

  /** Closes the files, after their puts. No byte is written after it resolves. */
  end(): Promise<void> {
    return this.#turns.run(() => this.#endHost())
  }

  /** Closes the files, and refuses to open them again. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.end()
  }

  /**
   * Reads bytes of a blob synchronously, and verifies them.
   * @throws KeelsonError `CORRUPT`; `INVALID_ARGUMENT` for a range beyond the blob; `SHARD_DOWN`
   * (reason `disk`)
   */
  read(ref: BlobRef, from: number, to: number): Uint8Array {
    try {
      return this.look(ref, from, to)
    } catch (error) {
      if (isKeelsonError(error, 'CORRUPT')) this.onDamage(error.details)
      throw error
    }
  }

  /** As `read`, for a value that may have been replaced: that a sweep freed its blob is no damage. */
  look(ref: BlobRef, from: number, to: number): Uint8Array {
    return readBlobRange(this.parts.disk, this.parts.dir, ref, from, to)
  }

  /**
   * `read`, as a function for the state machine. `details.reason` of `CORRUPT` is `cache` where other
   * members have the blob whole.
   */
  get reader(): ReadBlob {
    return (ref, from, to) => {
      try {
        return this.read(ref, from, to)
      } catch (error) {
        if (!this.parts.isCache || !isKeelsonError(error, 'CORRUPT')) throw error
        const details = { ...error.details, reason: 'cache' }
        throw new KeelsonError('CORRUPT', error.message, { details, cause: error })
      }
    }
  }

  /** Whether a sweep has freed a blob. */
  isFreed(ref: BlobRef): boolean {
    return isFreed(this.parts.disk, this.parts.dir, ref)
  }

  /** Whether there may be blobs. Also true if the disk does not know. */
  hasFolder(): boolean {
    try {
      return this.parts.disk.entry(this.parts.dir) !== undefined
    } catch {
      return true
    }
  }

  /** Records that these blobs were just written. Forgets older ones. */
  born(refs: readonly BlobRef[]): void {
    this.#forget()
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

  /** The blobs within their grace; `undefined` if all are. */
  young(): BlobExtents | undefined {
    if (this.#openSince > this.#forget()) return undefined
    const extents = new BlobExtents()
    for (const { segment, from, to } of this.#young) extents.add(segment, { from, to })
    return extents
  }

  /** Forgets the blobs that are past their grace. Returns the time since when they are within it. */
  #forget(): number {
    const { clock, settings } = this.parts
    const since = clock.monotonic() - settings.graceMs * (1 + sameAge)
    const first = this.#young.findIndex(({ at }) => at > since)
    this.#young.splice(0, first < 0 ? this.#young.length : first)
    return since
  }

  async #endHost(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    await Promise.all(this.#puts)
    await host?.end()
  }
}
