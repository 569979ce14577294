/**
 * `startSimulated`: a whole instance, with the tree that `start` makes, on a disk in memory and a
 * virtual clock. A test injects faults, kills the process or cuts the power. Then it starts again
 * on the disk that survived.
 */

import { noMore } from '../../check.ts'
import type { VirtualClock } from '../../clock.ts'
import { configError, KeelsonError } from '../../errors.ts'
import type { Workflow } from '../../flow/index.ts'
import { noOptions } from '../../own-names.ts'
import { createSystem, type Logger, type System } from '../../runtime/index.ts'
import { type App, checkStartOptions, type StartOptions } from '../../supervisors/index.ts'
import { type CapturedLog, capturedLog } from '../kit/captured-log.ts'
import type { MemoryProjections } from './memory-projection-store.ts'
import type { Unsynced } from './simulated-crash.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedMachine } from './simulated-machine.ts'
import { runSimulated, type SimulatedRun, type SimulatedRunOptions } from './simulated-run.ts'

/**
 * The options of `start` without `dir`, which is `/data`, without `system` and `logger`, which the
 * simulation has, and without `attach`.
 */
export type SimulatedStartOptions = Omit<StartOptions, 'dir' | 'system' | 'logger' | 'attach'>

/**
 * The options of `start` and those of the machine. Segments are of 256 KiB unless `wal.maxFileSize`
 * says otherwise, because the disk is in memory.
 */
export type SimulatedOptions = SimulatedStartOptions & {
  /**
   * Decides what power cuts and failed writes leave, identities, and each order of processes that
   * is not promised. Without a seed, processes run first come, first served, and the rest is as
   * with 1.
   */
  readonly seed?: number
  /** From a request to the log or the blobs to its answer, in virtual ms; 1. */
  readonly syncMs?: number
  /** Space on the disk; without limit. */
  readonly capacityBytes?: number
  /** Gets every line that instances log, as `log` does. */
  readonly logger?: Logger
}

/** The folder of simulated instances. */
const dir = '/data'

/**
 * Starts an instance on a new simulated machine. Rejects as `start` does, and with `CONFIG` for a
 * wrong option of the machine. A run is the same for the same seed.
 */
export const startSimulated = async (
  options: SimulatedOptions = noOptions,
  ...surplus: []
): Promise<Simulation> => {
  noMore(surplus, 'startSimulated({ seed, … })')
  const { seed, syncMs, capacityBytes, logger, ...startOptions } = options
  checkNumber('seed', seed, Number.isSafeInteger, 'a whole number')
  checkNumber('syncMs', syncMs, (ms) => ms >= 0 && Number.isFinite(ms), 'ms from 0')
  checkNumber('capacityBytes', capacityBytes, (bytes) => bytes >= 0, 'bytes from 0')
  for (const name of ['dir', 'system'] as const)
    if (name in startOptions) throw configError(name, 'that the simulation sets it', 'a value')
  checkStartOptions({ ...startOptions, dir })
  const { sectorBytes } = startOptions.wal ?? {}
  const machine = new SimulatedMachine({
    ...(seed !== undefined && { seed }),
    ...(syncMs !== undefined && { syncMs }),
    ...(capacityBytes !== undefined && { capacityBytes }),
    ...(sectorBytes !== undefined && { sectorBytes }),
  })
  const simulation = new Simulation(machine, startOptions, capturedLog(logger), seed)
  await simulation.start()
  return simulation
}

const checkNumber = (
  name: string,
  found: unknown,
  isRight: (found: number) => boolean,
  expected: string,
): void => {
  if (found !== undefined && !(typeof found === 'number' && isRight(found)))
    throw configError(name, expected, found)
}

/**
 * A simulated machine and the instance on it. The files outlive the instance. Made by
 * `startSimulated`.
 */
export class Simulation {
  /** The log of the instances. Nothing is printed. */
  readonly log: CapturedLog
  readonly #machine: SimulatedMachine
  readonly #options: SimulatedStartOptions
  #latest: SimulatedStartOptions
  readonly #seed: number | undefined
  #app: App | undefined

  /** @internal For `startSimulated`. */
  constructor(
    machine: SimulatedMachine,
    options: SimulatedStartOptions,
    log: CapturedLog,
    seed: number | undefined,
  ) {
    this.log = log
    this.#machine = machine
    this.#options = options
    this.#latest = options
    this.#seed = seed
  }

  /** The running instance. @throws KeelsonError `CLOSED` when none runs */
  get app(): App {
    if (!this.#app) throw new KeelsonError('CLOSED', 'no instance runs: start() starts one')
    return this.#app
  }

  /** The System of the running instance. @throws KeelsonError `CLOSED` */
  get system(): System {
    return this.app.system
  }

  get clock(): VirtualClock {
    return this.#machine.clock
  }

  /** The disk: its faults, its contents, its counts of calls. */
  get disk(): SimulatedDisk {
    return this.#machine.disk
  }

  /** The projections, which replace LMDB: they can fail, lose commits and be damaged. */
  get projections(): MemoryProjections {
    return this.#machine.projections
  }

  /**
   * From a request to the log or the blobs to its answer, in virtual ms. Set it to make the disk
   * slow.
   */
  get syncMs(): number {
    return this.#machine.syncMs
  }

  set syncMs(ms: number) {
    checkNumber('syncMs', ms, (found) => found >= 0 && Number.isFinite(found), 'ms from 0')
    this.#machine.syncMs = ms
  }

  /** Runs everything that can run without time passing. */
  settle(): Promise<void> {
    return this.clock.settle()
  }

  /** Moves time on by `ms`, timer by timer. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms)
  }

  /**
   * Lets time pass until `work` settles, and settles as it does; a value is settled. Rejects `TIMEOUT` after `withinMs`
   * virtual ms, 60,000 by default.
   */
  during<T>(
    work: T | PromiseLike<T>,
    options: { readonly withinMs?: number } = noOptions,
  ): Promise<T> {
    return this.#machine.during(work, options)
  }

  /**
   * Starts a run of a workflow of the tree, lets time pass until it ends or is blocked, and says
   * what became of it. When the power goes (`crashAfter`, or a halt of the disk), the instance starts
   * again as it was started last, and the run goes on: `app` is another one then. The same `id` and
   * input go on with that run.
   * @throws KeelsonError `TIMEOUT` if it has not ended within `withinMs`; `INVALID_ARGUMENT` if
   * `crashAfter` has cut nothing; as `flow(app).start`
   */
  run<I, O, S, Q, U>(
    type: Workflow<I, O, S, Q, U>,
    input: I,
    options: SimulatedRunOptions<O, S, Q, U> = noOptions,
  ): Promise<SimulatedRun<O>> {
    return runSimulated(this, () => this.start(this.#latest), type, input, options)
  }

  /**
   * Starts an instance on the files of the disk. `options` replace those of `startSimulated`.
   * Rejects as `start` does: `LOCKED_DIR` while an instance runs, `CORRUPT` when the log is
   * damaged.
   */
  async start(options: SimulatedStartOptions = this.#options): Promise<App> {
    this.#latest = options
    const { clock, log: logger } = this
    const seed = this.#seed
    const system = createSystem({ clock, logger, ...(seed !== undefined && { seed }) })
    const wal = { maxFileSize: 256 * 1024, ...options.wal }
    this.#app = await this.#machine.start({ ...options, dir, system, wal })
    return this.#app
  }

  /** Ends the instance in order, as `app.close()` does. A no-op when none runs. */
  async close(options: { readonly deadlineMs?: number } = noOptions): Promise<void> {
    const app = this.#app
    if (!app) return
    await this.during(app.close(options), { withinMs: Number.POSITIVE_INFINITY })
    this.#app = undefined
    await this.#stopSystem(app)
  }

  /**
   * Ends the process as SIGKILL does. Written bytes stay, synced or not. Every pending call settles
   * with a code. A no-op when no instance runs.
   */
  async kill(): Promise<void> {
    await this.#die()
    this.disk.killProcess()
  }

  /**
   * Cuts the power. Unsynced changes are kept, lost, torn, reordered or garbled as the seed
   * decides, or all `kept` or all `lost`. Every pending call settles with a code. `start` then
   * starts an instance on the disk that survived.
   */
  async powerCut(options: { readonly unsynced?: Unsynced } = noOptions): Promise<void> {
    await this.#die()
    this.disk.crash(options)
  }

  /**
   * Stops all calls to the disk and every process: nothing of the user's runs from now on. Then the
   * instance ends as far as it can, which settles waiting calls.
   */
  async #die(): Promise<void> {
    this.disk.halt()
    const app = this.#app
    if (app) {
      for (const { ref } of app.system.processes()) app.system.kill(ref)
      await this.during(app.close({ deadlineMs: 0 }).catch(() => undefined))
      this.#app = undefined
      await this.#stopSystem(app)
    }
  }

  async #stopSystem(app: App): Promise<void> {
    await this.during(app.system.stop().catch(() => undefined))
  }
}
