/** A whole instance on a simulated disk and a virtual clock: the production code, without threads and without waiting. */
import { onTestFinished } from 'vitest'
import { type VirtualClock, virtualClock } from '../../src/clock.ts'
import { createSystem } from '../../src/runtime/index.ts'
import type { Projections } from '../../src/storage/index.ts'
import { type App, type StartOptions, startInstance } from '../../src/supervisors/index.ts'
import {
  inlineBlobHost,
  inlineLogHost,
  type MemoryProjections,
  memoryProjections,
  type SimulatedDisk,
  simulatedDisk,
} from '../../src/testing/index.ts'

/** What an instance stands on; it outlives the instance, as a machine does a process. */
export type Machine = {
  readonly clock: VirtualClock
  readonly disk: SimulatedDisk
  readonly projections: MemoryProjections
  /** Starts an instance, moving time on until it has started or refused. */
  readonly start: (options?: Partial<StartOptions>) => Promise<App>
  /** Waits for `work` while time passes, in steps of `stepMs`, for at most `ms`. */
  readonly during: <T>(work: Promise<T>, ms?: number) => Promise<T>
}

const silent = { error: () => undefined, warn: () => undefined, info: () => undefined }

/**
 * A machine whose log answers `syncMs` after each request, takes `endMs` to be ended, and makes spares in the background,
 * one call to the disk every `spareStepMs`. Its disk tears sectors of `sectorBytes`. What is opened of its projections goes
 * through `around`.
 */
export const machine = ({
  seed = 1,
  syncMs = 1,
  endMs = 0,
  spareStepMs = 3,
  sectorBytes = 512,
  around = (projections: Projections): Projections => projections,
} = {}): Machine => {
  const clock = virtualClock(seed)
  const disk = simulatedDisk({ seed, sectorBytes })
  const projections = memoryProjections()
  const opened = around(projections)
  const during = async <T>(work: Promise<T>, ms = 60_000): Promise<T> => {
    let settled = false
    const mark = () => {
      settled = true
    }
    work.then(mark, mark)
    await clock.settle()
    for (let passed = 0; !settled && passed < ms; passed++) await clock.advance(1)
    if (!settled) throw new Error(`nothing came of it within ${ms} virtual ms`)
    return work
  }
  const start = async (options: Partial<StartOptions> = {}): Promise<App> => {
    const system = createSystem({ clock, logger: silent })
    const ports = {
      disk,
      clock,
      makeHost: () => inlineLogHost({ disk, clock, delayMs: syncMs, endMs, spareStepMs }),
      projections: opened,
      makeBlobHost: () => inlineBlobHost({ disk, clock, delayMs: syncMs }),
    }
    const wal = { maxFileSize: 256 * 1024, ...options.wal }
    const app = await during(startInstance({ dir: '/data', system, ...options, wal }, ports))
    onTestFinished(() => void app.close())
    return app
  }
  return { clock, disk, projections, start, during }
}

/** Lets the next sync of a shard's segments, whose names begin with a digit, fail: final for that log. */
export const failNextSync = (disk: SimulatedDisk, shard = 0): void => {
  disk.inject({
    at: 1,
    operation: 'sync',
    path: `/data/shard-${shard}/wal/0`,
    fault: { kind: 'error', code: 'EIO' },
  })
}

/** The code that `work` rejects with, or `'ok'`. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'ok',
    (error) => error.code ?? error,
  )
