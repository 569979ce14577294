/**
 * `keelson/testing`: what tests of actors and services need, with any test runner. It imports
 * flow, supervisors and the layers below. The product never loads it. Its rooms:
 *
 * - kit: a System on virtual time, probes, kept logs, tests in many orders
 * - simulated: a whole instance on a disk in memory that fails, tears writes and loses its power
 *
 * Start reading at `kit/test-system.ts`, then `simulated/start-simulated.ts`.
 */
export { seededRandom, type VirtualClock, virtualClock } from '../clock.ts'
export { type CapturedLog, capturedLog, type LogLine, silentLogger } from './kit/captured-log.ts'
export { outcome, type Probe, probe } from './kit/probe.ts'
export type { ReceivedBy } from './kit/received.ts'
export { inManyOrders, type TestSystem, testSystem } from './kit/test-system.ts'
export type { WaitOptions } from './kit/waiting.ts'
export { inlineBlobHost, inlineLogHost } from './simulated/inline-host.ts'
export {
  type MemoryProjections,
  type MemoryProjectionsOptions,
  memoryProjections,
} from './simulated/memory-projection-store.ts'
export { type RehearseTreeOptions, rehearse } from './simulated/rehearse.ts'
export type { Unsynced } from './simulated/simulated-crash.ts'
export {
  type SimulatedDisk,
  type SimulatedDiskOptions,
  simulatedDisk,
} from './simulated/simulated-disk.ts'
export {
  changingOperations,
  type DiskCall,
  type DiskOperation,
  diskOperations,
  type Fault,
  type FaultPlan,
} from './simulated/simulated-faults.ts'
export type { SimulatedRun, SimulatedRunOptions } from './simulated/simulated-run.ts'
export {
  type SimulatedOptions,
  type SimulatedStartOptions,
  type Simulation,
  startSimulated,
} from './simulated/start-simulated.ts'
