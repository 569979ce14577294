/**
 * `keelson/testing`: what tests of actors need. Time that stands still until a test moves it, an order that a seed fixes, a
 * process that shows what it was sent, and a log that is kept. It works with any test runner.
 */
export { seededRandom, type VirtualClock, virtualClock } from '../clock.ts'
export { type CapturedLog, capturedLog, type LogLine, silentLogger } from './kit/captured-log.ts'
export { inManyOrders } from './kit/many-orders.ts'
export { outcome, type Probe, probe } from './kit/probe.ts'
export type { ReceivedBy } from './kit/received.ts'
export { type TestSystem, testSystem } from './kit/test-system.ts'
export type { WaitOptions } from './kit/waiting.ts'
export { inlineBlobHost } from './simulated/inline-blob-host.ts'
export { inlineLogHost } from './simulated/inline-log-host.ts'
export { type MemoryProjections, memoryProjections } from './simulated/memory-projection-store.ts'
export { type SimulatedDisk, simulatedDisk } from './simulated/simulated-disk.ts'
