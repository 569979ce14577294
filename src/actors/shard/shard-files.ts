/**
 * The files of a shard as its actors hold them: one life of the log at a time, and the projection. Whoever asks does so one
 * after another, and with the signal of the process that asks: what a killed process still had pending changes nothing.
 * So two incarnations of the writer never write one log, however quickly they follow each other.
 */
import { KeelsonError } from '../../errors.ts'
import type {
  Evidence,
  Inspection,
  LogHost,
  LogHostFactory,
  LogOptions,
  ProjectedPosition,
  ProjectionExamination,
  ProjectionStore,
  Projections,
} from '../../storage/index.ts'

/** Where the files are, and through which ports they are reached. */
export type FileParts = {
  readonly index: number
  readonly folders: { readonly wal: string; readonly lmdb: string }
  readonly logOptions: LogOptions
  /** What the caller knows to be durable here (`wal.minDurable`). */
  readonly minDurable: number | undefined
  /** Which file the log's LOCK is, as whoever took it has it; `undefined`: as the first look finds it. */
  readonly lock: string | undefined
  readonly makeHost: LogHostFactory
  readonly projections: Projections
}

/** One life of the log: its host, and what looking at the folder found. */
export type LogLease = { readonly host: LogHost; readonly inspection: Inspection }

/** The files of one shard. */
export class ShardFiles {
  readonly parts: FileParts
  #host: LogHost | undefined
  #prepared: LogLease | undefined
  #projection: ProjectionStore | undefined
  #projectionDamaged = false
  /** Which file the log's LOCK is: with another one the folder is not ours any more. */
  #lock: string | undefined
  /** What the projection showed at the last look. */
  #projectedLsn = 0
  /** The end of what was asked so far: the next one begins then. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: FileParts) {
    this.parts = parts
    this.#lock = parts.lock
  }

  /** What the last look found; `undefined` before one, and once a writer has taken it. */
  get inspection(): Inspection | undefined {
    return this.#prepared?.inspection
  }

  /** Looks at the folder without changing it, and keeps what it found for the next `lease`. @throws `CORRUPT` … */
  inspect(): Promise<Inspection> {
    return this.#inTurn(undefined, async () => {
      this.#prepared = await this.#look()
      return this.#prepared.inspection
    })
  }

  /** Whether the last look found anything that was written: frames, or rows of a projection. */
  get hasRemains(): boolean {
    return this.#prepared?.inspection.hasFrames === true || this.#projectedLsn > 0
  }

  /**
   * Makes the log of a new folder, looks at it, and answers its id.
   * @throws KeelsonError `NO_SPACE`, `READ_ONLY`: nothing is left behind
   */
  create(): Promise<string> {
    return this.#inTurn(undefined, async () => {
      const { host } = this.#prepared ?? (await this.#look())
      const { folders, logOptions } = this.parts
      await host.run('create', { dir: folders.wal, options: logOptions })
      this.#prepared = await this.#look()
      return this.#prepared.inspection.walId ?? ''
    })
  }

  /**
   * Begins a new life of the log for the process that `signal` is of, once the one before has ended and closed its
   * files, whoever led it. @throws KeelsonError `EXITED` when that process has died meanwhile; what an inspection throws
   */
  lease(signal: AbortSignal): Promise<LogLease> {
    return this.#inTurn(signal, async () => {
      const lease = this.#prepared ?? (await this.#look())
      this.#prepared = undefined
      return lease
    })
  }

  /** The present life of the log, for reading. @throws KeelsonError `SHARD_DOWN` before there is one. */
  log(): LogHost {
    if (this.#host) return this.#host
    throw new KeelsonError('SHARD_DOWN', `The log of shard ${this.parts.index} is not open.`, {
      details: { shard: this.parts.index, state: 'recovering' },
    })
  }

  /** Ends `host`, or without one whatever life the log has, without a clean close. No byte is written once it resolves. */
  end(host?: LogHost): Promise<void> {
    return this.#inTurn(undefined, async () => {
      if (host === undefined || host === this.#host) await this.#endHost()
      else await host.end()
    })
  }

  /** The projection, opened on first use. One that was found damaged is removed first: it is rebuilt from the log. */
  projection(signal: AbortSignal): Promise<ProjectionStore> {
    return this.#inTurn(signal, async () => {
      // A commit that a process before this one began may still be under way: whoever begins reads what stands still.
      await this.#projection?.settled()
      if (this.#projection && !this.#projectionDamaged) return this.#projection
      await this.#closeProjection()
      const { projections } = this.parts
      if (this.#projectionDamaged) projections.remove(this.parts.folders.lmdb)
      this.#projectionDamaged = false
      this.#projection = projections.open(this.parts.folders.lmdb)
      return this.#projection
    })
  }

  /** The projection cannot be trusted: the next `projection()` begins an empty one. */
  distrustProjection(): void {
    this.#projectionDamaged = true
  }

  /** Ends the log's life and closes the projection: nothing is open once it resolves, also when one of both fails. */
  async close(): Promise<void> {
    await this.#inTurn(undefined, async () => {
      const ends = await Promise.allSettled([this.#endHost(), this.#closeProjection()])
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    })
  }

  /** `work` after everything that was asked before; not at all for a process that has died by then. */
  #inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (signal?.aborted) throw new KeelsonError('EXITED', 'The process that asked has ended.')
      return work()
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #look(): Promise<LogLease> {
    await this.#endHost()
    const host = this.parts.makeHost(this.parts.index)
    this.#host = host
    const position = await this.#projectedPosition()
    this.#projectedLsn = position?.lsn ?? 0
    const inspection = await host.run('inspect', {
      dir: this.parts.folders.wal,
      options: this.parts.logOptions,
      evidence: this.#callersEvidence(),
      // Until there is an archive the log is all there is: it must be whole, and readable from where the projection ends.
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

  /** The host stays ours until it has ended: a life that follows waits for that. */
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
    const lsn = this.parts.minDurable
    return lsn === undefined ? [] : [{ lsn, source: 'wal.minDurable' }]
  }

  /** A projection that is open was examined when this process began; one that is not has to show that it is sound first. */
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
