/** A System for a test: virtual time, a log that is kept, and an order of processes that a seed draws. */
import { type VirtualClock, virtualClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
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

/** A System, the clock that it runs on, and what a test needs besides. */
export interface TestSystem {
  readonly system: System
  readonly clock: VirtualClock
  /** What the System and its actors logged. Nothing of it is printed. */
  readonly log: CapturedLog
  /** Starts a probe. */
  probe<M extends Messages = Messages>(options?: { readonly label?: string }): Probe<M>
  /** Lets everything happen that can happen without time passing. It knows nothing of files and sockets: await those. */
  settle(): Promise<void>
  /** Moves time on by `ms`, firing timers in the order of their time and settling after each. */
  advance(ms: number): Promise<void>
  /**
   * Why `target` ended; `noproc` when it is not there. Rejects `TIMEOUT`, with what the process is doing in the message,
   * when it has not ended and will not: see `WaitOptions`.
   */
  ended(target: Target, options?: WaitOptions): Promise<ExitReason>
  /** Kills whatever runs, and settles. For the end of a test: nothing of it reaches into the next. */
  close(): Promise<void>
}

/**
 * A System whose whole run is the same for the same seed. Without a seed, processes run first come, first served; with
 * one, every order that is not promised is drawn from it, so that many seeds try many interleavings (`inManyOrders`).
 * A `logger` gets every line besides `log`.
 */
export const testSystem = (options: Omit<SystemOptions, 'clock'> = {}): TestSystem => {
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
