/**
 * The spares of a running log: synced files of zeros that become segments. A host makes them in the
 * background (it takes the task of `begin` and reports with `settle`), or they are made when
 * needed. A failed spare is discarded without doubt about the log. So it is apart from
 * `log-writer.ts`, whose failures are final.
 */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type DiskFile, pathIn } from '../ports/disk.ts'
import { attempt, refusalOf } from '../ports/disk-failure.ts'
import { prepareSpare, type SpareTask } from '../ports/spare-file.ts'
import { spareNames } from '../segments/log-folder.ts'
import type { LogPlace } from '../segments/log-place.ts'

/** With this many ready, a roll uses one without waiting for the next. */
const enough = 2

/** The pause after a failed spare, in ms: on a full disk each attempt fills the rest of it. */
const pauseMs = 1_000

/** Tracks the spares of one epoch of a log. */
export class SpareShelf {
  readonly #place: LogPlace
  readonly #ready: string[] = []
  /** The oldest ready spare, opened for the roll that is about to take it. */
  #next: DiskFile | undefined
  #making: string | undefined
  #notBefore = Number.NEGATIVE_INFINITY

  constructor(place: LogPlace) {
    this.#place = place
  }

  /** The number of ready spares. */
  get ready(): number {
    return this.#ready.length
  }

  /** Whether a spare is being made in the background. */
  get isMaking(): boolean {
    return this.#making !== undefined
  }

  /**
   * Whether a roll should wait for the spare in preparation. The last spare is used only if the
   * next one exists or cannot be made. So a filling disk is noticed while a whole segment is still
   * free.
   */
  get isWorthWaitingFor(): boolean {
    return this.isMaking && this.#ready.length < enough
  }

  /**
   * The task that makes `wanted` spares ready; `undefined` if they are ready, one is being made, or
   * one failed within the last second.
   */
  begin(wanted: number): SpareTask | undefined {
    if (this.isMaking || this.#ready.length >= wanted) return undefined
    if (this.#place.clock.monotonic() < this.#notBefore) return undefined
    this.#making = this.#freeName()
    return this.#task(this.#making)
  }

  /**
   * Reports the end of the task of `begin`, with an error or as a ready spare. After an error its
   * file is gone.
   */
  settle(error?: unknown): void {
    const name = this.#making
    if (name === undefined) return
    this.#making = undefined
    if (error === undefined) this.#ready.push(name)
    else this.#notBefore = this.#place.clock.monotonic() + pauseMs
  }

  /**
   * Ensures an open spare for `take`, making it now if necessary. Returns why there is none:
   * `NO_SPACE`, `READ_ONLY`.
   */
  provide(): KeelsonError | undefined {
    const { disk, dir } = this.#place
    try {
      if (this.#ready.length === 0) this.#make()
      this.#next ??= disk.open(pathIn(dir, this.#ready[0] ?? ''), 'write')
    } catch (error) {
      return spareRefusal(error)
    }
    return undefined
  }

  #make(): void {
    const name = this.#freeName()
    prepareSpare(this.#place.disk, this.#task(name))
    this.#ready.push(name)
    this.#notBefore = Number.NEGATIVE_INFINITY
  }

  /** Hands over the spare that `provide` opened, to become a segment. */
  take(): DiskFile {
    const spare = this.#next
    if (!spare) throw new RangeError('No spare was provided')
    this.#next = undefined
    this.#ready.shift()
    return spare
  }

  /**
   * Deletes the ready spares: the log is closed, and the next opening would not trust them. A file
   * that cannot be deleted stays as a leftover.
   */
  discard(): void {
    const { disk, dir } = this.#place
    for (const name of this.#ready.splice(0)) attempt(() => disk.remove(pathIn(dir, name)))
  }

  /** Closes a spare that was opened and not taken. */
  close(): void {
    const spare = this.#next
    this.#next = undefined
    if (spare) attempt(() => spare.close())
  }

  #task(name: string): SpareTask {
    return { path: pathIn(this.#place.dir, name), size: this.#place.options.maxFileSize }
  }

  #freeName(): string {
    const isTaken = (name: string) => name === this.#making || this.#ready.includes(name)
    // While one is provided, at most two are ready and one is in preparation.
    return spareNames.find((name) => !isTaken(name)) ?? spareNames[0]
  }
}

/**
 * The error for a commit that needs a failed spare: `NO_SPACE`, or `READ_ONLY` whatever else the
 * disk says. The log is not in doubt, and a later commit may succeed.
 */
const spareRefusal = (error: unknown): KeelsonError => {
  const refusal = refusalOf(error)
  if (!isKeelsonError(refusal)) throw error
  if (refusal.code !== 'SHARD_DOWN') return refusal
  const { reason: _, ...details } = refusal.details
  const message = `the log gets no new segment: ${refusal.message}`
  return new KeelsonError('READ_ONLY', message, { details, cause: error })
}
