/**
 * `keelson/testing`: what tests of actors need. Time that stands still until a test moves it, an order that a seed fixes, a
 * process that shows what it was sent, and a log that is kept. It works with any test runner.
 */
export { seededRandom, type VirtualClock, virtualClock } from '../clock.ts'
export { type CapturedLog, capturedLog, type LogLine } from './captured-log.ts'
export { inManyOrders } from './many-orders.ts'
export { outcome } from './outcome.ts'
export { type Probe, probe } from './probe.ts'
export type { ReceivedBy } from './received.ts'
export { silentLogger } from './silent-logger.ts'
export { type TestSystem, testSystem } from './test-system.ts'
export type { WaitOptions } from './waiting.ts'
