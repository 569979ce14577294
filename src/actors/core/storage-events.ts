/**
 * The events that storage emits on the event bus of its System. Each event is one object, with
 * instance, shard and time.
 */
import { type ResultCode, reasonText } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { RecoveryProgress } from './recovery-progress.ts'
import type { ShardCore } from './shard-core.ts'
import type { ClockJump } from './shard-time.ts'

/** The instance, the shard and the time of an event; `at` in ms since 1970. */
export type ShardFacts = { readonly instance: string; readonly shard: number; readonly at: number }

type Listener<Facts = object> = (event: ShardFacts & Facts) => void

/** Why a snapshot is made: it was asked for, the log is long, the disk is full, the last is lost. */
export type SnapshotReason = 'asked' | 'log' | 'disk' | 'damaged'

/** The mode of a projection's writer. */
export type ProjectionMode =
  | 'starting'
  | 'rebuilding'
  | 'tailing'
  | 'following'
  | 'suspended'
  | 'degraded'
  | 'halted'

/** A change of the mode. */
export type ModeChange = { readonly from: ProjectionMode; readonly to: ProjectionMode }

/** A group that the projection cannot take, whatever else is in the commit. */
export type SetAside = { readonly producer: string; readonly lsn: number; readonly reason: string }

/** A stream by itself, or, with an `entity`, the one of an actor. */
export type StreamNamed = { readonly entity: string | undefined; readonly stream: string }

/** The events of storage. Times in ms, sizes in bytes. */
export interface StorageEvents {
  /** A group is committed. `waitMs`: from its first write until it was submitted to the disk. */
  'wal.commit': Listener<{
    readonly frames: number
    readonly bytes: number
    readonly waitMs: number
    readonly syncMs: number
    readonly durableLsn: number
  }>
  /** The log began a new segment. */
  'wal.rolled': Listener
  /** The log was opened. */
  'wal.recovered': Listener<{
    readonly lastLsn: number
    readonly tail: string
    readonly cutBytes: number
    readonly copiedFrames: number
    readonly remarks: readonly string[]
  }>
  /** A write or a sync failed. This is final: fail-stop. */
  'wal.poisoned': Listener<{ readonly reason: unknown }>
  /**
   * A group with windowed writes has ended. `result`: `ok` or a code. `namespace`: the one whose
   * window ended first. `queuedMs`: how long the group waited.
   */
  'batcher.flushed': Listener<{
    readonly namespace: string
    readonly writes: number
    readonly commands: number
    readonly bytes: number
    readonly queuedMs: number
    readonly result: string
  }>
  /** New writes are held at the gate, and all earlier writes have settled. */
  'gate.paused': Listener<{ readonly token: string }>
  'gate.resumed': Listener<{ readonly token: string }>
  /** Large values are durable in blobs. */
  'blobs.stored': Listener<{ readonly blobs: number; readonly bytes: number }>
  /** A sweep has freed blobs without references. */
  'blobs.swept': Listener<{
    readonly segments: number
    readonly cleared: number
    readonly freedBytes: number
  }>
  /** A blob is damaged or missing. Its reader got `CORRUPT`. */
  'blobs.corrupt': Listener<{ readonly evidence: unknown }>
  /** A group of frames took effect, and its callers were answered. */
  'applier.applied': Listener<{
    readonly frames: number
    readonly appliedLsn: number
    readonly overlayKeys: number
    readonly overlayBytes: number
  }>
  /** A snapshot is being made. */
  'snapshot.started': Listener<{ readonly reason: SnapshotReason }>
  /** A snapshot is verified and named by the log. */
  'snapshot.made': Listener<{
    readonly lsn: number
    readonly rows: number
    readonly bytes: number
    readonly tookMs: number
  }>
  /** An attempt at a snapshot failed, or a snapshot was found damaged. No file stays. */
  'snapshot.failed': Listener<{ readonly reason: string; readonly failures: number }>
  /** The log gave segments back, or frames in an engine. It begins with `firstLsn` now. */
  'log.released': Listener<{
    readonly segments: number
    readonly bytes: number
    readonly firstLsn: number
  }>
  /** A replica cannot be reached, or takes nothing. `follower`: its number in the options. */
  'replication.away': Listener<{ readonly follower: number; readonly reason: string }>
  /** Nothing of the shard is sent to a replica: it is fenced, or halted. */
  'replication.refused': Listener<{
    readonly follower: number
    readonly state: 'fenced' | 'halted'
    readonly reason: string
  }>
  /** It takes what is replicated again. */
  'replication.back': Listener<{ readonly follower: number }>
  /** A replica has everything up to `lsn`: `frames` more than before. */
  'replication.sent': Listener<{
    readonly follower: number
    readonly frames: number
    readonly bytes: number
    readonly lsn: number
  }>
  /** A subscription to the journal has stopped: its handler threw, or its position is lost. */
  'journal.stopped': Listener<{ readonly name: string; readonly reason: string }>
  /** A replay of the journal has ended: how many entries it handled. */
  'journal.replayed': Listener<{ readonly entries: number; readonly tookMs: number }>
  /** A state of the application is saved for the entries up to `lsn`. */
  'journal.saved': Listener<{ readonly lsn: number; readonly bytes: number }>
  /**
   * Calls of this member to streams that were one unit are answered. `messages` and `bytes` of what was
   * appended. `refused`: how many parts, by the reason. `tookMs`: from its leaving until it was durable.
   */
  'streams.written': Listener<{
    readonly messages: number
    readonly bytes: number
    readonly refused: Readonly<Record<string, number>>
    readonly tookMs: number
  }>
  /** A turn that appends to streams took effect: so many messages, and their bytes. */
  'streams.said': Listener<{ readonly messages: number; readonly bytes: number }>
  /**
   * A reader that waited has got messages. `tookMs`: since the stamp of the frame with the last append
   * to the stream.
   */
  'streams.tailed': Listener<{ readonly messages: number; readonly tookMs: number }>
  /** A stream was made, by its first append or by a request. */
  'stream.created': Listener<StreamNamed>
  /** A stream was closed, after so many messages. */
  'stream.closed': Listener<StreamNamed & { readonly messages: number }>
  /** So many messages of a stream were removed: by a trim, or because it keeps no more. */
  'stream.trimmed': Listener<StreamNamed & { readonly messages: number }>
  /** A stream was deleted, with its actor, or because it had expired. Its rows go after that. */
  'stream.removed': Listener<StreamNamed>
  /** Expired rows were removed: values, compounds, locks. */
  'expiry.removed': Listener<{ readonly keys: number }>
  /** Rows were removed that durable actors kept before they were deleted. */
  'entity.rowsRemoved': Listener<{ readonly rows: number }>
  /**
   * A commit of the projection has ended. `result`: `ok` or a code. `rows`: those of frames;
   * `operations`: those of derived rows. `lag` is before it, in frames, `projectedLsn` after it.
   */
  'lmdb.flushed': Listener<{
    readonly frames: number
    readonly rows: number
    readonly operations: number
    readonly lag: number
    readonly projectedLsn: number
    readonly durationMs: number
    readonly result: string
  }>
  /**
   * The lag of the projection, in frames, and what waits for it. `ageMs`: how long the oldest frame
   * has waited, at most. Emitted when either changes.
   */
  'lmdb.lag': Listener<{
    readonly lag: number
    readonly ageMs: number
    readonly projectedLsn: number
    readonly requestedLsn: number
    readonly outbox: number
    readonly outboxBytes: number
    readonly operations: number
    readonly tailing: boolean
  }>
  /** A request was not met: there was no room, or the producer has to begin. */
  'lmdb.unavailable': Listener<{
    readonly request: string
    readonly operations: number
    readonly reason: string
  }>
  /** The derived rows of one frame cannot be committed. The other ones go on. */
  'lmdb.setAside': Listener<SetAside>
  /** Every row of the projection was read, and none is damaged. */
  'lmdb.reconciled': Listener<{ readonly rows: number; readonly durationMs: number }>
  /** The function of a projection by users threw: the projection stops. */
  'projection.halted': Listener<{ readonly name: string; readonly reason: string }>
  /** The mode of the projection's writer has changed. */
  'lmdb.mode': Listener<ModeChange>
  /** The projection takes no changes: a commit failed, or the program has marked it (`failures` is 0). */
  'lmdb.degraded': Listener<{ readonly reason: string; readonly failures: number }>
  /** The projection takes changes again. */
  'lmdb.healed': Listener
  'lmdb.suspended': Listener<{ readonly token: string; readonly owner: string }>
  'lmdb.resumed': Listener<{ readonly held: number }>
  'lmdb.discarded': Listener<{ readonly references: number }>
  /** A durable actor read its state; `blocked` if it could not use it. */
  'entity.woke': Listener<{ readonly entity: string; readonly blocked: string | undefined }>
  /** The process of a durable actor has ended; `normal` when it went to rest. */
  'entity.ended': Listener<{ readonly entity: string; readonly reason: unknown }>
  /**
   * A step or an alarm failed for the `tries`th time. It is tried again at `retryAt`, in ms since
   * 1970; `undefined`: its tries have ended.
   */
  'entity.failed': Listener<{
    readonly entity: string
    readonly what: string
    readonly tries: number
    readonly retryAt: number | undefined
    readonly error: unknown
  }>
  /** The tries of a step or an alarm have ended: it is parked until `unblock`. */
  'entity.parked': Listener<{
    readonly entity: string
    readonly what: string
    readonly tries: number
    readonly error: unknown
  }>
  /**
   * A turn of a durable actor is over: durable, refused, or its handler threw. A turn that is
   * handled again because one before it was refused is emitted once, at its last end. `seq` numbers
   * the turns with changes of one incarnation, and `lsn` is the frame of such a turn.
   */
  'turn.done': Listener<{
    readonly entity: string
    readonly kind: string
    readonly seq: number
    /** `call pay`, `cast cancel`, `continue charge`, `alarm unpaid`, `record of continue charge`. */
    readonly what: string
    readonly result: ResultCode
    /** In the mailbox; measured of one message in 64 that find the actor awake. */
    readonly waitMs: number | undefined
    /** Its handler, with what it awaited. */
    readonly ranMs: number
    /** From the end of its handler until it and the turns before it were durable. */
    readonly durableMs: number
    readonly lsn: number | undefined
  }>
  /** A durable actor is blocked: it takes no messages until `unblock`. Emitted once. */
  'entity.blocked': Listener<{ readonly entity: string; readonly error: unknown }>
  /** A turn of a durable actor was refused with `error`. */
  'entity.refused': Listener<{
    readonly entity: string
    readonly what: string
    readonly error: unknown
  }>
  /** A turn without a caller waits for space on the disk. Calls are refused until it is durable. */
  'entity.waits': Listener<{
    readonly entity: string
    readonly what: string
    readonly error: unknown
  }>
  /** The outcome of a `control` request on one shard. `result`: `ok` or a code. */
  'control.outcome': Listener<{
    readonly request:
      | 'suspend'
      | 'resume'
      | 'flush'
      | 'discard'
      | 'sweep'
      | 'snapshot'
      | 'reopen'
      | 'acceptClock'
    readonly result: string
    readonly tookMs: number
  }>
  /** The projection is being rebuilt, and the shard cannot be read until it has ended. */
  'shard.recovering': Listener<RecoveryProgress>
  /** The shard is down until it is reopened. */
  'shard.down': Listener<{ readonly reason: unknown }>
  'shard.reopened': Listener
  /**
   * The machine's clock was set, by `jumpMs`. The shard's time did not jump, and is `aheadMs` ahead
   * of that clock now; negative: behind.
   */
  'clock.jumped': Listener<ClockJump>
}

declare module '../../runtime/words/app-context.ts' {
  interface SystemEvents extends StorageEvents {}
}

/** Whether `event` has a listener. Check it before collecting costly facts. */
export const isHeard = (system: System, event: keyof StorageEvents): boolean =>
  system.events.listenerCount(event) > 0

/** Emits `event` for `shard`. Without a listener it costs next to nothing. */
export const emit = <K extends keyof StorageEvents>(
  system: Pick<System, 'events' | 'clock' | 'logger'>,
  shard: ShardCore,
  event: K,
  facts: Omit<Parameters<StorageEvents[K]>[0], keyof ShardFacts>,
): void => {
  const { events } = system
  if (events.listenerCount(event) === 0) return
  const { instance } = shard.parts
  const payload = { instance, shard: shard.index, at: system.clock.now(), ...facts }
  const send = events.emit.bind(events) as (name: string, payload: object) => boolean
  try {
    send(event, payload)
  } catch (error) {
    // An error of a listener must not reach the emitter.
    system.logger.error(`a listener of ${event} threw: ${reasonText(error)}`)
  }
}
