/**
 * Storage: files and formats. It knows no actor, and imports only leaves of `src`. Bytes
 * on disk are in FORMAT.md. Its rooms, each importing only rooms above it:
 *
 * - ports: what storage needs of a disk, a log's host and a projection store; what is done through
 *   the port of a disk alone; the layout of a data folder
 * - groups: group commit: the group that fills, its queue, deadlines, outcomes and syncs
 * - disk: the real file system as a port, its locks, `keelson.json`
 * - frames: frames, groups of frames and segment headers as bytes
 * - segments: segment files, their chain and survey, the MANIFEST, appending
 * - commitments: hashes of groups, the range over their headers, proofs, and their files
 * - values: keys, row keys, values, ropes and blob references as bytes
 * - blobs: large values in segments of their own: writing, reading, giving space back
 * - commands: commands, units and their encoding
 * - lmdb: projections in LMDB, and the examination of its file
 * - examination: what the files of a log have, and the verdict on them; the turns of one actor
 * - log: opening a log: inspection, plan, opening; an open log: writer, reader, spares, retention
 * - rows: the row machine: what a unit does to rows
 * - snapshots: snapshots of a projection: making, verifying, loading
 * - backups: copies of a shard, and what a backup holds
 * - projections: projections by users: from the changes of a frame to rows, and rebuilds
 * - threads: log, blobs, projection commits, examinations and snapshots on threads of their own
 * - wal: `keelson/wal`, the log as a library; a separate entry
 *
 * Start reading at FORMAT.md, then `log/log-opening.ts` and `log/log-writer.ts`.
 */

export { type Backup, backupFileName, readBackup } from './backups/backup-file.ts'
export { claimBackup } from './backups/backup-folder.ts'
export { copyingBlob, keepNumbers, nextNumber, PlacedBlob } from './backups/blob-copy.ts'
export { bytesBelow, copyingFolder, type UncopiedPlace } from './backups/file-copy.ts'
export { logExporter } from './backups/log-export.ts'
export { copyingShard, segmentsOf } from './backups/shard-copy.ts'
export { copyingSnapshot } from './backups/snapshot-copy.ts'
export { clearing } from './blobs/blob-clearing.ts'
export { type BlobSegment, blobSegmentPath, listBlobs } from './blobs/blob-folder.ts'
export * from './blobs/blob-host.ts'
export { blobPieces, isFreed, readBlobRange } from './blobs/blob-reader.ts'
export { encodeBlobHeader, headerFault, trailerFault } from './blobs/blob-record.ts'
export { blobSizesPath, type LostFile, lostSegments } from './blobs/blob-sizes.ts'
export { Blobs } from './blobs/blobs.ts'
export {
  type Command,
  type EntityRowChange,
  type EntryUnit,
  type Expiry,
  type FieldEntry,
  type FrameUnits,
  isAlone,
  type KeepExpiry,
  keepExpiry,
  noExpiry,
  ownerBytesMax,
  ownerIn,
  type PutEntry,
  type Removal,
  type Turn,
  type Unit,
  unitsIn,
} from './commands/command.ts'
export {
  type CommandAnswer,
  type EntryPlace,
  type Refusal,
  refusalError,
  type StreamAnswer,
  type StreamDone,
  type StreamRefusal,
  type UnitAnswer,
} from './commands/command-answer.ts'
export { checkCommand, checkCommands } from './commands/command-check.ts'
export { decodeFrame } from './commands/command-decoding.ts'
export { encodeFrame, encodeFrameInto, frameLength } from './commands/command-encoding.ts'
export {
  commandsOf,
  entriesOf,
  namedKeys,
  refsOfUnit,
  streamPartsOf,
  unitWithValues,
  valuesOfUnit,
} from './commands/command-values.ts'
export { entryUnit } from './commands/entry-unit.ts'
export {
  type EntryContent,
  entryContent,
  readEntryRow,
  type TypedPayload,
} from './commands/journal-entry.ts'
export {
  messageBytesMax,
  messagesOf,
  type ProducerNumber,
  producerIdBytesMax,
  type StreamAct,
  type StreamPart,
  type StreamsUnit,
  type StreamTarget,
} from './commands/stream-unit.ts'
export * from './commitments/proof.ts'
export {
  type CacheOrigin,
  confirmedFacts,
  type DataFolderFacts,
  type DataFolderReading,
  type KnownShard,
  knownShards,
  readDataFolder,
  shardsPresent,
  writeDataFolder,
} from './disk/data-folder.ts'
export { raiseFloor, readFloor } from './disk/floor-file.ts'
export {
  connectIn,
  type FolderSocket,
  listenIn,
} from './disk/folder-socket.ts'
export {
  beginSwap,
  completeSwap,
  dropSwap,
  type FolderSwap,
  readSwap,
  refuseSwap,
  refuseSwapped,
} from './disk/folder-swap.ts'
export { type FolderUse, filesBelow, folderUse } from './disk/folder-use.ts'
export { describeHolder, type LockHolder, lockedDir, readHolder } from './disk/lock-holder.ts'
export type { MemberLocks } from './disk/member-locks.ts'
export { memberLocks, nodeDisk, shareLock } from './disk/node-disk.ts'
export { addressIn, addressText, type SocketAddress } from './disk/socket-address.ts'
export { connectWithSecret, listenWithSecret } from './disk/tls-socket.ts'
export { readChain } from './examination/chain-reading.ts'
export { type FrameContent, recordContent } from './examination/frame-content.ts'
export type { GoodFrames, LogKnowledge } from './examination/log-damage.ts'
export { type DumpRecord, dumping } from './examination/log-dump.ts'
export type { LogVerification } from './examination/log-judgement.ts'
export { verifying } from './examination/log-verification.ts'
export * from './examination/logged-turn.ts'
export { engineTurnScanner, scanningTurns } from './examination/turn-scan.ts'
export { stampBytes } from './frames/control-payload.ts'
export { frameBytes, frameTypes } from './frames/frame.ts'
export { walkingFrames } from './frames/frame-walk.ts'
export { corruption, type Damage } from './frames/log-errors.ts'
export { encodeLost, type LsnRange } from './frames/lost-frame.ts'
export { Durability } from './groups/durability.ts'
export { GroupFiller } from './groups/group-filler.ts'
export { GroupQueue } from './groups/group-queue.ts'
export { IdleWatch } from './groups/idle-watch.ts'
export { type Fate, isRefusal, outcomeOf } from './groups/outcome.ts'
export { type GroupLimits, type GroupWrite, WriteGroup } from './groups/write-group.ts'
export { loadLmdb, type OpenDatabase } from './lmdb/lmdb-environment.ts'
export { examineProjection, examiningProjection } from './lmdb/lmdb-examination.ts'
export { lmdbProjections } from './lmdb/lmdb-projection-store.ts'
export { lmdbSnapshotSource } from './lmdb/lmdb-snapshot-source.ts'
export { lmdbSnapshotTarget } from './lmdb/lmdb-snapshot-target.ts'
export { createLog } from './log/log.ts'
export { removeLog } from './log/log-creation.ts'
export type { BackupFolder, BackupFolders } from './ports/backup-folder.ts'
export * from './ports/cluster-engine.ts'
export {
  closing,
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskFolder,
  type DiskLock,
  type OpenMode,
  pathIn,
  readWhole,
} from './ports/disk.ts'
export {
  attempt,
  failureSort,
  isFileFailure,
  refusalOf,
  refusing,
  writeAll,
} from './ports/disk-failure.ts'
export * from './ports/engine-log.ts'
export { filled, piecesOf } from './ports/file-pieces.ts'
export {
  factsFileName,
  floorFileName,
  isLockName,
  lockFileName,
  type ShardFolders,
  shardFolder,
} from './ports/folder-layout.ts'
export { isOlder, type KnownFloor, type LogFloor } from './ports/log-floor.ts'
export * from './ports/log-host.ts'
export type { NamedSnapshot } from './ports/named-snapshot.ts'
export * from './ports/named-snapshot.ts'
export { makeFolders } from './ports/new-folders.ts'
export type { Progress } from './ports/progress.ts'
export * from './ports/projection-store.ts'
export {
  type ProjectedPosition,
  type ProjectionExamination,
  type ProjectionStore,
  valueTags,
} from './ports/projection-store.ts'
export type { StoredFrame } from './ports/replica.ts'
export * from './ports/replica.ts'
export { replaceFile, sealedJson, unsealed } from './ports/sealed-file.ts'
export type { CopiedFolders, ShardCopy } from './ports/shard-copier.ts'
export * from './ports/shard-copier.ts'
export * from './ports/snapshot-host.ts'
export type { SnapshotRecord, SnapshotSource } from './ports/snapshot-rows.ts'
export * from './ports/snapshot-rows.ts'
export { sparePreparation } from './ports/spare-file.ts'
export { cease, labelled, stepsAs, summed } from './ports/steps.ts'
export { entityCounts, fieldCounters, kindCounter } from './projections/entity-counts.ts'
export {
  type HaltedProjection,
  ProjectedRows,
  projectedPrefix,
  walkedOnce,
} from './projections/projected-rows.ts'
export type * from './projections/projection.ts'
export {
  type HistoryEntry,
  type HistoryOptions,
  projectionList,
} from './projections/projection-kinds.ts'
export {
  type ProjectionMark,
  preparedMark,
  projectionMarkKey,
  projectionMarkOf,
} from './projections/projection-mark.ts'
export {
  blobRowsOfFrame,
  loggedBlobRow,
  recordOfLogged,
} from './rows/blob-rows.ts'
export {
  checkProducer,
  type DerivedOperation,
  derivedChanges,
  derivedKeyOf,
  derivedRowKey,
  derivedRows,
  producerLsnOf,
  producerRowKey,
} from './rows/derived-rows.ts'
export { entryCounts } from './rows/entry-rows.ts'
export { fieldCount } from './rows/field-commands.ts'
export { unitRowsMax } from './rows/key-commands.ts'
export { lockOwner } from './rows/lock-commands.ts'
export * from './rows/rows.ts'
export { ChangedRows, isExpired, living, ProjectionRows } from './rows/rows.ts'
export { streamProducersMax } from './rows/stream-rows.ts'
export { applyUnits } from './rows/unit-application.ts'
export { isUndecided } from './rows/value-commands.ts'
export { markOf } from './segments/frame-mark.ts'
export { isLogName, isSpareName, manifestName, quarantineName } from './segments/log-folder.ts'
export {
  checkLogOptions,
  frameOffsets,
  framePayloadMax,
  givenBack,
  refuseBefore,
  refuseOtherRequest,
  unitBytesMax,
} from './segments/log-limits.ts'
export { Pins } from './segments/log-pins.ts'
export {
  commitments,
  type LogSettings,
  logSettings,
  ms,
  retention,
  type WalLevel,
  walLevelOf,
} from './segments/log-settings.ts'
export { soundSurvey, surveyLog } from './segments/log-survey.ts'
export { bytesOf, walkingLog } from './segments/log-walk.ts'
export {
  type Manifest,
  type ManifestReading,
  overwriteManifest,
  readManifest,
  replaceManifest,
  snapshotsMax,
} from './segments/manifest.ts'
export { anyLog, SealedLog } from './segments/sealed-log.ts'
export { manifestOf, type SegmentEntry } from './segments/segment-chain.ts'
export {
  type AppStateFile,
  appStatePath,
  copyAppStates,
  encodedAppState,
  examineAppStates,
  keepAppStates,
  salvageAppStates,
  statesIn,
  statesKept,
} from './snapshots/app-state.ts'
export { fetchedName, snapshotName, unnamedIn } from './snapshots/snapshot-folder.ts'
export { loadingSnapshot } from './snapshots/snapshot-loading.ts'
export { makingSnapshot } from './snapshots/snapshot-making.ts'
export { openSnapshot, SnapshotReader } from './snapshots/snapshot-reader.ts'
export { type SnapshotProjections, SnapshotWork } from './snapshots/snapshot-work.ts'
export { SnapshotWriter } from './snapshots/snapshot-writer.ts'
export { type PackedAnswer, packed, unpacked } from './threads/log-wire.ts'
export { threadBackupFolders, threadShardCopier } from './threads/thread-backup.ts'
export { threadBlobHost } from './threads/thread-blob-host.ts'
export { threadExaminer } from './threads/thread-examination.ts'
export { threadLogHosts } from './threads/thread-log-host.ts'
export { threadProjectionWriters } from './threads/thread-projection-writer.ts'
export { threadSnapshotHosts } from './threads/thread-snapshot-host.ts'
export { threadTurnScanner } from './threads/thread-turn-scanner.ts'
export { crossed, transferred } from './threads/worker-thread.ts'
export {
  BlobExtents,
  blobChunkBytes,
  blobHeaderBytes,
  type Extent,
  gapsBetween,
  recordExtent,
  trailerBytes,
} from './values/blob-extents.ts'
export type { BlobRef } from './values/blob-reference.ts'
export { canonicalValue } from './values/canonical-form.ts'
export {
  type EntityBody,
  entityBodyFormat,
  readEntityBody,
  type StoredStep,
} from './values/entity-body.ts'
export * from './values/entity-key.ts'
export {
  batchesKind,
  entityOf,
  entityOfRow,
  entityRowKey,
  positionEntity,
  positionKind,
  savedStateEntity,
  stateKind,
} from './values/entity-key.ts'
export {
  entityRow,
  mainRowOf,
  markBytes,
  readEntityRow,
  readMainRow,
  type TurnMark,
  writeMark,
} from './values/entity-row.ts'
export { type EventPayload, eventPayload, readEventPayload } from './values/event-payload.ts'
export * from './values/index-value.ts'
export {
  checkKey,
  checkProjectedKey,
  compareKeys,
  fieldBytesMax,
  hasHashTag,
  keyBytesMax,
  namespaceOf,
  rootNamespace,
  shardOf,
  strayKey,
  successor,
} from './values/key.ts'
export * from './values/rope.ts'
export { isStoredValue, refsOf, ropeOf } from './values/rope.ts'
export { decodeRow, encodeRecord, isRowKey, rowBytes, rowHeadBytes } from './values/row-codec.ts'
export {
  appendedMarkerKey,
  compoundOf,
  entryIdRowKey,
  entryIdRows,
  fieldOf,
  fieldRowKey,
  fieldRows,
  firstUserKey,
  isLockRow,
  lockRowKey,
  lockRows,
  loggedBlobRows,
  prefixOf,
  type RowClassName,
  rowClassOf,
  rowsBeginning,
  unlistedBlobsKey,
} from './values/row-key.ts'
export { SortedKeys } from './values/sorted-keys.ts'
export {
  allStreamHeads,
  birthKeyOf,
  birthRows,
  chunkNumberOf,
  entityHeads,
  entityOfStream,
  entityStream,
  isEntityStream,
  isHeadAlone,
  isStream,
  offsetBefore,
  offsetOf,
  offsetPlace,
  placeIn,
  streamChunkKey,
  streamChunks,
  streamHeadKey,
  streamHeads,
  streamNameIn,
  streamNameOf,
  streamOwner,
  streamPieces,
  streamProducerKey,
} from './values/stream-key.ts'
export {
  chunkBytes,
  chunkHeadBytes,
  contentTypeOf,
  isJsonType,
  mediaTypeOf,
  messageEnd,
  messageHeadBytes,
  readStreamHead,
  readStreamProducer,
  removalAt,
  type StreamHead,
  type StreamOrigin,
  type StreamProducer,
} from './values/stream-row.ts'
export { decodeCause, encodeCause, type LoggedCause, saysCause } from './values/turn-cause.ts'
export { decodeFromOutside, decodeValue, encodeList, encodeValue } from './values/value.ts'
export {
  type Appended,
  type AppendOptions,
  type ReadOptions as WalReadOptions,
  type Released as WalReleased,
  Wal,
  type WalCheckpoint,
  type WalDescription,
  type WalEntry,
  type WalOptions,
  type WalReport,
} from './wal/wal.ts'
export { givenBytes } from './wal/wal-append.ts'
export { checkWalOptions } from './wal/wal-options.ts'
