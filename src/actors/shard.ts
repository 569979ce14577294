/**
 * What of a shard must survive its actors: the gate, the log's host (one at a time), the plan of the inspection, the
 * published read view, suspensions, and why it is down. The instance makes one value per shard before the tree and
 * hands it to the shard's actors; an actor's death changes nothing here but what is said below.
 */
import type { Clock } from '../clock.ts'
import { KeelsonError } from '../errors.ts'
import type { Ref } from '../runtime/index.ts'
import type {
  Evidence,
  Inspection,
  LogHost,
  LogHostFactory,
  LogOptions,
  ProjectionStore,
  Projections,
} from '../storage/index.ts'
import { Gate } from './gate.ts'
import type { ReadView } from './read-view.ts'
import type { Settings } from './settings.ts'

/** Where a shard stands. */
export type ShardPhase =
  | { readonly kind: 'recovering' }
  | { readonly kind: 'open'; readonly view: ReadView }
  | { readonly kind: 'down'; readonly reason: unknown }
  | { readonly kind: 'closed' }

/**
 * A hold on a shard's projection, and with `writes` on its gate. Without an owner it belongs to whoever holds the
 * instance. `since` and `until` (the end of its lease) in ms since 1970. `control` sees to its end.
 */
export type Suspension = {
  readonly token: string
  readonly owner: Ref | undefined
  readonly writes: boolean
  readonly since: number
  readonly until: number | undefined
}

/** What a shard is made of. */
export type ShardParts = {
  readonly instance: string
  readonly index: number
  /** Folder of the log and of the projection. */
  readonly folders: { readonly wal: string; readonly lmdb: string }
  readonly settings: Settings
  /** What the caller knows to be durable here (`wal.minDurable`). */
  readonly minDurable: number | undefined
  readonly clock: Clock
  readonly makeHost: LogHostFactory
  readonly projectionsOn: (host: LogHost) => Projections
}

/** One life of the log: its host, and what looking at the folder found. */
export type LogLease = { readonly host: LogHost; readonly inspection: Inspection }

/** The hold of a shard that cannot show its state yet. */
const recoveringHold = 'recovering'

/** One shard's lasting part. */
export class Shard {
  readonly parts: ShardParts
  readonly gate: Gate
  readonly suspensions = new Map<string, Suspension>()
  /** Up to here the projection is durable, as far as this process knows. */
  projectedLsn = 0
  /** The last LSN that the applier has shown to readers. */
  appliedLsn = 0

  #phase: ShardPhase = { kind: 'recovering' }
  #host: LogHost | undefined
  #prepared: LogLease | undefined
  #projection: ProjectionStore | undefined
  #projectionDamaged = false
  #lastNow = 0
  readonly #settled: ((phase: ShardPhase) => void)[] = []

  constructor(parts: ShardParts) {
    this.parts = parts
    this.gate = new Gate(parts.clock, parts.settings.wal.queueBytes)
    this.gate.hold(recoveringHold)
  }

  /** The shard's number. */
  get index(): number {
    return this.parts.index
  }

  /** Where it stands. */
  get phase(): ShardPhase {
    return this.#phase
  }

  /** The shard's time in ms: the clock's, and never less than a stamp or a reading before. */
  now(): number {
    return this.observeTime(this.parts.clock.now())
  }

  /** Learns of a stamp; answers the shard's time. */
  observeTime(time: number): number {
    this.#lastNow = Math.max(this.#lastNow, time)
    return this.#lastNow
  }

  /** @throws KeelsonError `SHARD_DOWN` with `details.state` while it cannot answer reads, `CLOSED` after the instance closed. */
  view(): ReadView {
    if (this.#phase.kind === 'open') return this.#phase.view
    throw this.unavailable()
  }

  /** Why reads cannot be answered now. */
  unavailable(): KeelsonError {
    const phase = this.#phase
    if (phase.kind === 'closed') return new KeelsonError('CLOSED', 'The instance is closed.')
    const details = { shard: this.index, state: phase.kind }
    return phase.kind === 'down'
      ? new KeelsonError('SHARD_DOWN', `Shard ${this.index} is down.`, {
          details: { ...details, reason: reasonText(phase.reason) },
          cause: phase.reason,
        })
      : new KeelsonError('SHARD_DOWN', `Shard ${this.index} is recovering.`, { details })
  }

  /** The applier has a complete view: readers get answers and writers move. A shard that is down or closed stays so. */
  publish(view: ReadView): void {
    if (this.#phase.kind !== 'recovering') return
    this.#enter({ kind: 'open', view })
    this.gate.release(recoveringHold)
  }

  /** An actor that reads or writes depend on has died: nothing is answered from a stale part until the next `publish`. */
  retract(): void {
    if (this.#phase.kind !== 'open') return
    this.gate.hold(recoveringHold)
    this.#phase = { kind: 'recovering' }
  }

  /** Down, and why. Whoever waits at the gate and whoever comes gets `SHARD_DOWN`. The first reason stays. */
  goDown(reason: unknown): void {
    if (this.#phase.kind === 'down' || this.#phase.kind === 'closed') return
    this.gate.hold(recoveringHold)
    this.#enter({ kind: 'down', reason })
    this.gate.shut(this.unavailable())
  }

  /** Down no more: the tree may try again. */
  clearDown(): void {
    if (this.#phase.kind !== 'down') return
    this.#phase = { kind: 'recovering' }
    this.gate.reopen()
  }

  /** The instance has closed. */
  close(): void {
    this.#enter({ kind: 'closed' })
    this.gate.shut(this.unavailable())
  }

  /** Resolves with the phase once the shard is open, down or closed. */
  settled(): Promise<ShardPhase> {
    return this.#phase.kind === 'recovering'
      ? new Promise((resolve) => this.#settled.push(resolve))
      : Promise.resolve(this.#phase)
  }

  /** Looks at the folder without changing it, and keeps what it found for the next `leaseLog`. @throws `CORRUPT` … */
  async inspect(): Promise<Inspection> {
    this.#prepared = await this.#look()
    return this.#prepared.inspection
  }

  /** What the last look found; `undefined` before one. */
  get inspection(): Inspection | undefined {
    return this.#prepared?.inspection
  }

  /** Makes the log of a new folder, and looks at it. @throws KeelsonError `NO_SPACE`, `READ_ONLY`: nothing is left behind */
  async createLog(): Promise<void> {
    const { host } = await this.leaseLog()
    await host.run('create', { dir: this.parts.folders.wal, options: this.logOptions })
    await this.inspect()
  }

  /**
   * Begins a new life of the log: waits until the one before has ended and closed its files, whoever led it, so that
   * two incarnations of the writer never write one log.
   */
  async leaseLog(): Promise<LogLease> {
    const lease = this.#prepared ?? (await this.#look())
    this.#prepared = undefined
    return lease
  }

  /** The present life of the log, for reading. @throws KeelsonError `SHARD_DOWN` before there is one. */
  log(): LogHost {
    if (!this.#host) throw this.unavailable()
    return this.#host
  }

  /** Ends the log's host, if there is one, without a clean close. */
  async endLog(): Promise<void> {
    this.#prepared = undefined
    const host = this.#host
    this.#host = undefined
    await host?.end()
  }

  /** The projection, opened on first use. One that was found damaged is removed first: it is rebuilt from the log. */
  async projection(): Promise<ProjectionStore> {
    if (this.#projection && !this.#projectionDamaged) return this.#projection
    await this.closeProjection()
    const projections = this.parts.projectionsOn(this.log())
    if (this.#projectionDamaged) projections.remove(this.parts.folders.lmdb)
    this.#projectionDamaged = false
    this.#projection = projections.open(this.parts.folders.lmdb)
    return this.#projection
  }

  /** The projection cannot be trusted: the next `projection()` begins an empty one. */
  distrustProjection(): void {
    this.#projectionDamaged = true
  }

  /** Closes the projection's files. */
  async closeProjection(): Promise<void> {
    const projection = this.#projection
    this.#projection = undefined
    await projection?.close()
  }

  /** Options of the log. */
  get logOptions(): LogOptions {
    const { maxFileSize, sectorBytes } = this.parts.settings.wal
    return { maxFileSize, sectorBytes }
  }

  async #look(): Promise<LogLease> {
    await this.endLog()
    const host = this.parts.makeHost(this.index)
    this.#host = host
    const { folders } = this.parts
    const inspection = await host.run('inspect', {
      dir: folders.wal,
      options: this.logOptions,
      evidence: [...this.#callersEvidence(), ...(await this.#projectionsEvidence(host))],
    })
    return { host, inspection }
  }

  #callersEvidence(): Evidence[] {
    const lsn = this.parts.minDurable
    return lsn === undefined ? [] : [{ lsn, source: 'wal.minDurable' }]
  }

  /** A projection that is open was examined when this process began; one that is not has to show that it is sound first. */
  async #projectionsEvidence(host: LogHost): Promise<Evidence[]> {
    const position = this.#projection
      ? this.#projection.position()
      : await this.#examineProjection(host)
    return position ? [{ lsn: position.lsn, source: 'projection', walId: position.walId }] : []
  }

  async #examineProjection(host: LogHost) {
    const found = await this.parts.projectionsOn(host).examine(this.parts.folders.lmdb)
    if (found.state === 'damaged') this.#projectionDamaged = true
    return found.state === 'sound' ? found.position : undefined
  }

  #enter(phase: ShardPhase): void {
    this.#phase = phase
    for (const resolve of this.#settled.splice(0)) resolve(phase)
  }
}

/** A reason as one line for people. */
export const reasonText = (reason: unknown): string => {
  if (reason instanceof KeelsonError) return `${reason.code}: ${reason.message}`
  if (reason instanceof Error) return `${reason.name}: ${reason.message}`
  if (Array.isArray(reason)) return `[${reason.map(reasonText).join(', ')}]`
  return typeof reason === 'string' ? reason : JSON.stringify(reason)
}
