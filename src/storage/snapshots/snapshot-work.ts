/**
 * Carries out the requests to a shard's snapshots, one after another, on a given disk and clock.
 * Work goes step by step with turns of the event loop between, so that it can be throttled,
 * watched and ended. Threads and simulations run it.
 */

import { SerialQueue } from '../../bytes/serial-queue.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { closing, type Disk } from '../ports/disk.ts'
import { refusalOf } from '../ports/disk-failure.ts'
import type { LoadPlace, NamedSnapshot } from '../ports/named-snapshot.ts'
import type {
  SnapshotFacts,
  SnapshotHost,
  SnapshotProgress,
  SnapshotProtocol,
  SnapshotRequestKind,
} from '../ports/snapshot-host.ts'
import type { SnapshotSource, SnapshotTarget } from '../ports/snapshot-rows.ts'
import { cease } from '../ports/steps.ts'
import { loadAppState, saveAppState } from './app-state.ts'
import { removeUnnamed, snapshotName } from './snapshot-folder.ts'
import { isLoadOf, loadingSnapshot } from './snapshot-loading.ts'
import { type MakingStep, makingSnapshot } from './snapshot-making.ts'
import { blobsOfSnapshot, openSnapshot, rowsFrom, verifyingFile } from './snapshot-reader.ts'

/** The projections that snapshots are made of and loaded into, by their folders. */
export type SnapshotProjections = {
  /**
   * Opens the present state to read. @throws KeelsonError `CORRUPT`; `INVALID_ARGUMENT` if there is
   * no position
   */
  source(dir: string): SnapshotSource
  /**
   * Opens a projection to fill. An interrupted load goes on if `isOurs`; anything else is removed.
   * @throws KeelsonError `NO_SPACE`, `CORRUPT`
   */
  target(
    dir: string,
    isOurs: (place: LoadPlace) => boolean,
  ): SnapshotTarget | Promise<SnapshotTarget>
}

/** How long to rest between two steps. `over` is called at the end of each rest. */
type Rest = { readonly after: (step: MakingStep) => number; readonly over: () => void }

const atMost = (bytesPerSecond: number, clock: Clock): Rest => {
  const begin = clock.monotonic()
  return {
    after: ({ phase, bytes }) =>
      phase === 'write' ? begin + (1_000 * bytes) / bytesPerSecond - clock.monotonic() : 0,
    over: () => undefined,
  }
}

/** The work that a rest follows, in ms: many short steps rest once. */
const restMin = 5

/**
 * The rest after some work, as a multiple of it. The work has one of the processors that the writes
 * share with the collector: beside a half of the time, puts under full load lose a quarter.
 */
const restFactor = 3

/** Works a quarter of the time. */
const aQuarterOfTheTime = (clock: Clock): Rest => {
  let worked = 0
  let began = clock.monotonic()
  return {
    after() {
      worked += clock.monotonic() - began
      return worked < restMin ? 0 : restFactor * worked
    },
    over() {
      if (worked >= restMin) worked = 0
      began = clock.monotonic()
    },
  }
}

/** The ports of the work. */
export type SnapshotWorkParts = {
  readonly disk: Disk
  readonly clock: Clock
  readonly projections: SnapshotProjections
}

type Progress = (progress: SnapshotProgress) => void

/** The snapshots of one shard. */
export class SnapshotWork implements SnapshotHost {
  readonly #parts: SnapshotWorkParts
  readonly #ending = new AbortController()
  readonly #turns = new SerialQueue()

  constructor(parts: SnapshotWorkParts) {
    this.#parts = parts
  }

  run<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    onProgress: Progress = () => undefined,
  ): Promise<SnapshotProtocol[K]['answer']> {
    return this.#turns.run(() => this.#handle(kind, request, onProgress))
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await this.#turns.settled
  }

  async #handle<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    onProgress: Progress,
  ): Promise<SnapshotProtocol[K]['answer']> {
    const handlers: Handlers = {
      make: (asked) => this.#make(asked, onProgress),
      verify: (asked) => this.#verify(asked, onProgress),
      load: (asked) => this.#load(asked, onProgress),
      blobs: (asked) => this.#blobs(asked, onProgress),
      rows: async (asked) => this.#rows(asked),
      tidy: async ({ dir, kept }) => removeUnnamed(this.#parts.disk, dir, kept),
      saveState: async ({ dir, state, copiedLsn }) => ({
        states: saveAppState(this.#parts.disk, dir, state, copiedLsn),
      }),
      loadState: async ({ dir }) => loadAppState(this.#parts.disk, dir),
    }
    try {
      this.#refuseIfEnded()
      return await handlers[kind](request)
    } catch (error) {
      throw refusalOf(error)
    }
  }

  async #make(
    { dir, projection, bytesPerSecond, pinnedBytesMax }: SnapshotProtocol['make']['request'],
    onProgress: Progress,
  ): Promise<SnapshotFacts> {
    const { disk, projections, clock } = this.#parts
    const source = projections.source(projection)
    const rowsInAll = source.rows
    const rest =
      bytesPerSecond === undefined ? aQuarterOfTheTime(clock) : atMost(bytesPerSecond, clock)
    try {
      const steps = makingSnapshot(disk, dir, source, pinnedBytesMax)
      return await this.#through(steps, async (step) => {
        onProgress({ ...step, rowsInAll })
        await this.#pause(rest.after(step))
        rest.over()
      })
    } finally {
      source.close()
    }
  }

  #verify(
    { dir, snapshot }: SnapshotProtocol['verify']['request'],
    onProgress: Progress,
  ): Promise<SnapshotFacts> {
    const steps = verifyingFile(this.#parts.disk, dir, snapshotName(snapshot.lsn), snapshot)
    return this.#through(steps, this.#reporter('verify', snapshot, onProgress))
  }

  async #load(
    { dir, snapshot, projection }: SnapshotProtocol['load']['request'],
    onProgress: Progress,
  ): Promise<SnapshotFacts> {
    const { disk, projections } = this.#parts
    const reader = openSnapshot(disk, dir, snapshot)
    try {
      const target = await projections.target(projection, (place) => isLoadOf(place, reader.facts))
      try {
        const report = this.#reporter('load', snapshot, onProgress)
        return await this.#through(loadingSnapshot(reader, target), report)
      } finally {
        await target.close()
      }
    } finally {
      reader.close()
    }
  }

  async #blobs(
    { dir, snapshot }: SnapshotProtocol['blobs']['request'],
    onProgress: Progress,
  ): Promise<SnapshotProtocol['blobs']['answer']> {
    const reader = openSnapshot(this.#parts.disk, dir, snapshot)
    try {
      const report = this.#reporter('blobs', snapshot, onProgress)
      const live = await this.#through(blobsOfSnapshot(reader), report)
      const blobs = [...live.segments].flatMap((segment) =>
        live.of(segment).map((extent) => ({ segment, ...extent })),
      )
      return { blobs }
    } finally {
      reader.close()
    }
  }

  #rows({
    dir,
    snapshot,
    from,
    maxBytes,
  }: SnapshotProtocol['rows']['request']): SnapshotProtocol['rows']['answer'] {
    return closing(openSnapshot(this.#parts.disk, dir, snapshot), (reader) =>
      rowsFrom(reader, maxBytes, from),
    )
  }

  #reporter(
    phase: SnapshotProgress['phase'],
    { bytes: bytesInAll }: NamedSnapshot,
    onProgress: Progress,
  ) {
    return (at: { readonly rows: number; readonly offset: number }): Promise<void> => {
      onProgress({ phase, rows: at.rows, bytes: at.offset, bytesInAll })
      return this.#pause(0)
    }
  }

  /** Takes all steps, and calls `between` after each. An end of the host ends them early. */
  async #through<S, R>(steps: Generator<S, R>, between: (step: S) => Promise<void>): Promise<R> {
    try {
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
        await between(step.value)
        this.#refuseIfEnded()
      }
    } finally {
      cease(steps)
    }
  }

  #refuseIfEnded(): void {
    if (this.#ending.signal.aborted)
      throw new KeelsonError('CLOSED', 'the work on snapshots was ended')
  }

  /** Waits `ms`, at least a turn of the event loop, or until the host ends. */
  #pause(ms: number): Promise<void> {
    const { clock } = this.#parts
    const { signal } = this.#ending
    return new Promise((resolve) => {
      if (ms < 1 || signal.aborted) return clock.soon(resolve)
      let cancel: Cancel | undefined
      const wake = (): void => {
        cancel?.()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      cancel = clock.after(ms, wake)
      signal.addEventListener('abort', wake)
    })
  }
}

type Handlers = {
  readonly [K in SnapshotRequestKind]: (
    request: SnapshotProtocol[K]['request'],
  ) => Promise<SnapshotProtocol[K]['answer']>
}
