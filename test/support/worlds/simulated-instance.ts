/** A whole instance on a simulated disk and a virtual clock: the production code, without threads and without waiting. */
import { onTestFinished } from 'vitest'
import type { VirtualClock } from '../../../src/clock.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import {
  type MemoryProjections,
  type SimulatedDisk,
  silentLogger,
  startSimulated,
} from '../../../src/testing/index.ts'
import type { DiskOperation } from '../../../src/testing/simulated/simulated-faults.ts'
import {
  type MachineOptions,
  SimulatedMachine,
} from '../../../src/testing/simulated/simulated-machine.ts'

/** The machine of an instance. It outlives the instance, as a real machine outlives a process. */
export type Machine = Pick<SimulatedMachine, 'threads'> & {
  readonly clock: VirtualClock
  readonly disk: SimulatedDisk
  readonly projections: MemoryProjections
  /** Starts an instance, moving time on until it has started or refused. */
  readonly start: (options?: Partial<StartOptions>) => Promise<App>
  /** Waits for `work` while time passes, in steps of 1 ms, for at most `ms`. */
  readonly during: <T>(work: Promise<T>, ms?: number) => Promise<T>
  /**
   * Moves time on by `ms`, but no more than a second beyond a halt of the disk. An instance whose disk has halted fails and
   * starts its processes again as long as it lives, and acknowledges nothing.
   */
  readonly pass: (ms: number) => Promise<void>
}

/** A machine as `startSimulated` makes one. Its instances log nothing, and run processes first come, first served. */
export const machine = (options: MachineOptions = {}): Machine => {
  const simulated = new SimulatedMachine(options)
  const { clock, disk, projections } = simulated
  return {
    clock,
    disk,
    projections,
    threads: (role) => simulated.threads(role),
    during: (work, withinMs) => simulated.during(work, { withinMs }),
    pass: async (ms) => {
      for (let left = ms; left > 0 && !disk.isHalted; left -= 1_000)
        await clock.advance(Math.min(left, 1_000))
    },
    start: (more = {}) =>
      simulated.start({
        dir: '/data',
        system: createSystem({ clock, logger: silentLogger }),
        ...more,
        wal: { maxFileSize: 256 * 1024, ...more.wal },
        // Tests write little, and most claims about the projection are about its flushes.
        lmdb: { trickleMs: 0, ...more.lmdb },
      }),
  }
}

/**
 * An instance with `options` on a machine of its own. Every other maker is this one with options that its tests share.
 */
export const started = async (options: Partial<StartOptions> = {}, on: MachineOptions = {}) => {
  const world = machine(on)
  const app = await world.start(options)
  return { ...world, world, app, store: app.store }
}

/** An instance as users of `keelson/testing` start one, closed when the test has ended. */
export const simulated: typeof startSimulated = async (options) => {
  const simulation = await startSimulated(options)
  onTestFinished(() => simulation.close())
  return simulation
}

/** Lets the next sync of a shard's segments, whose names begin with a digit, fail: final for that log. */
export const failNextSync = (disk: SimulatedDisk, shard = 0): void => {
  failNext(disk, 'sync', `/data/shard-${shard}/wal/0`)
}

/** Fails the next such call to a file whose path has `path` in it. */
export const failNext = (
  disk: SimulatedDisk,
  operation: DiskOperation,
  path: string,
  code = 'EIO',
): void => disk.inject({ at: 1, operation, path, fault: { kind: 'error', code } })

/** The code that `work` rejects with, or `'ok'`. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'ok',
    (error) => error.code ?? error,
  )
