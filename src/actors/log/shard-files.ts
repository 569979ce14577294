/**
 * The files of a shard: one epoch of the log at a time, and the projection. Requests run one after
 * another, each with the signal of the calling process. Pending requests of a killed process do
 * nothing. An epoch of the log belongs to no writer: the next one goes on with it. Before another
 * epoch begins, the one before has closed its files. So two epochs never write one log, however
 * quickly writers follow each other.
 */
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  blobSizesPath,
  type Disk,
  type Evidence,
  floorFileName,
  type Inspection,
  type KnownFloor,
  type LogHost,
  type LogHostFactory,
  type LogOptions,
  lostSegments,
  type NamedSnapshot,
  namesSnapshot,
  type OpenReport,
  type ProjectedPosition,
  type ProjectionStore,
  type Projections,
  readFloor,
  refusing,
  type ShardFolders,
  type SnapshotProgress,
  type SnapshotProtocol,
} from '../../storage/index.ts'
import type { Recovery } from '../core/recovery-progress.ts'
import { isAway, lostBlobs, withShard } from './log-failures.ts'

/** The snapshots that a projection can begin with. */
export type SnapshotBases = {
  readonly parts: { readonly dir: string }
  /** The ones that the log names, oldest first. */
  named: readonly NamedSnapshot[]
  /** The named snapshots that were found damaged. */
  unusable: readonly NamedSnapshot[]
  damaged(error: KeelsonError, snapshot: NamedSnapshot): void
  run<K extends 'verify' | 'load'>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    signal?: AbortSignal,
    onProgress?: (progress: SnapshotProgress) => void,
  ): Promise<unknown>
}

/** The place of the files, and the ports to reach them. */
export type FileParts = {
  readonly index: number
  readonly folders: Omit<ShardFolders, 'path'>
  readonly disk: Disk
  /** The engine of a cluster has what the folder may lose. */
  readonly isCache?: boolean | undefined
  readonly logOptions: LogOptions
  /** The greatest map of the projection, in bytes. */
  readonly mapBytes: number
  /** The LSN that the caller knows to be durable here (`wal.minDurable`). */
  readonly minDurable: number | undefined
  /**
   * The identity of the log's LOCK file, from the holder of the lock. `undefined`: taken from the
   * first inspection.
   */
  readonly lock: string | undefined
  readonly makeHost: LogHostFactory
  readonly projections: Projections
  readonly snapshots: SnapshotBases
  readonly recovery: Recovery
}

/** An epoch of the log before it is open: its host, and the inspection of the folder. */
type LogLook = { readonly host: LogHost; readonly inspection: Inspection }

/** The open epoch of the log. */
export type OpenLog = {
  readonly host: LogHost
  readonly report: OpenReport
  readonly durableLsn: number
  /** An earlier writer opened it. */
  readonly isAdopted: boolean
}

/** The files of one shard. */
export class ShardFiles {
  readonly parts: FileParts
  #host: LogHost | undefined
  /** Why no answer comes from `#host`: its thread died, or no process goes on with it. */
  #hostEnd: 'died' | 'left' | undefined
  #prepared: LogLook | undefined
  /** The findings of the opening of `#host`, while a writer may go on with it. */
  #report: OpenReport | undefined
  #projection: ProjectionStore | undefined
  /** The projection cannot be used: the next one begins with a snapshot, or empty. */
  #mustRebuild = false
  /**
   * The identity of the log's LOCK file. With a different file this process does not own the
   * folder.
   */
  #lock: string | undefined
  /** The known extent of the log, as the last inspection read it. */
  #floor: KnownFloor | undefined
  /** Evidence of a damaged projection, by the last inspection. */
  #damage: string | undefined
  /** The projected LSN of the last inspection. */
  #projectedLsn = 0
  /** Requests run one after another. */
  readonly #turns = new SerialQueue()

  constructor(parts: FileParts) {
    this.parts = parts
    this.#lock = parts.lock
  }

  /** The last inspection; `undefined` before the first, and after a writer has opened the log. */
  get inspection(): Inspection | undefined {
    return this.#prepared?.inspection
  }

  /**
   * Inspects the folder without changing it, and keeps the result for the next `open`.
   * @throws as an inspection does, for example `CORRUPT`
   */
  inspect(): Promise<Inspection> {
    return this.#inTurn(undefined, async () => {
      this.#prepared = await this.#onceMore(() => this.#look())
      return this.#prepared.inspection
    })
  }

  /** The known extent of the log, when it was inspected last; `undefined` if nothing is known. */
  get floor(): KnownFloor | undefined {
    return this.#floor
  }

  /** Whether the last inspection found written data: frames, snapshots, rows of a projection. */
  get hasRemains(): boolean {
    const { hasFrames, snapshots = [] } = this.#prepared?.inspection ?? {}
    return hasFrames === true || snapshots.length > 0 || this.#projectedLsn > 0
  }

  /**
   * Creates the log of a new folder, inspects it, and returns its id.
   * @throws KeelsonError `NO_SPACE`, `READ_ONLY`: no file is left
   */
  create(): Promise<string> {
    return this.#inTurn(undefined, async () => {
      this.#prepared = await this.#onceMore(() => this.#created())
      return this.#prepared.inspection.walId ?? ''
    })
  }

  /**
   * The open log, for the process of `signal`: the epoch that an earlier process opened, or else a
   * new one, which begins when the one before has closed its files.
   * @throws KeelsonError `EXITED` if that process has died; `SHARD_DOWN` (reason `poisoned`) if a
   * write or a sync failed while no process watched; as an inspection and an opening do
   */
  open(signal: AbortSignal): Promise<OpenLog> {
    return this.#inTurn(signal, async () => (await this.#adopted()) ?? this.#opened())
  }

  /**
   * No process goes on with the present epoch of the log: a write failed, or its thread died. It
   * ends without a clean close. No byte is written after this resolves.
   */
  giveUp(): Promise<void> {
    this.#report = undefined
    this.#hostEnd ??= 'left'
    return this.#inTurn(undefined, () => this.#endHost())
  }

  /** Ends the present epoch of the log also in the middle of a request. */
  leave(): void {
    this.#hostEnd ??= 'left'
    this.#host?.end().catch(() => undefined)
  }

  /**
   * The present epoch of the log, for reading.
   * @throws KeelsonError `SHARD_DOWN` if there is none
   */
  log(): LogHost {
    if (this.#host) return this.#host
    throw new KeelsonError('SHARD_DOWN', `the log of shard ${this.parts.index} is not open`, {
      details: { shard: this.parts.index, state: 'recovering' },
    })
  }

  /**
   * Whether the present epoch of the log answers. If not, its writer ends, and with it each process
   * that reads the log: a process that asked in vain waits for that.
   */
  get hasLog(): boolean {
    return this.#host !== undefined && this.#hostEnd === undefined
  }

  /** Whether the thread of the present epoch has died. The next epoch gets another thread. */
  get hasDied(): boolean {
    return this.#hostEnd === 'died'
  }

  /**
   * Whether a request failed because its epoch of the log can do nothing more. No write in it is
   * known to have failed: the next epoch goes on.
   */
  hasEnded(error: unknown): boolean {
    const isOfThread = isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'thread'
    return isKeelsonError(error, 'CLOSED') || isAway(error) || isOfThread
  }

  /**
   * Opens the projection on first use. One that cannot be used is rebuilt: a snapshot is loaded, or
   * it begins empty. The log has the rest. A load that is interrupted goes on the next time.
   * @throws KeelsonError `NO_SPACE` with the load to be gone on with; `CORRUPT` if neither a
   * snapshot nor the whole log is there
   */
  projection(signal: AbortSignal): Promise<ProjectionStore> {
    return this.#inTurn(signal, async () => {
      // An earlier process may have a pending commit. The new one must read a settled projection.
      await this.#projection?.settled()
      if (this.#projection && !this.#mustRebuild) return this.#projection
      await this.#closeProjection()
      const { projections, mapBytes } = this.parts
      if (this.#mustRebuild) await this.#rebuild(signal)
      this.#mustRebuild = false
      this.#projection = projections.open(this.parts.folders.lmdb, mapBytes)
      return this.#projection
    })
  }

  /** Evidence of damage, once, if the projection that the next `projection()` rebuilds had some. */
  takeDamage(): string | undefined {
    const damage = this.#damage
    this.#damage = undefined
    return damage
  }

  /** Marks the projection as damaged: the next `projection()` rebuilds it. */
  distrustProjection(): void {
    this.#mustRebuild = true
  }

  /**
   * Closes the log, cleanly if it is open and sound, and the projection. All files are closed when
   * it settles, even if one of the two fails.
   */
  async close(projectedLsn: number): Promise<void> {
    await this.#inTurn(undefined, async () => {
      const log = this.#closeLog(projectedLsn)
      const ends = await Promise.allSettled([log, this.#closeProjection()])
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    })
  }

  /** Runs `work` after all earlier requests, unless the process of `signal` has died by then. */
  #inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#turns.run(() => {
      if (signal?.aborted) throw new KeelsonError('EXITED', 'the calling process has ended')
      return work()
    })
  }

  /**
   * The epoch that is open already. Its sync shows whether it can go on: a write that failed is
   * final, and a thread that died has left the files to the next epoch.
   */
  async #adopted(): Promise<OpenLog | undefined> {
    const [host, report] = [this.#host, this.#report]
    if (!host || !report) return undefined
    try {
      const { durableLsn } = await host.run('sync', null)
      return { host, report, durableLsn, isAdopted: true }
    } catch (error) {
      if (!this.hasEnded(error)) throw error
      this.#report = undefined
      return undefined
    }
  }

  async #opened(): Promise<OpenLog> {
    const prepared = this.hasDied ? undefined : this.#prepared
    const { host, inspection } = prepared ?? (await this.#look())
    this.#prepared = undefined
    const { folders, logOptions } = this.parts
    const report = await host.run('open', { dir: folders.wal, options: logOptions, inspection })
    this.#report = report
    return { host, report, durableLsn: report.lastLsn, isAdopted: false }
  }

  async #look(): Promise<LogLook> {
    await this.#endHost()
    const host = this.parts.makeHost(this.parts.index)
    this.#host = host
    this.#hostEnd = undefined
    void host.died?.then(() => {
      if (this.#host === host) this.#hostEnd ??= 'died'
    })
    return this.#inspectedBy(host)
  }

  /** Makes the files of the log, unless a thread that died has made them whole. */
  async #created(): Promise<LogLook> {
    const prepared = this.hasDied ? undefined : this.#prepared
    const look = prepared ?? (await this.#look())
    if (look !== prepared && look.inspection.exists && look.inspection.walId) return look
    const { folders, logOptions } = this.parts
    await look.host.run('create', { dir: folders.wal, options: logOptions })
    this.#prepared = undefined
    return this.#inspectedBy(look.host)
  }

  /**
   * Does `work` before any writer watches the log. If its thread dies, the next one does it. If that
   * dies too, the log may be the reason.
   */
  async #onceMore<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!this.hasDied) throw error
      return work()
    }
  }

  async #inspectedBy(host: LogHost): Promise<LogLook> {
    const { disk, folders } = this.parts
    this.#floor = refusing(() => readFloor(disk, folders.floor))
    const position = await this.#projectedPosition()
    this.#projectedLsn = position?.lsn ?? 0
    let inspection = await this.#inspection(host, position)
    // A snapshot that is needed is read whole, before anything is changed.
    while (inspection.base?.kind === 'snapshot' && !(await this.#isSound(inspection.base.snapshot)))
      inspection = await this.#inspection(host, position)
    this.#refuseLosses()
    this.#lock = inspection.lock
    const { kind } = inspection.base ?? {}
    if (kind === 'snapshot' || (kind === 'log' && position)) this.#mustRebuild = true
    this.parts.snapshots.named = inspection.snapshots
    return { host, inspection }
  }

  #inspection(host: LogHost, position: ProjectedPosition | undefined): Promise<Inspection> {
    const { folders, logOptions, index } = this.parts
    const inspection = host.run('inspect', {
      dir: folders.wal,
      options: logOptions,
      evidence: this.#callersEvidence(),
      // The log must reach down to the end of the projection, to a snapshot, or to its first frame.
      needs: {
        readFrom: 1,
        holdsUnits: true,
        base: { damaged: this.parts.snapshots.unusable },
        ...(position ? { shown: position } : {}),
      },
      ...(this.#lock === undefined ? {} : { lock: this.#lock }),
    })
    return inspection.catch((error: unknown) => {
      throw withShard(index, error)
    })
  }

  /**
   * Refuses a shard that lost segments of blobs, while nothing is changed. The log judges its own
   * segments and the snapshots that its rows need; the projection is derived from both.
   */
  #refuseLosses(): void {
    const { disk, folders, index, isCache } = this.parts
    if (isCache) return
    const lost = refusing(() => lostSegments(disk, folders.blobs))
    if (lost.length > 0) throw lostBlobs(index, lost, blobSizesPath(folders.blobs))
  }

  async #isSound(snapshot: NamedSnapshot): Promise<boolean> {
    const { snapshots, recovery } = this.parts
    recovery.begin('snapshot', snapshot.bytes)
    const request = { dir: snapshots.parts.dir, snapshot }
    return this.#unlessDamaged(snapshot, () =>
      snapshots.run('verify', request, undefined, ({ rows, bytes }) => recovery.reach(rows, bytes)),
    ).finally(() => recovery.end())
  }

  /** Puts the base of a new projection in place: the newest sound snapshot, or nothing. */
  async #rebuild(signal: AbortSignal): Promise<void> {
    const { snapshots, firstLsn } = await this.log().run('state', null)
    for (const snapshot of [...snapshots].reverse()) {
      const { unusable } = this.parts.snapshots
      if (namesSnapshot(unusable, snapshot) || snapshot.lsn < firstLsn - 1) continue
      if (await this.#load(snapshot, signal)) return
    }
    if (firstLsn > 1) throw this.#noBase(firstLsn)
    this.parts.projections.remove(this.parts.folders.lmdb)
  }

  #load(snapshot: NamedSnapshot, signal: AbortSignal): Promise<boolean> {
    const { snapshots, recovery, folders } = this.parts
    recovery.begin('snapshot', snapshot.bytes)
    const request = { dir: snapshots.parts.dir, snapshot, projection: folders.lmdb }
    return this.#unlessDamaged(snapshot, () =>
      snapshots.run('load', request, signal, ({ rows, bytes }) => recovery.reach(rows, bytes)),
    )
  }

  /** Does `work` with a snapshot. False: the snapshot is damaged, and is not used again. */
  async #unlessDamaged(snapshot: NamedSnapshot, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      const isOfSnapshot = isKeelsonError(error, 'CORRUPT') && error.details.file !== undefined
      if (!isOfSnapshot && !isKeelsonError(error, 'UNSUPPORTED_VERSION')) throw error
      this.parts.snapshots.damaged(error, snapshot)
      return false
    }
  }

  #noBase(firstLsn: number): KeelsonError {
    const { index, snapshots } = this.parts
    return new KeelsonError(
      'CORRUPT',
      `the projection of shard ${index} is lost, no snapshot can be used, and the log begins with lsn ${firstLsn}`,
      { details: { shard: index, firstLsn, damaged: snapshots.unusable.map(({ lsn }) => lsn) } },
    )
  }

  /** Without a clean close the next opening is a recovery, and loses no frame. */
  async #closeLog(projectedLsn: number): Promise<void> {
    try {
      if (this.#report) await this.#host?.run('close', { projectedLsn })
    } finally {
      await this.#endHost()
    }
  }

  /** The host is kept until it has ended, because the next epoch waits for it. */
  async #endHost(): Promise<void> {
    this.#prepared = undefined
    this.#report = undefined
    await this.#host?.end()
    this.#host = undefined
  }

  async #closeProjection(): Promise<void> {
    const projection = this.#projection
    this.#projection = undefined
    await projection?.close()
  }

  #callersEvidence(): Evidence[] {
    const { minDurable } = this.parts
    const floor = this.#floor
    return [
      ...(minDurable === undefined
        ? []
        : [{ lsn: minDurable, source: 'wal.minDurable', byCaller: true }]),
      ...(floor ? [{ lsn: floor.lsn, source: floorFileName, walId: floor.walId }] : []),
    ]
  }

  /** An open projection was examined when this process began. A closed one is examined first. */
  async #projectedPosition(): Promise<ProjectedPosition | undefined> {
    await this.#projection?.settled()
    if (this.#projection) return this.#projection.position()
    const found = await this.parts.projections.examine(this.parts.folders.lmdb)
    this.#damage = found.state === 'damaged' ? found.evidence : undefined
    if (found.state === 'damaged' || found.state === 'loading') this.#mustRebuild = true
    return found.state === 'sound' ? found.position : undefined
  }
}
