/**
 * `keelson/testing`: what tests of actors need, with any test runner. It imports supervisors and
 * the layers below; the product never loads it. Its rooms do not import each other:
 *
 * - kit: a System on virtual time, probes, kept logs, tests in many orders
 * - simulated: the disk with its faults, hosts without threads, projections in memory
 *
 * Start reading at `kit/test-system.ts`, then `simulated/simulated-disk.ts`.
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
