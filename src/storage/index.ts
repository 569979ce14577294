/** What other folders may use of storage: files and formats, the ports and their implementations. */
export { BlobExtents, type Extent, gapsBetween } from './blob-extents.ts'
export type { BlobSegment } from './blob-folder.ts'
export * from './blob-host.ts'
export { readBlobRange } from './blob-reader.ts'
export { recordExtent } from './blob-record.ts'
export {
  type BlobRef,
  blobReferenceBytes,
  decodeBlobReference,
  encodeBlobReference,
} from './blob-reference.ts'
export { loggedBlobRow, recordOfLogged } from './blob-rows.ts'
export {
  type Command,
  type Expiry,
  type FieldEntry,
  type Frame,
  type FrameUnits,
  isAlone,
  type KeepExpiry,
  keepExpiry,
  noExpiry,
  ownerBytesMax,
  type PutCommand,
  type PutEntry,
  type SetCondition,
  type Unit,
  unitsIn,
} from './command.ts'
export {
  type CommandAnswer,
  type Refusal,
  type RefusalReason,
  refusalError,
  type UnitAnswer,
} from './command-answer.ts'
export { decodeFrame } from './command-decoding.ts'
export { encodeFrame, encodeFrameInto, frameLength } from './command-encoding.ts'
export {
  commandsOf,
  refsOf,
  refsOfUnit,
  valuesOf,
  withCommands,
  withValues,
} from './command-values.ts'
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
export { isExpired, living } from './expiry.ts'
export { fieldCount, fieldsMax } from './field-commands.ts'
export { copyingFolder, type UncopiedPlace } from './folder-copy.ts'
export { frameTypes } from './frame.ts'
export type { FrameContent } from './frame-content.ts'
export { markOf } from './frame-mark.ts'
export { inlineBlobHost } from './inline-blob-host.ts'
export { inlineLogHost } from './inline-log-host.ts'
export {
  checkKey,
  compareKeys,
  fieldBytesMax,
  keyBytesMax,
  namespaceOf,
  rootNamespace,
  shardOf,
} from './key.ts'
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
export { frameHeadBytes } from './quick-frame.ts'
export * from './rope.ts'
export {
  compoundOf,
  fieldOf,
  fieldRowKey,
  fieldRows,
  firstUserKey,
  isLockRow,
  lockRowKey,
  lockRows,
  loggedBlobRows,
} from './row-key.ts'
export * from './rows.ts'
export { type SimulatedDisk, simulatedDisk } from './simulated-disk.ts'
export { applyUnits, type RowSink } from './state-machine.ts'
export { isStoredValue, ropeOf, storedRope } from './stored-rope.ts'
export { threadBlobHost } from './thread-blob-host.ts'
export { threadLogHost } from './thread-log-host.ts'
export { threadProjectionWriters } from './thread-projection-writer.ts'
export { TurnShare } from './turn-share.ts'
export { utf8Length } from './utf8.ts'
export { decodeValue, encodeValue } from './value.ts'
