/**
 * The features of logs at one member of an engine: it joins before it opens a shard, and turns on
 * what all members read. `log-features.ts` decides from a view; this carries it out.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import type { Directory, DirectoryView, LogFeatures } from '../../storage/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'

/** The directory, and what this start of the member reads. */
export type FeatureSwitchParts = {
  readonly features: EngineStorage['features']
  readonly directory: Directory
  readonly calls: Pick<InstanceType<EngineStorage['EngineCalls']>, 'ask'>
  readonly incarnation: () => string
  readonly reads: number
  readonly clock: Clock
  readonly leaseMs: number
}

/** The features that this member reads, and may write. */
export class FeatureSwitch implements LogFeatures {
  readonly reads: number
  readonly #parts: FeatureSwitchParts
  #on = 0
  /** It turns features on from then on: members that began with it, as after a power cut, have joined. */
  #turnsFrom = Number.POSITIVE_INFINITY
  #isTurning = false

  constructor(parts: FeatureSwitchParts) {
    this.#parts = parts
    this.reads = parts.reads
  }

  get on(): number {
    return this.#on
  }

  /** Joins. This start has its lease. @throws KeelsonError `UNSUPPORTED_VERSION`; as the engine's calls */
  async join(): Promise<void> {
    const { features, directory, calls, clock, leaseMs } = this.#parts
    for (;;) {
      const view = await calls.ask(() => directory.view())
      const { name, revision, value } = features.joining(view, this.#reader)
      try {
        await calls.ask(() => directory.set(name, revision, value))
        break
      } catch (error) {
        // Another member was first, or an earlier attempt without an answer was.
        if (!isKeelsonError(error, 'CONFLICT')) throw error
      }
    }
    this.#turnsFrom = clock.monotonic() + leaseMs
  }

  /** The directory has changed. @throws KeelsonError `CORRUPT` for a damaged entry */
  saw(view: DirectoryView): void {
    const { features, clock } = this.#parts
    this.#on = features.featuresOn(view)
    if (clock.monotonic() < this.#turnsFrom) return
    const step = features.turningOn(view, this.#reader)
    if (step && !this.#isTurning) void this.#turn(step)
  }

  /** If it fails, as when another member was first, the next view shows what is left to do. */
  async #turn({
    name,
    revision,
    value,
  }: ReturnType<EngineStorage['features']['joining']>): Promise<void> {
    const { directory, calls } = this.#parts
    this.#isTurning = true
    await calls.ask(() => directory.set(name, revision, value)).catch(() => undefined)
    this.#isTurning = false
  }

  get #reader(): { readonly incarnation: string; readonly reads: number } {
    return { incarnation: this.#parts.incarnation(), reads: this.reads }
  }
}
