/**
 * What of a shard must survive its actors: the gate, the files, the published read view, suspensions, and why it is
 * down. The instance makes one value per shard before the tree and hands it to the shard's actors. What an actor does
 * here it does with its signal: a killed one's pending code is cut off from the shard as it is from the world.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import type { Ref } from '../../runtime/index.ts'
import {
  type BlobHostFactory,
  type Disk,
  type LogHostFactory,
  type Projections,
  unitBytesMax,
} from '../../storage/index.ts'
import type { Allowance, Watch } from '../admission/allowance.ts'
import { Appends } from '../admission/appends.ts'
import { Gate } from '../admission/gate.ts'
import { KeyMarks } from '../admission/key-marks.ts'
import type { ReadView } from '../overlay/read-view.ts'
import type { Settings } from './settings.ts'
import { ShardBlobs } from './shard-blobs.ts'
import { ShardFiles } from './shard-files.ts'
import type { WriteWindows } from './write-windows.ts'

// When the next row of a shard ends, as far as anybody knows, and who wants to be told. It lives in the `Shard` value:
// whoever applies frames notes what it writes, whether or not anybody removes what has ended at the moment.

/** The soonest end that was noted, in ms since 1970. */
export class ExpiryWatch {
  #soonest = Number.POSITIVE_INFINITY
  #told: (() => void) | undefined

  /** `Infinity` when nothing is known to end. */
  get soonest(): number {
    return this.#soonest
  }

  /** Something ends at `ms`; `Infinity` says nothing. Whoever listens is told when that is sooner than all before. */
  note(ms: number): void {
    if (ms >= this.#soonest) return
    this.#soonest = ms
    this.#told?.()
  }

  /** Forgets what was noted: whoever calls this looks at every projected row from now on. `soonest` of those that are not. */
  begin(soonest: number): void {
    this.#soonest = soonest
  }

  /** Tells `told` of what ends sooner than all before, in place of whoever was told until now. */
  listen(told: () => void): void {
    this.#told = told
  }
}

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

/** One shard's part in a suspension: while it flushes it may still end without ever having held. */
export type ShardSuspension = Suspension & { state: 'flushing' | 'holding'; answered: boolean }

/** What a shard is made of. */
export type ShardParts = {
  readonly instance: string
  readonly index: number
  /** How many shards the instance has: they decide which keys this one holds. */
  readonly shardCount: number
  /** Folders of the log, of the projection and of the blobs. */
  readonly folders: { readonly wal: string; readonly lmdb: string; readonly blobs: string }
  readonly settings: Settings
  readonly minDurable: number | undefined
  readonly lock: string | undefined
  readonly clock: Clock
  readonly makeHost: LogHostFactory
  readonly projections: Projections
  readonly makeBlobHost: BlobHostFactory
  /** Where blobs are read from while a caller waits. */
  readonly disk: Disk
  /** Shared by the shards of an instance: what may be under way, and the windows of namespaces. */
  readonly allowance: Allowance
  readonly windows: WriteWindows
  /** Sees the end of a process: `System.monitor`. */
  readonly watch: Watch
}

/** The hold of a shard that cannot show its state yet. */
const recoveringHold = 'recovering'

/** One shard's lasting part. */
export class Shard {
  readonly parts: ShardParts
  readonly gate: Gate
  /** Writes whose blobs are on their way, and writes to their keys that wait behind them. */
  readonly marks = new KeyMarks()
  /** Writes on their way into the log. */
  readonly appends: Appends
  /** When the next row ends. */
  readonly expiry = new ExpiryWatch()
  readonly files: ShardFiles
  readonly blobs: ShardBlobs
  /** Up to here the projection is durable, as far as this process knows. */
  projectedLsn = 0
  /** The last LSN that the applier has shown to readers. */
  appliedLsn = 0

  #phase: ShardPhase = { kind: 'recovering' }
  #closing: KeelsonError | undefined
  #lastNow = 0
  readonly #suspensions = new Map<string, ShardSuspension>()
  readonly #settled: ((phase: ShardPhase) => void)[] = []

  constructor(parts: ShardParts) {
    const { maxFileSize, sectorBytes, queueBytes, queueCommands } = parts.settings.wal
    const { maxCommands, maxBytes } = parts.settings.batcher
    this.parts = parts
    this.appends = new Appends({ weightMax: maxCommands, bytesMax: maxBytes }, parts.clock)
    this.files = new ShardFiles({ ...parts, logOptions: { maxFileSize, sectorBytes } })
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
  publish(view: ReadView, signal: AbortSignal): void {
    if (this.#phase.kind !== 'recovering' || signal.aborted) return
    this.#enter({ kind: 'open', view })
    this.gate.release(recoveringHold)
  }

  /** An actor that reads or writes depend on has died: nothing is answered from a stale part until the next `publish`. */
  retract(): void {
    if (this.#phase.kind !== 'open') return
    this.gate.hold(recoveringHold)
    this.#phase = { kind: 'recovering' }
  }

  /**
   * Down, and why. Whoever waits at the gate and whoever comes gets `SHARD_DOWN`. The first reason stays. False when nothing
   * changed: it is down or closed already, or the process of `signal` has died and its word does not count.
   */
  goDown(reason: unknown, signal?: AbortSignal): boolean {
    if (this.#phase.kind === 'down' || this.#phase.kind === 'closed' || signal?.aborted)
      return false
    this.gate.hold(recoveringHold)
    this.#enter({ kind: 'down', reason })
    this.gate.shut(this.#closing ?? this.unavailable())
    return true
  }

  /** Down no more: the tree may try again. */
  clearDown(): void {
    if (this.#phase.kind !== 'down') return
    this.#phase = { kind: 'recovering' }
    if (!this.#closing) this.gate.reopen()
  }

  /** The instance is closing: no write comes in any more, whatever becomes of the shard. */
  beginClose(refusal: KeelsonError): void {
    this.#closing = refusal
    this.gate.shut(refusal)
  }

  /** The instance has closed. */
  close(): void {
    this.#enter({ kind: 'closed' })
    this.beginClose(this.unavailable())
  }

  /** Resolves with the phase once the shard is open, down or closed. */
  settled(): Promise<ShardPhase> {
    return this.#phase.kind === 'recovering'
      ? new Promise((resolve) => this.#settled.push(resolve))
      : Promise.resolve(this.#phase)
  }

  /** Every suspension, those that still flush included. */
  get suspensions(): ReadonlyMap<string, ShardSuspension> {
    return this.#suspensions
  }

  /** Whether the projection is held. */
  get isHeld(): boolean {
    for (const { state } of this.#suspensions.values()) if (state === 'holding') return true
    return false
  }

  /** Begins a suspension: writers are held at once when it says so, the projection when its writer has flushed. */
  suspend(suspension: Suspension): void {
    const { token, writes } = suspension
    this.#suspensions.set(token, { ...suspension, state: 'flushing', answered: false })
    if (writes) this.gate.hold(token)
  }

  /** Ends a suspension, whatever its state; answers what it held, `undefined` when it had ended before. */
  endSuspension(token: string): 'projection' | 'writes' | undefined {
    // The gate has holds of other names, which no token of a caller's may end.
    if (!this.#suspensions.delete(token)) return undefined
    return this.gate.release(token) ? 'writes' : 'projection'
  }

  #enter(phase: ShardPhase): void {
    this.#phase = phase
    for (const resolve of this.#settled.splice(0)) resolve(phase)
  }
}

/** Where a value does not fit a frame it becomes a blob whatever the threshold is, unless that is 0. */
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

/** What a frame needs beside the value of its one command: its heads, a key, a field, an owner. */
const frameRoom = 4_096
