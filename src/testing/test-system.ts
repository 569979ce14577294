/** A System for a test: virtual time, a silent log, and an order of processes that a seed draws. */
import { type VirtualClock, virtualClock } from '../clock.ts'
import { createSystem, type System, type SystemOptions } from '../runtime/index.ts'
import { silentLogger } from './silent-logger.ts'

/** A System and the clock that it runs on. */
export interface TestSystem {
  readonly system: System
  readonly clock: VirtualClock
}

/**
 * A System whose whole run is the same for the same seed. Without a seed, processes run first come, first served; with
 * one, every order that is not promised is drawn from it, so that many seeds try many interleavings.
 */
export const testSystem = (options: Omit<SystemOptions, 'clock'> = {}): TestSystem => {
  const clock = virtualClock(options.seed)
  return { clock, system: createSystem({ logger: silentLogger, ...options, clock }) }
}
