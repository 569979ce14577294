/**
 * The durable actors: where runtime and storage meet. It imports those two layers. Its rooms, each
 * importing only rooms above it:
 *
 * - admission: the gate of a shard, its tokens, the allowance over all shards
 * - core: names, options and events, a shard's phase, gate, time and read view, checks, weights
 * - overlay: committed changes that the projection does not show yet
 * - log: `wal_writer`, the one writer of a shard's log; the open log and the groups on their way
 * - projection: `applier` and `lmdb_writer`, and the outbox between them; derived rows, its modes
 * - blobs: `blob_store`, pins, the sweep
 * - writing: the way of every write, large ones too, `batcher` with its windows, `expirer`
 * - snapshots: `snapshotter`: when a snapshot is made, and what the log gives back then
 * - control: `control` over every shard, pauses of writes, backups, the handles of `app`
 * - store: `app.store`: commands, batches, ranges, streams, answers
 * - users-projections: `app.projection`: the rows of projections by users, of all shards
 * - journal: `app.journal`: entries of applications that keep their state themselves
 * - streams: `app.streams`: durable streams of messages that belong to no actor
 * - turns: the turns of durable actors: their units, rows and held outputs
 * - replication: the replicas that follow the logs, and the processes that send to them
 * - durable: the process of a durable actor
 * - entities: all durable actors: their kinds, handles, queries and alarms
 * - rehearsal: the rows of all durable actors, judged by a program that runs none of them
 *
 * The parts of a room that outlive its actors belong to the shard. A file `…-shard.ts` of the room
 * names them, and the actors of the room begin with them. `supervisors/tree/shard.ts` composes the parts.
 *
 * Start reading at `core/shard-core.ts`, `log/wal-writer.ts` and `projection/applier.ts`.
 */

export { Allowance } from './admission/allowance.ts'
export { Gate } from './admission/gate.ts'
export { Admission, type SyncToken, type Watch } from './admission/gate-token.ts'
export { eachBlob } from './blobs/blob-marking.ts'
export * as BlobStore from './blobs/blob-store.ts'
export { ShardBlobs } from './blobs/shard-blobs.ts'
export {
  type BackupOptions,
  type BackupParts,
  type BackupReport,
  type BackupShard,
  backUp,
} from './control/backup.ts'
export { answerBackups } from './control/backup-members.ts'
export { BatcherHandle, type SyncTokenOptions } from './control/batcher-handle.ts'
export { BlobsHandle, type PrepareOptions } from './control/blobs-handle.ts'
export * as Control from './control/control.ts'
export {
  ControlHandle,
  type ControlOptions,
  type ResumeOptions,
  type SuspendOptions,
} from './control/control-handle.ts'
export { isAskedResumption, isAskedSuspension } from './control/holds-away.ts'
export {
  type AfterFlush,
  type EnqueueTerms,
  LmdbWriterHandle,
  type ProjectionOperation,
} from './control/lmdb-writer-handle.ts'
export type { Outcome, Outcomes } from './control/shard-outcomes.ts'
export { type FramesOptions, type LoggedFrame, WalHandle } from './control/wal-handle.ts'
export { pauseWrites } from './control/write-pause.ts'
export { Access } from './core/access.ts'
export { answerWith } from './core/answering.ts'
export { checkedKey } from './core/argument-check.ts'
export { shardAsked, watchesBegun } from './core/at-owner.ts'
export {
  isCount,
  isFlag,
  isIgnored,
  isList,
  isOneOf,
  isOptional,
  isRecord,
  isText,
  isTime,
} from './core/payload-check.ts'
export type { RecoveryProgress } from './core/recovery-progress.ts'
export { levelOf, type Settings, storageOptions } from './core/settings.ts'
export { ShardChanges } from './core/shard-changes.ts'
export {
  type Answerer,
  type ByteSource,
  type CheckedWrite,
  type CopiedRow,
  type CopiedRows,
  checkLinked,
  checkSent,
  elsewhere,
  fromHere,
  type RoutedStream,
  type RoutedWrite,
  type ShardClient,
  type StreamedIn,
  type StreamTo,
  sentBytesMax,
} from './core/shard-client.ts'
export { type CoreParts, ShardCore, shardAt } from './core/shard-core.ts'
export { defaultInstance, instanceName, shardName } from './core/shard-name.ts'
export type { ShardPhase } from './core/shard-phase.ts'
export type { ClockJump } from './core/shard-time.ts'
export {
  emit,
  type ModeChange,
  type ProjectionMode,
  type SetAside,
  type ShardFacts,
  type SnapshotReason,
  type StorageEvents,
} from './core/storage-events.ts'
export { WalkTurns } from './core/walk-turns.ts'
export { bytesCounted, checkCount, commandsIn } from './core/write-weight.ts'
export { WriteWindows } from './core/write-windows.ts'
export {
  type ActorsHealth,
  actorsHealth,
  overdueOf,
  type Some,
  some,
} from './entities/actors-health.ts'
export * as Alarms from './entities/alarms.ts'
export {
  type DurableOptions,
  type EntityOptions,
  startDurableWorker,
  startKind,
} from './entities/durable-start.ts'
export { type Elsewhere, Entities, isElsewhere, type OwnersQuestion } from './entities/entities.ts'
export { EntityHandle, type EntityLook } from './entities/entity-handle.ts'
export {
  cutText,
  differenceOf,
  historyOf,
  type PastOptions,
  type PastPage,
} from './entities/entity-history.ts'
export {
  crashedActors,
  type EntityEntry,
  type EntityPage,
  type EntityRows,
  shownRows,
  shownState,
  surveyEntity,
} from './entities/entity-listing.ts'
export { pageHere } from './entities/entity-pages.ts'
export type { ListOptions } from './entities/entity-query.ts'
export { type RoutedRows, rowsHere, sentPageOf, sentRowOf } from './entities/entity-rows.ts'
export { answerTotals, countsOf, type EntityAlarm } from './entities/entity-totals.ts'
export {
  type EntityTurn,
  type EntityWatch,
  type EntityWatchOptions,
  turnsFor,
} from './entities/entity-watch.ts'
export type {
  MigrationOptions,
  MigrationProgress,
  MigrationReport,
} from './entities/migration.ts'
export { blockedHere, parkedActors, parkedCount, unblockWorker } from './entities/parked-actors.ts'
export type { PastAlarm, PastStep, PastTurn, TurnCause } from './entities/past-turns.ts'
export type { StateChange } from './entities/state-changes.ts'
export { deleteWorker, workerDiff, workerHistory, workerStream } from './entities/worker-rows.ts'
export type { EntryInput, PayloadInput, PayloadTypes, TypedInput } from './journal/entry-input.ts'
export type { EntriesOfJournal, EntryStream } from './journal/entry-stream.ts'
export {
  Journal,
  type JournalAck,
  type Replayed,
  type ReplayOptions,
  type SavedState,
  type SubscribeOptions,
} from './journal/journal.ts'
export * as JournalActor from './journal/journal-actor.ts'
export type { JournalShard } from './journal/journal-shard.ts'
export { newestAppState } from './journal/saved-states.ts'
export {
  type EntryPosition,
  type JournalHealth,
  ShardJournal,
  type SubscriptionHealth,
} from './journal/shard-journal.ts'
export { entriesIn, type StoredEntry, type StoredPayload } from './journal/stored-entry.ts'
export type { EmittedEntry, EntryHandler, Subscription } from './journal/subscription.ts'
export { Appends } from './log/appends.ts'
export { leaveNow } from './log/log-append.ts'
export { isAway, isLoss, passes } from './log/log-failures.ts'
export { EngineWatch } from './log/log-shard.ts'
export { ShardFiles } from './log/shard-files.ts'
export { type SpaceHealth, SpaceWatch, withSpace } from './log/space-watch.ts'
export * as WalWriter from './log/wal-writer.ts'
export { type FullStream, FullStreams } from './projection/applied-streams.ts'
export * as Applier from './projection/applier.ts'
export { type DerivedHealth, DerivedQueue } from './projection/derived-queue.ts'
export * as LmdbWriter from './projection/lmdb-writer.ts'
export { MomentWatch } from './projection/moment-watch.ts'
export { ReleasedRows } from './projection/released-rows.ts'
export { type ProjectionHealth, ShardProjection } from './projection/shard-projection.ts'
export { Suspensions } from './projection/suspensions.ts'
export {
  actorVerdicts,
  type Level,
  type NewServer,
  type Verdict,
} from './rehearsal/actor-verdicts.ts'
export { type Draw, setDraws, yearsMs } from './rehearsal/drawn.ts'
export { judgeSpec } from './rehearsal/judge.ts'
export { type RecordedTurn, recordedTurns } from './rehearsal/recorded-turns.ts'
export { ownRowsOf, storedActors } from './rehearsal/stored-actors.ts'
export { turnVerdicts } from './rehearsal/turn-verdicts.ts'
export {
  Follower,
  type FollowerHealth,
  type ReplicaHealth,
  type ReplicaState,
} from './replication/follower.ts'
export { ReplicaMarks } from './replication/replica-marks.ts'
export { type ReplicationOptions, replication } from './replication/replication-options.ts'
export * as Replicator from './replication/replicator.ts'
export { ShardSnapshots, type SnapshotHealth, SnapshotTurns } from './snapshots/shard-snapshots.ts'
export type { Released } from './snapshots/snapshot-attempt.ts'
export * as Snapshotter from './snapshots/snapshotter.ts'
export { Batch } from './store/batch.ts'
export type { Freshness, ReadOptions, Watermark } from './store/freshness.ts'
export { KeyPlacement } from './store/key-placement.ts'
export type { EntriesOptions, RangeOptions } from './store/range-query.ts'
export {
  type AskedItems,
  answerMs,
  type SentItem,
  type SentItems,
  watchHere,
} from './store/routed-watch.ts'
export type { ShardWatch, Watched, WatchSource } from './store/shard-watch.ts'
export { Store } from './store/store.ts'
export {
  type BatchAnswer,
  type CompareAnswer,
  type CreatedAnswer,
  type CreatedManyAnswer,
  type DeletedAnswer,
  type ExistedAnswer,
  type LengthAnswer,
  type NoAnswer,
  type PreviousAnswer,
  placed,
  type ReleasedAnswer,
  type RemovedAnswer,
  type SetAnswer,
  type UntilAnswer,
  valueIn,
  type Written,
  type WrittenMany,
} from './store/store-answers.ts'
export { clearShard } from './store/store-clearing.ts'
export { checkedOffset, type Pairs } from './store/store-commands.ts'
export { answerPages, type RangePage, type StoreEntry } from './store/store-page.ts'
export { isKeyRead, type StaleOptions, type StaleValue } from './store/store-reader.ts'
export {
  changesFor,
  type StoreChange,
  type StoreWatch,
  type WatchOptions,
} from './store/store-watch.ts'
export { granted } from './store/store-writing.ts'
export { chunksOf, piecesOf } from './store/stream-source.ts'
export type { TypedStore } from './store/typed-store.ts'
export { Compound, LargeValue, naming } from './store/value-reading.ts'
export { loadValue, streamIn, streamOut } from './store/value-streams.ts'
export type { ChangePlace, DurableWatch, WatchBegin } from './store/watch.ts'
export { BegunStream } from './streams/begun-stream.ts'
export { InstanceStreams } from './streams/instance-streams.ts'
export type { RawStreams } from './streams/raw-streams.ts'
export type { Stop } from './streams/shard-streams.ts'
export { StreamCount } from './streams/stream-count.ts'
export { messageText } from './streams/stream-message.ts'
export type { StreamMessage, StreamReader } from './streams/stream-reader.ts'
export type { Reading, ReadingPlace } from './streams/stream-reading.ts'
export {
  type OpenStreamOptions,
  type StreamAppendOptions,
  type StreamFacts,
  StreamHandle,
  type StreamKeep,
  type StreamListOptions,
  type StreamPage,
  type StreamReadOptions,
  StreamSource,
  Streams,
} from './streams/streams.ts'
export { checkStreamName, type TurnStream } from './streams/turn-streams.ts'
export type { ActorTrouble, RestingRun } from './turns/actor-trouble.ts'
export type { WorkLedger } from './turns/actor-work.ts'
export {
  type AddsCalls,
  type AlarmTime,
  addsCall,
  type BackgroundContext,
  type CallTarget,
  closeStreams,
  type DurableCallContext,
  type DurableContext,
  type DurableMessages,
  type DurableServer,
  type EntityKind,
  type Failed,
  type Follows,
  forgetProducers,
  messagesOfTurn,
  type OwnWork,
  ownWork,
  reopenStreams,
  shardTime,
  whenDurable,
} from './turns/durable-server.ts'
export { durableTable, madeOf } from './turns/durable-table.ts'
export { type FailedWork, stuckTries } from './turns/failure-log.ts'
export type { KindJudge, StoredActor, WouldBlock } from './turns/judgement.ts'
export type { EndOptions } from './turns/lifetime.ts'
export { type Crash, type Fields, type Identity, parkedField, readBody } from './turns/memory.ts'
export type { DurableRows, ReadRows, RowsOptions, RowsPage } from './turns/own-rows.ts'
export type { RetryPolicies } from './turns/retry-policy.ts'
export { onceSettled } from './turns/turn-outputs.ts'
export { answerProjections } from './users-projections/projection-parts.ts'
export { type ProjectionStatus, projectionStatus } from './users-projections/projection-rows.ts'
export { type ProjectionPage, ProjectionView } from './users-projections/projection-view.ts'
export * as Batcher from './writing/batcher.ts'
export type {
  AsyncOutcome,
  AsyncTerms,
  BatchTerms,
  CommandWritten,
} from './writing/command-writes.ts'
export * as CommandWrites from './writing/command-writes.ts'
export * as Expirer from './writing/expirer.ts'
export { KeyMarks } from './writing/key-marks.ts'
export type { PreparedCommand } from './writing/prepared-command.ts'
export {
  type ClearOptions,
  checkWrite,
  type ExpiryOptions,
  type LockedPutOptions,
  type LockOptions,
  type LockTerms,
  type OwnedWriteOptions,
  type OwnerOption,
  ownWriteOptions,
  type PutOptions,
  type PutTerms,
  type SetOptions,
  type SetTerms,
  type StreamOptions,
  type UnlockOptions,
  type WriteOptions,
} from './writing/write-options.ts'
export { type Submitted, settled, submit } from './writing/write-path.ts'
export type { WritingShard } from './writing/writing-shard.ts'
