/**
 * The parts of a shard that outlive its actors, composed: its core, and what each room keeps. The
 * instance makes one value per shard before the tree starts, and hands it to the shard's actors.
 */
import {
  type Allowance,
  Appends,
  type CoreParts,
  DerivedQueue,
  EngineWatch,
  FullStreams,
  Gate,
  KeyMarks,
  MomentWatch,
  ReleasedRows,
  ReplicaMarks,
  ShardBlobs,
  ShardChanges,
  ShardCore,
  ShardFiles,
  ShardJournal,
  ShardProjection,
  ShardSnapshots,
  type SnapshotTurns,
  SpaceWatch,
  StreamCount,
  Suspensions,
  type Watch,
} from '../../actors/index.ts'
import type { Cancel } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import {
  type BlobHostFactory,
  type LogHostFactory,
  type Projections,
  type SnapshotHostFactory,
  unitBytesMax,
} from '../../storage/index.ts'

/** The parts that a shard is made from. */
export type ShardParts = CoreParts & {
  readonly minDurable: number | undefined
  readonly lock: string | undefined
  readonly makeHost: LogHostFactory
  readonly projections: Projections
  readonly makeBlobHost: BlobHostFactory
  readonly makeSnapshotHost: SnapshotHostFactory
  /** The log is in an engine. */
  readonly isCache?: boolean | undefined
  /** Shared by the shards of an instance: the bound of unfinished writes. */
  readonly allowance: Allowance
  /** Shared too: the turns of their snapshots. */
  readonly snapshotTurns: SnapshotTurns
  /** Watches the end of a process: `System.monitor`. */
  readonly watch: Watch
}

/** One shard, across the incarnations of its actors. The rooms say what each part is. */
export class Shard extends ShardCore {
  declare readonly parts: ShardParts
  readonly marks = new KeyMarks()
  readonly appends: Appends
  readonly changes = new ShardChanges()
  readonly fullStreams = new FullStreams()
  readonly streamCount = new StreamCount()
  readonly expiry = new MomentWatch()
  readonly due = new MomentWatch()
  readonly removals = new MomentWatch()
  readonly projection: ShardProjection
  readonly suspensions: Suspensions
  readonly derived: DerivedQueue
  readonly snapshots: ShardSnapshots
  readonly space: SpaceWatch
  readonly replication = new ReplicaMarks()
  readonly journal: ShardJournal
  readonly releasedRows = new ReleasedRows()
  readonly files: ShardFiles
  readonly engine: EngineWatch
  readonly blobs: ShardBlobs

  #grace: Cancel | undefined

  constructor(parts: ShardParts) {
    const { maxFileSize, sectorBytes, queueBytes, queueCommands, commitments } = parts.settings.wal
    const { mapBytes } = parts.settings.lmdb
    const { maxCommands, maxBytes } = parts.settings.batcher
    const appends = new Appends({ weightMax: maxCommands, bytesMax: maxBytes }, parts.clock)
    const gate = new Gate(parts.clock, {
      bytesMax: queueBytes,
      commandsMax: queueCommands,
      total: parts.allowance,
      watch: parts.watch,
    })
    super(parts, gate, appends)
    this.appends = appends
    this.suspensions = new Suspensions(gate)
    this.projection = new ShardProjection(parts.index, parts.clock)
    const { enqueueOps, enqueueBytes } = parts.settings.lmdb
    this.derived = new DerivedQueue({ operations: enqueueOps, bytes: enqueueBytes })
    this.engine = new EngineWatch(parts)
    this.space = new SpaceWatch({
      ...parts,
      segmentBytes: parts.isCache ? 0 : maxFileSize,
      free: () => parts.disk.free(parts.folders.wal),
      snapshotBytes: () => this.snapshots.named.at(-1)?.bytes ?? 0,
    })
    this.snapshots = new ShardSnapshots({
      index: parts.index,
      dir: parts.folders.snapshots,
      isCache: parts.isCache,
      makeHost: parts.makeSnapshotHost,
      rules: parts.settings.snapshot,
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
    this.blobs = blobsOf(parts, unitBytesMax(this.files.parts.logOptions))
  }

  /**
   * Closes the shard, because the instance has closed. The log in an engine needs no clean end, so
   * an engine that is away holds nothing up.
   */
  override close(): void {
    super.close()
    this.replication.close()
    const { isCache, clock } = this.parts
    if (!isCache) return
    this.#grace ??= clock.after(engineGraceMs, () => {
      this.files.leave()
      // A start of the log may fetch a snapshot.
      this.snapshots.interrupt().catch(() => undefined)
    })
  }

  /**
   * The actors of the closed shard have ended: closes its files, the log cleanly if it is sound. A
   * failure is logged: the next opening recovers the shard.
   */
  async end(): Promise<void> {
    await this.#filesEnd([this.snapshots.close(), this.blobs.close()]).finally(this.#grace)
  }

  override arrive(others: readonly ShardCore[] = []): void {
    if (this.phase.kind === 'elsewhere') this.blobs.arrived()
    super.arrive(others)
  }

  override beElsewhere(): void {
    super.beElsewhere()
    this.blobs.pins.releaseAll()
    this.journal.left()
  }

  /** Whether it is suspended, or a backup reads it: it stays where it is. */
  get isHeld(): boolean {
    return this.suspensions.byToken.size > 0 || this.parts.snapshotTurns.hasBackup
  }

  /**
   * The actors of a shard that is elsewhere from now on have ended: closes its files as `end` does.
   * It may come back.
   */
  async depart(): Promise<void> {
    await this.#filesEnd([this.snapshots.interrupt(), this.blobs.end()])
  }

  async #filesEnd(others: readonly Promise<unknown>[]): Promise<void> {
    const { index: shard, logger } = this.parts
    const ends = [...others, this.files.close(this.projectedLsn)]
    const settled = await Promise.allSettled(ends)
    this.appends.lose(this.unavailable())
    for (const end of settled)
      if (end.status === 'rejected') {
        const { reason } = end
        const text = `shard ${shard} was not closed cleanly: ${reasonText(reason)}`
        logger.error(text, { shard, reason })
      }
  }
}

/** After the last write is answered, an engine has so long for what is open, in ms. */
const engineGraceMs = 1_000

/** A value that fits no frame becomes a blob, even below the threshold, unless that is 0. */
const blobsOf = (parts: ShardParts, unitMax: number): ShardBlobs => {
  const { blobs } = parts.settings
  return new ShardBlobs({
    index: parts.index,
    dir: parts.folders.blobs,
    isCache: parts.isCache,
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
