/**
 * A System for a test: virtual time, a kept log, and an order of processes drawn from a seed. A
 * test can run in many orders: the promises of an actor must hold in every interleaving of
 * messages.
 */

import { noMore } from '../../check.ts'
import { type VirtualClock, virtualClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  createSystem,
  type ExitReason,
  type Messages,
  type ProcessInfo,
  type System,
  type SystemOptions,
  type Target,
} from '../../runtime/index.ts'
import { type CapturedLog, capturedLog } from './captured-log.ts'
import { type Probe, probe } from './probe.ts'
import { Awaited, type WaitOptions } from './waiting.ts'

/** A System, its clock, and the tools of a test. */
export interface TestSystem {
  readonly system: System
  readonly clock: VirtualClock
  /** The log of the System and its actors. Nothing is printed. */
  readonly log: CapturedLog
  /** Starts a probe. */
  probe<M extends Messages = Messages>(options?: { readonly label?: string }): Probe<M>
  /** Runs everything that can run without time passing. It does not wait for files and sockets. */
  settle(): Promise<void>
  /** Moves time on by `ms`. Fires timers in the order of their time, and settles after each. */
  advance(ms: number): Promise<void>
  /**
   * Why `target` ended; `noproc` when there is no such process. Rejects `TIMEOUT` when it has not
   * ended and will not (see `WaitOptions`); the error says what the process is doing.
   */
  ended(target: Target, options?: WaitOptions): Promise<ExitReason>
  /** Kills every process, and settles. Call it at the end of a test. */
  close(): Promise<void>
}

/**
 * Makes a System whose run is the same for the same seed. Without a seed, processes run first come,
 * first served. With a seed, every order that is not promised is drawn from it, so that many seeds
 * try many interleavings (`inManyOrders`). A `logger` gets every line too.
 */
export const testSystem = (
  options: Omit<SystemOptions, 'clock'> = noOptions,
  ...surplus: []
): TestSystem => {
  noMore(surplus, 'testSystem({ seed, … })')
  const clock = virtualClock(options.seed)
  const log = capturedLog(options.logger)
  const system = createSystem({ ...options, logger: log, clock })
  return {
    system,
    clock,
    log,
    probe: (probeOptions) => probe(system, probeOptions),
    settle: () => clock.settle(),
    advance: (ms) => clock.advance(ms),
    ended: (target, wait) => ended(system, target, wait),
    close: async () => {
      for (const { ref } of system.processes()) system.kill(ref)
      await clock.settle()
    },
  }
}

const ended = async (system: System, target: Target, wait?: WaitOptions): Promise<ExitReason> => {
  const reasons: ExitReason[] = []
  const awaited = new Awaited(system.clock, () => reasons.length > 0)
  const unmonitor = system.monitor(target, (reason) => {
    reasons.push(reason)
    awaited.changed()
  })
  if (await awaited.within(wait)) return reasons[0]
  unmonitor()
  const info = system.info(target)
  throw new KeelsonError('TIMEOUT', `${target} has not ended: ${describe(info)}`, {
    details: { status: info?.status, mailbox: info?.mailbox },
  })
}

const describe = (info: ProcessInfo | undefined): string => {
  if (info === undefined) return 'it is not there'
  const { status, mailbox, handling } = info
  return `${status}${handling ? ` with ${handling.message}` : ''}, ${mailbox} waiting`
}

/**
 * Runs `test` with the seeds from 1 to `count`, each on a separate System, which is closed
 * afterwards. When a run fails, the error names the seed, and its `cause` is the failure.
 * `KEELSON_SEED=17` in the environment runs that seed alone.
 */
export const inManyOrders = async (
  count: number,
  test: (world: TestSystem, seed: number) => unknown,
  ...surplus: []
): Promise<void> => {
  noMore(surplus, 'inManyOrders(count, test)')
  const only = process.env.KEELSON_SEED
  const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, index) => index + 1)
  for (const seed of seeds) await inOrder(seed, test)
}

const inOrder = async (
  seed: number,
  test: (world: TestSystem, seed: number) => unknown,
): Promise<void> => {
  const world = testSystem({ seed })
  try {
    await test(world, seed)
  } catch (cause) {
    throw new Error(`fails with seed ${seed}: run it alone with KEELSON_SEED=${seed}`, { cause })
  } finally {
    await world.close()
  }
}
