/**
 * The spares of a running log: files of zeros, synced, that wait to become segments. They are made in the background when
 * somebody is there to do it (the host takes `begin`'s task and reports with `settle`), else at the moment of need. A
 * spare that fails is thrown away and nothing else: no byte of the log is in doubt.
 */

import { KeelsonError } from '../../errors.ts'
import { attempt, refusalOf } from '../disk/disk-failure.ts'
import { pathIn } from '../ports/disk.ts'
import { spareNames } from '../segments/log-folder.ts'
import type { LogPlace } from '../segments/log-place.ts'
import { prepareSpare, type SpareTask } from '../segments/segment-file.ts'

/** With so many ready, a roll spends one without asking what becomes of the next. */
const enough = 2

/** After a spare failed the next one is begun that much later: on a full disk each try fills what is left of it. */
const pauseMs = 1_000

/** Knows which spares there are. One shelf serves one life of a log. */
export class SpareShelf {
  readonly #place: LogPlace
  readonly #ready: string[] = []
  #making: string | undefined
  #notBefore = Number.NEGATIVE_INFINITY

  constructor(place: LogPlace) {
    this.#place = place
  }

  /** How many are ready. */
  get ready(): number {
    return this.#ready.length
  }

  /** Whether one is being made in the background. */
  get isMaking(): boolean {
    return this.#making !== undefined
  }

  /**
   * Whether a roll had better wait for the spare that is being made. The last spare is spent only when the next one
   * exists or cannot be had: so a disk that fills up shows while there is still a whole segment to write into.
   */
  get isWorthWaitingFor(): boolean {
    return this.isMaking && this.#ready.length < enough
  }

  /** What to make in the background so that `wanted` are ready; `undefined` when that is so, or under way, or failed lately. */
  begin(wanted: number): SpareTask | undefined {
    if (this.isMaking || this.#ready.length >= wanted) return undefined
    if (this.#place.clock.monotonic() < this.#notBefore) return undefined
    this.#making = this.#freeName()
    return this.#task(this.#making)
  }

  /** The task that `begin` gave has ended, with an error or as a spare. Its file is gone when it failed. */
  settle(error?: unknown): void {
    const name = this.#making
    if (name === undefined) return
    this.#making = undefined
    if (error === undefined) this.#ready.push(name)
    else this.#notBefore = this.#place.clock.monotonic() + pauseMs
  }

  /** Sees to it that there is one for `take`, making it now when it must; answers why there is none. */
  provide(): KeelsonError | undefined {
    if (this.#ready.length > 0) return undefined
    const name = this.#freeName()
    try {
      prepareSpare(this.#place.disk, this.#task(name))
    } catch (error) {
      return spareRefusal(error)
    }
    this.#ready.push(name)
    this.#notBefore = Number.NEGATIVE_INFINITY
    return undefined
  }

  /** Takes the oldest of those that are ready away, to become a segment. */
  take(): string {
    const name = this.#ready.shift()
    if (name === undefined) throw new RangeError('No spare was provided')
    return name
  }

  /** Removes what is ready: the log is closed, and the next opening would not trust them. What fails stays as a leftover. */
  discard(): void {
    const { disk, dir } = this.#place
    for (const name of this.#ready.splice(0)) attempt(() => disk.remove(pathIn(dir, name)))
  }

  #task(name: string): SpareTask {
    return { path: pathIn(this.#place.dir, name), size: this.#place.options.maxFileSize }
  }

  #freeName(): string {
    const isTaken = (name: string) => name === this.#making || this.#ready.includes(name)
    // At most two are ready and one is being made when another is provided; of that moment `provide` is not part.
    return spareNames.find((name) => !isTaken(name)) ?? spareNames[0]
  }
}

/** What a failed spare is to whoever needed it. Nothing of the log is in doubt, and a later commit may have more luck. */
const spareRefusal = (error: unknown): KeelsonError => {
  const refusal = refusalOf(error)
  if (!(refusal instanceof KeelsonError)) throw error
  if (refusal.code !== 'SHARD_DOWN') return refusal
  return new KeelsonError('BUSY', 'No new segment could be prepared', {
    details: refusal.details,
    cause: error,
  })
}
