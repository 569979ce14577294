/**
 * `keelson/testing`: what tests of processes need. Time that stands still until a test moves it, an order that a seed
 * fixes, a process that shows what it was sent, and a log that says nothing.
 */
export { seededRandom, type VirtualClock, virtualClock } from '../clock.ts'
export { type Probe, probe } from './probe.ts'
export { silentLogger } from './silent-logger.ts'
export { type TestSystem, testSystem } from './test-system.ts'
