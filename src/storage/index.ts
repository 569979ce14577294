/** What other folders may use of storage: files and formats, the ports and their implementations. */
export {
  type Command,
  decodeFrame,
  type Expiry,
  encodeFrame,
  type Frame,
  noExpiry,
  type Unit,
} from './command.ts'
export {
  type DataFolderFacts,
  type DataFolderReading,
  lockFileName,
  readDataFolder,
  type ShardFolders,
  shardFolder,
  shardsPresent,
  writeDataFolder,
} from './data-folder.ts'
export { type Disk, DiskError, type DiskFile, type DiskLock } from './disk.ts'
export { copyingFolder } from './folder-copy.ts'
export { frameTypes } from './frame.ts'
export type { FrameContent } from './frame-content.ts'
export { inlineLogHost } from './inline-log-host.ts'
export { checkKey, compareKeys, namespaceOf, shardOf } from './key.ts'
export { examineProjection } from './lmdb-examination.ts'
export { lmdbProjections } from './lmdb-projection-store.ts'
export { describeHolder } from './lock-holder.ts'
export type { LogKnowledge } from './log-damage.ts'
export { type DumpRange, type DumpRecord, dumping } from './log-dump.ts'
export { type Damage, refusalOf, refusing } from './log-errors.ts'
export * from './log-host.ts'
export type { LogVerification } from './log-judgement.ts'
export { unitBytesMax } from './log-limits.ts'
export { nothingFound, type Salvaged, salvaging } from './log-salvage.ts'
export { type LogProgress, verifying, verifyLog } from './log-verification.ts'
export type { LsnRange } from './lost-frame.ts'
export { type MemoryProjections, memoryProjections } from './memory-projection-store.ts'
export { nodeDisk, shareLock } from './node-disk.ts'
export * from './projection-store.ts'
export { type SimulatedDisk, simulatedDisk } from './simulated-disk.ts'
export { applyUnit, type CommandAnswer, isExpired, type UnitAnswer } from './state-machine.ts'
export { threadLogHost } from './thread-log-host.ts'
export { decodeValue, encodeValue } from './value.ts'
