/**
 * The parts of a shard that outlive its actors: the gate, the files, the published read view,
 * suspensions, and why the shard is down. The instance makes one value per shard before the tree
 * starts, and hands it to the shard's actors. Actors pass their signal with each change, so pending
 * code of a killed actor changes nothing here.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Logger, Ref } from '../../runtime/index.ts'
import {
  type BlobHostFactory,
  type Disk,
  type LogFloor,
  type LogHostFactory,
  type Projections,
  type SnapshotHostFactory,
  unitBytesMax,
} from '../../storage/index.ts'
import type { Allowance } from '../admission/allowance.ts'
import { Appends } from '../admission/appends.ts'
import { DerivedQueue } from '../admission/derived-queue.ts'
import { Gate } from '../admission/gate.ts'
import type { Watch } from '../admission/gate-token.ts'
import { KeyMarks } from '../admission/key-marks.ts'
import { ReplicaMarks } from '../admission/replica-marks.ts'
import { SpaceWatch } from '../admission/space-watch.ts'
import type { WriteWindows } from '../admission/write-windows.ts'
import { Recovery } from '../core/recovery-progress.ts'
import type { Settings } from '../core/settings.ts'
import { ShardTime } from '../core/shard-time.ts'
import type { ReadView } from '../overlay/read-view.ts'
import { ShardBlobs } from './shard-blobs.ts'
import { ShardChanges } from './shard-changes.ts'
import { ShardFiles } from './shard-files.ts'
import { ShardJournal } from './shard-journal.ts'
import { ShardProjection } from './shard-projection.ts'
import { ReleasedRows, ShardSnapshots, type SnapshotTurns } from './shard-snapshots.ts'

// It lives in the `Shard` value: the applier notes each moment, even while no process listens.

/**
 * The soonest known moment at which something of a shard is due, in ms since 1970, and the listener
 * for a sooner one.
 */
export class MomentWatch {
  #soonest = Number.POSITIVE_INFINITY
  #told: (() => void) | undefined

  /** `Infinity` if none is known. */
  get soonest(): number {
    return this.#soonest
  }

  /**
   * Notes a moment; `Infinity` is ignored. The listener is notified if it is sooner than all known
   * ones.
   */
  note(ms: number): void {
    if (ms >= this.#soonest) return
    this.#soonest = ms
    this.#told?.()
  }

  /**
   * Replaces the noted moments before a walk over all projected rows. `soonest`: the soonest moment
   * of the rows that are not projected.
   */
  begin(soonest: number): void {
    this.#soonest = soonest
  }

  /** Sets the listener for sooner moments; it replaces the one before. */
  listen(told: () => void): void {
    this.#told = told
  }
}

/** The phase of a shard. */
export type ShardPhase =
  | { readonly kind: 'recovering' }
  | { readonly kind: 'open'; readonly view: ReadView }
  | { readonly kind: 'down'; readonly reason: unknown }
  | { readonly kind: 'closed' }

/**
 * A hold on a shard's projection, and with `writes` on its gate. Without an owner it belongs to the
 * holder of the instance. `since` and `until` (the end of its lease) are in ms since 1970.
 * `control` ends it.
 */
export type Suspension = {
  readonly token: string
  readonly owner: Ref | undefined
  readonly writes: boolean
  readonly since: number
  readonly until: number | undefined
}

/** A suspension on one shard. While it is flushing it may end without ever having held. */
export type ShardSuspension = Suspension & { state: 'flushing' | 'holding'; answered: boolean }

/** The parts that a shard is made from. */
export type ShardParts = {
  readonly instance: string
  readonly index: number
  /** The number of shards in the instance. It decides which keys this shard has. */
  readonly shardCount: number
  /** The folders of log, projection, blobs and snapshots. */
  readonly folders: {
    readonly wal: string
    readonly lmdb: string
    readonly blobs: string
    readonly snapshots: string
  }
  readonly settings: Settings
  readonly minDurable: number | undefined
  /** The extent of the log according to `keelson.json`; `undefined` if it says nothing. */
  readonly floor: LogFloor | undefined
  readonly lock: string | undefined
  readonly clock: Clock
  readonly makeHost: LogHostFactory
  readonly projections: Projections
  readonly makeBlobHost: BlobHostFactory
  readonly makeSnapshotHost: SnapshotHostFactory
  /** The disk for synchronous reads of blobs. */
  readonly disk: Disk
  /** Shared by the shards of an instance: the bound of unfinished writes, and the windows. */
  readonly allowance: Allowance
  readonly windows: WriteWindows
  /** Shared too: the turns of their snapshots. */
  readonly snapshotTurns: SnapshotTurns
  /** Watches the end of a process: `System.monitor`. */
  readonly watch: Watch
  readonly logger: Logger
}

/** The name of the hold on a gate while the shard cannot show its state. */
const recoveringHold = 'recovering'

/** One shard, across the lives of its actors. */
export class Shard {
  readonly parts: ShardParts
  readonly gate: Gate
  /** Writes whose blobs are on their way, and later writes to their keys that wait for them. */
  readonly marks = new KeyMarks()
  /** Writes on their way into the log. */
  readonly appends: Appends
  /** The changes of its keys, for watchers. */
  readonly changes = new ShardChanges()
  /** When the next row expires. */
  readonly expiry = new MomentWatch()
  /** When the next alarm of an entity is due. */
  readonly due = new MomentWatch()
  /** Whether a birth of an entity has ended whose rows are to be removed: 0 if so. */
  readonly removals = new MomentWatch()
  readonly time: ShardTime
  /** How far the projection's rebuilding has come. */
  readonly recovery: Recovery
  readonly projection: ShardProjection
  /** Rows that actors derived from the log, on their way into the projection. */
  readonly derived: DerivedQueue
  readonly snapshots: ShardSnapshots
  /** Space on its disk. */
  readonly space: SpaceWatch
  /** How far its replicas are. */
  readonly replication = new ReplicaMarks()
  readonly journal: ShardJournal
  /** Rows of blobs that go with the frames that were given back. */
  readonly releasedRows = new ReleasedRows()
  readonly files: ShardFiles
  readonly blobs: ShardBlobs
  /** The projection is durable up to this LSN, as far as this process knows. */
  projectedLsn = 0
  /** The last LSN that the applier has shown to readers. */
  appliedLsn = 0
  /** The bytes of the log that are applied and that the projection does not show. */
  lagBytes = 0
  /**
   * How far the log may be given back, for each reader of the later log: `Infinity` when one needs
   * nothing.
   */
  readonly floors: (() => number)[] = [() => this.replication.floor]
  /** How often the shard was opened. */
  opened = 0

  #phase: ShardPhase = { kind: 'recovering' }
  #closing: KeelsonError | undefined
  readonly #suspensions = new Map<string, ShardSuspension>()
  readonly #settled = new Set<(phase: ShardPhase) => void>()
  readonly #changed: (() => void)[] = []
  readonly #atStandstill = new Set<() => void>()

  constructor(parts: ShardParts) {
    const { maxFileSize, sectorBytes, queueBytes, queueCommands, commitments } = parts.settings.wal
    const { mapBytes } = parts.settings.lmdb
    const { maxCommands, maxBytes } = parts.settings.batcher
    this.parts = parts
    this.time = new ShardTime(parts.clock)
    this.recovery = new Recovery(parts.clock)
    this.projection = new ShardProjection(parts.index, parts.clock)
    this.appends = new Appends({ weightMax: maxCommands, bytesMax: maxBytes }, parts.clock)
    const { enqueueOps, enqueueBytes } = parts.settings.lmdb
    this.derived = new DerivedQueue({ operations: enqueueOps, bytes: enqueueBytes })
    this.space = new SpaceWatch({
      ...parts,
      segmentBytes: maxFileSize,
      free: () => parts.disk.free(parts.folders.wal),
      snapshotBytes: () => this.snapshots.named.at(-1)?.bytes ?? 0,
    })
    this.snapshots = new ShardSnapshots({
      index: parts.index,
      dir: parts.folders.snapshots,
      makeHost: parts.makeSnapshotHost,
      turns: parts.snapshotTurns,
      space: this.space,
    })
    this.journal = new ShardJournal(parts.settings.journal)
    const { snapshots, recovery } = this
    const { log: retention } = parts.settings.retention
    const logOptions = {
      maxFileSize,
      sectorBytes,
      ...(retention && { retention }),
      ...(commitments && { commitments }),
    }
    this.files = new ShardFiles({ ...parts, logOptions, mapBytes, snapshots, recovery })
    this.gate = new Gate(parts.clock, {
      bytesMax: queueBytes,
      commandsMax: queueCommands,
      total: parts.allowance,
      watch: parts.watch,
    })
    this.gate.hold(recoveringHold)
    this.blobs = blobsOf(parts, unitBytesMax(this.files.parts.logOptions))
  }

  /** The shard's number. */
  get index(): number {
    return this.parts.index
  }

  /** The present phase. */
  get phase(): ShardPhase {
    return this.#phase
  }

  /** The shard's time in ms: the clock's without its jumps, never less than an earlier stamp. */
  now(): number {
    return this.time.now()
  }

  /** Takes a stamp into account; returns the shard's time. */
  observeTime(time: number): number {
    return this.time.observe(time)
  }

  /**
   * The published read view.
   * @throws KeelsonError `SHARD_DOWN` with `details.state` while the shard cannot answer reads;
   * `CLOSED` after the instance closed
   */
  view(): ReadView {
    if (this.#phase.kind === 'open') return this.#phase.view
    throw this.unavailable()
  }

  /** The reason why reads cannot be answered now. */
  unavailable(): KeelsonError {
    const { index } = this
    const phase = this.#phase
    if (phase.kind === 'closed') return new KeelsonError('CLOSED', 'the instance is closed')
    const details = { shard: index, state: phase.kind }
    return phase.kind === 'down'
      ? new KeelsonError(
          'SHARD_DOWN',
          `shard ${index} is down; control.reopen(${index}) starts it`,
          {
            details: { ...details, reason: reasonText(phase.reason) },
            cause: phase.reason,
          },
        )
      : new KeelsonError('SHARD_DOWN', `shard ${index} is recovering`, { details })
  }

  /**
   * Publishes the applier's complete view: reads are answered and the gate opens. A shard that is
   * down or closed stays so.
   */
  publish(view: ReadView, signal: AbortSignal): void {
    if (this.#phase.kind !== 'recovering' || signal.aborted) return
    this.opened++
    this.#enter({ kind: 'open', view })
    this.gate.release(recoveringHold)
  }

  /**
   * Takes the view back when an actor that reads or writes need has died: no read is answered until
   * the next `publish`.
   */
  retract(): void {
    if (this.#phase.kind !== 'open') return
    this.gate.hold(recoveringHold)
    this.#become({ kind: 'recovering' })
  }

  /**
   * Takes the shard down, and logs it. Writes fail with `SHARD_DOWN`, unless they were handed to the
   * log: those wait until the shard is reopened. After a write that failed nobody waits, because
   * what the disk has is unknown. The first reason stays. Returns false if nothing changed: the
   * shard is down or closed already, or the process of `signal` has died.
   */
  goDown(reason: unknown, signal?: AbortSignal): boolean {
    if (this.#phase.kind === 'down' || this.#phase.kind === 'closed' || signal?.aborted)
      return false
    this.gate.hold(recoveringHold)
    this.#enter({ kind: 'down', reason })
    const refusal = this.unavailable()
    if (isPoison(reason)) this.appends.lose(refusal)
    else this.appends.refuse(refusal)
    this.gate.shut(this.#closing ?? refusal)
    this.parts.logger.error(`shard ${this.index} is down: ${reasonText(reason)}`, {
      shard: this.index,
      reason,
    })
    return true
  }

  /** Ends the state `down`, so that the tree may start the shard again. */
  clearDown(): void {
    if (this.#phase.kind !== 'down') return
    this.#become({ kind: 'recovering' })
    if (!this.#closing) this.gate.reopen()
  }

  /** Refuses new writes for good, because the instance is closing. */
  beginClose(refusal: KeelsonError): void {
    this.#closing = refusal
    this.gate.shut(refusal)
  }

  /** Closes the shard, because the instance has closed. */
  close(): void {
    this.#enter({ kind: 'closed' })
    this.replication.close()
    this.beginClose(this.unavailable())
  }

  /**
   * The actors of the closed shard have ended: closes its files, the log cleanly if it is sound. A
   * failure is logged: the next opening recovers the shard.
   */
  async end(): Promise<void> {
    const { snapshots, blobs, files, appends } = this
    const ends = [snapshots.close(), blobs.close(), files.close(this.projectedLsn)]
    const settled = await Promise.allSettled(ends)
    appends.lose(this.unavailable())
    for (const end of settled) if (end.status === 'rejected') this.#notClosed(end.reason)
  }

  #notClosed(reason: unknown): void {
    const { index: shard, logger } = this.parts
    logger.error(`shard ${shard} was not closed cleanly: ${reasonText(reason)}`, { shard, reason })
  }

  /** Resolves with the phase when the shard is open, down or closed. */
  settled(): Promise<ShardPhase> {
    return this.#phase.kind === 'recovering'
      ? new Promise((resolve) => this.#settled.add(resolve))
      : Promise.resolve(this.#phase)
  }

  /**
   * Resolves with true when the shard is open and was opened more than `times` times; with false if
   * it is down or closed first, or `withinMs` have passed.
   */
  reopened(times: number, withinMs: number): Promise<boolean> {
    if (this.#phase.kind === 'open' && this.opened > times) return Promise.resolve(true)
    if (this.#phase.kind === 'down' || this.#phase.kind === 'closed') return Promise.resolve(false)
    return new Promise((resolve) => {
      const cancel = this.parts.clock.after(withinMs, () => {
        this.#settled.delete(settled)
        resolve(false)
      })
      const settled = ({ kind }: ShardPhase): void => {
        cancel()
        resolve(kind === 'open')
      }
      this.#settled.add(settled)
    })
  }

  /** Resolves when the phase changes. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve))
  }

  /** Whether nothing can become durable for now: it is down or closed. */
  get isStill(): boolean {
    return this.#phase.kind === 'down' || this.#phase.kind === 'closed'
  }

  /**
   * Resolves with true when `work`, which does not reject, is done; with false when nothing can
   * become durable for now.
   */
  unlessStill(work: Promise<unknown>): Promise<boolean> {
    if (this.isStill) return Promise.resolve(false)
    return new Promise((resolve) => {
      const stops = (): void => resolve(false)
      this.#atStandstill.add(stops)
      void work.then(() => {
        this.#atStandstill.delete(stops)
        resolve(true)
      })
    })
  }

  /** All suspensions, also while they flush. */
  get suspensions(): ReadonlyMap<string, ShardSuspension> {
    return this.#suspensions
  }

  /** Whether a suspension holds the projection. */
  get isHeld(): boolean {
    for (const { state } of this.#suspensions.values()) if (state === 'holding') return true
    return false
  }

  /**
   * Begins a suspension. With `writes` the gate is held at once. The projection is held after its
   * writer has flushed.
   */
  suspend(suspension: Suspension): void {
    const { token, writes } = suspension
    this.#suspensions.set(token, { ...suspension, state: 'flushing', answered: false })
    if (writes) this.gate.hold(token)
  }

  /** Ends a suspension in any state. Returns what it held; `undefined` if it had ended before. */
  endSuspension(token: string): 'projection' | 'writes' | undefined {
    // The gate also has holds with other names. A caller's token must not end those.
    if (!this.#suspensions.delete(token)) return undefined
    return this.gate.release(token) ? 'writes' : 'projection'
  }

  #become(phase: ShardPhase): void {
    this.#phase = phase
    for (const resolve of this.#changed.splice(0)) resolve()
  }

  #enter(phase: ShardPhase): void {
    this.#become(phase)
    const waiting = [...this.#settled]
    this.#settled.clear()
    for (const resolve of waiting) resolve(phase)
    if (!this.isStill) return
    for (const resolve of this.#atStandstill) resolve()
    this.#atStandstill.clear()
  }
}

/** Whether a write or a sync of the log has failed. */
const isPoison = (reason: unknown): boolean =>
  isKeelsonError(reason, 'SHARD_DOWN') && reason.details.reason === 'poisoned'

/** A value that fits no frame becomes a blob, even below the threshold, unless that is 0. */
const blobsOf = (parts: ShardParts, unitMax: number): ShardBlobs => {
  const { blobs } = parts.settings
  return new ShardBlobs({
    index: parts.index,
    dir: parts.folders.blobs,
    terms: { threshold: Math.min(blobs.threshold, unitMax - frameRoom), replicated: false },
    settings: blobs,
    clock: parts.clock,
    disk: parts.disk,
    makeHost: parts.makeBlobHost,
  })
}

/**
 * The bytes that a frame needs beside the value of its one command: its headers, a key, a field, an
 * owner.
 */
const frameRoom = 4_096
