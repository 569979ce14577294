/**
 * The files of a shard: one life of the log at a time, and the projection. Requests run one after
 * another, each with the signal of the calling process. Pending requests of a killed process do
 * nothing. So two incarnations of the writer never write one log, however quickly they follow each
 * other.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type Evidence,
  factsFileName,
  type Inspection,
  type LogFloor,
  type LogHost,
  type LogHostFactory,
  type LogOptions,
  type ProjectedPosition,
  type ProjectionExamination,
  type ProjectionStore,
  type Projections,
} from '../../storage/index.ts'

/** The place of the files, and the ports to reach them. */
export type FileParts = {
  readonly index: number
  readonly folders: { readonly wal: string; readonly lmdb: string }
  readonly logOptions: LogOptions
  /** The greatest map of the projection, in bytes. */
  readonly mapBytes: number
  /** The LSN that the caller knows to be durable here (`wal.minDurable`). */
  readonly minDurable: number | undefined
  /** What `keelson.json` says that the log had. */
  readonly floor: LogFloor | undefined
  /**
   * The identity of the log's LOCK file, from the holder of the lock. `undefined`: taken from the
   * first inspection.
   */
  readonly lock: string | undefined
  readonly makeHost: LogHostFactory
  readonly projections: Projections
}

/** One life of the log: its host, and the inspection of the folder. */
export type LogLease = { readonly host: LogHost; readonly inspection: Inspection }

/** The files of one shard. */
export class ShardFiles {
  readonly parts: FileParts
  #host: LogHost | undefined
  #prepared: LogLease | undefined
  #projection: ProjectionStore | undefined
  #projectionDamaged = false
  /**
   * The identity of the log's LOCK file. With a different file this process does not own the
   * folder.
   */
  #lock: string | undefined
  /** The projected LSN of the last inspection. */
  #projectedLsn = 0
  /** The end of the last request: the next one begins after it. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: FileParts) {
    this.parts = parts
    this.#lock = parts.lock
  }

  /** The last inspection; `undefined` before the first, and after a writer has leased it. */
  get inspection(): Inspection | undefined {
    return this.#prepared?.inspection
  }

  /**
   * Inspects the folder without changing it, and keeps the result for the next `lease`.
   * @throws as an inspection does, for example `CORRUPT`
   */
  inspect(): Promise<Inspection> {
    return this.#inTurn(undefined, async () => {
      this.#prepared = await this.#look()
      return this.#prepared.inspection
    })
  }

  /** Whether the last inspection found written data: frames, or rows of a projection. */
  get hasRemains(): boolean {
    return this.#prepared?.inspection.hasFrames === true || this.#projectedLsn > 0
  }

  /**
   * Creates the log of a new folder, inspects it, and returns its id.
   * @throws KeelsonError `NO_SPACE`, `READ_ONLY`: no file is left behind
   */
  create(): Promise<string> {
    return this.#inTurn(undefined, async () => {
      const { host } = this.#prepared ?? (await this.#look())
      const { folders, logOptions } = this.parts
      await host.run('create', { dir: folders.wal, options: logOptions })
      this.#prepared = undefined
      this.#prepared = await this.#inspectedBy(host)
      return this.#prepared.inspection.walId ?? ''
    })
  }

  /**
   * Begins a new life of the log for the process of `signal`, after the life before has ended and
   * closed its files.
   * @throws KeelsonError `EXITED` if that process has died meanwhile; as an inspection does
   */
  lease(signal: AbortSignal): Promise<LogLease> {
    return this.#inTurn(signal, async () => {
      const lease = this.#prepared ?? (await this.#look())
      this.#prepared = undefined
      return lease
    })
  }

  /**
   * The present life of the log, for reading.
   * @throws KeelsonError `SHARD_DOWN` if there is none
   */
  log(): LogHost {
    if (this.#host) return this.#host
    throw new KeelsonError('SHARD_DOWN', `the log of shard ${this.parts.index} is not open`, {
      details: { shard: this.parts.index, state: 'recovering' },
    })
  }

  /**
   * Ends `host` without a clean close; by default the present life of the log. No byte is written
   * after it resolves.
   */
  end(host?: LogHost): Promise<void> {
    return this.#inTurn(undefined, async () => {
      if (host === undefined || host === this.#host) await this.#endHost()
      else await host.end()
    })
  }

  /**
   * Opens the projection on first use. A damaged one is removed first, and rebuilt from the log.
   */
  projection(signal: AbortSignal): Promise<ProjectionStore> {
    return this.#inTurn(signal, async () => {
      // An earlier process may have a commit under way. The new one must read a settled projection.
      await this.#projection?.settled()
      if (this.#projection && !this.#projectionDamaged) return this.#projection
      await this.#closeProjection()
      const { projections, mapBytes } = this.parts
      if (this.#projectionDamaged) projections.remove(this.parts.folders.lmdb)
      this.#projectionDamaged = false
      this.#projection = projections.open(this.parts.folders.lmdb, mapBytes)
      return this.#projection
    })
  }

  /** Marks the projection as damaged: the next `projection()` begins an empty one. */
  distrustProjection(): void {
    this.#projectionDamaged = true
  }

  /**
   * Ends the log's life and closes the projection. All files are closed when it settles, even if
   * one of the two fails.
   */
  async close(): Promise<void> {
    await this.#inTurn(undefined, async () => {
      const ends = await Promise.allSettled([this.#endHost(), this.#closeProjection()])
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    })
  }

  /** Runs `work` after all earlier requests, unless the process of `signal` has died by then. */
  #inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (signal?.aborted) throw new KeelsonError('EXITED', 'the calling process has ended')
      return work()
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #look(): Promise<LogLease> {
    await this.#endHost()
    const host = this.parts.makeHost(this.parts.index)
    this.#host = host
    return this.#inspectedBy(host)
  }

  async #inspectedBy(host: LogHost): Promise<LogLease> {
    const position = await this.#projectedPosition()
    this.#projectedLsn = position?.lsn ?? 0
    const inspection = await host.run('inspect', {
      dir: this.parts.folders.wal,
      options: this.parts.logOptions,
      evidence: this.#callersEvidence(),
      // Without an archive the log is the only copy: it must be whole, and readable from the end of
      // the projection.
      needs: {
        heldFrom: 1,
        readFrom: 1,
        holdsUnits: true,
        ...(position ? { shown: position } : {}),
      },
      ...(this.#lock === undefined ? {} : { lock: this.#lock }),
    })
    this.#lock = inspection.lock
    if (inspection.showsOther) this.#projectionDamaged = true
    return { host, inspection }
  }

  /** The host is kept until it has ended, because the next life waits for it. */
  async #endHost(): Promise<void> {
    this.#prepared = undefined
    await this.#host?.end()
    this.#host = undefined
  }

  async #closeProjection(): Promise<void> {
    const projection = this.#projection
    this.#projection = undefined
    await projection?.close()
  }

  #callersEvidence(): Evidence[] {
    const { minDurable, floor } = this.parts
    return [
      ...(minDurable === undefined ? [] : [{ lsn: minDurable, source: 'wal.minDurable' }]),
      ...(floor === undefined ? [] : [{ lsn: floor.lsn, source: factsFileName }]),
    ]
  }

  /** An open projection was examined when this process began. A closed one is examined first. */
  async #projectedPosition(): Promise<ProjectedPosition | undefined> {
    await this.#projection?.settled()
    if (this.#projection) return this.#projection.position()
    const found = await this.#examined()
    return found.state === 'sound' ? found.position : undefined
  }

  async #examined(): Promise<ProjectionExamination> {
    const found = await this.parts.projections.examine(this.parts.folders.lmdb)
    if (found.state === 'damaged') this.#projectionDamaged = true
    return found
  }
}
