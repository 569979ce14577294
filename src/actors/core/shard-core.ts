/**
 * The core of a shard, which outlives its actors: its names, its clock, its phase with the published
 * read view, and its gate. `shard-phase.ts` decides what each event does to its state; here that is
 * carried out. Actors pass their signal with each event, so pending code of a killed actor changes
 * nothing here.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'
import type { Disk } from '../../storage/index.ts'
import type { Gate } from '../admission/gate.ts'
import type { ReadView } from './read-view.ts'
import { Recovery } from './recovery-progress.ts'
import type { Settings } from './settings.ts'
import { elsewhere, fromHere, type ShardClient } from './shard-client.ts'
import {
  decide,
  firstState,
  isAway,
  isComing,
  isLeaving,
  isOwn,
  isShut,
  isStill,
  mayDeliver,
  type ShardEffect,
  type ShardEvent,
  type ShardKind,
  type ShardPhase,
} from './shard-phase.ts'
import { ShardTime } from './shard-time.ts'
import type { WalkTurns } from './walk-turns.ts'
import type { WriteWindows } from './write-windows.ts'

/** The place of a frame: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** The names of a shard, its options and its clock. */
export type CoreParts = {
  readonly instance: string
  readonly index: number
  /** The number of shards in the instance. It decides which keys this shard has. */
  readonly shardCount: number
  /** A multiple of it: keys that would be in different ones of so many shards share no unit. */
  readonly shardsPlan: number
  /** The folders of log, projection, blobs and snapshots. */
  readonly folders: {
    readonly wal: string
    readonly lmdb: string
    readonly blobs: string
    readonly snapshots: string
    /** How far the log reaches at least. */
    readonly floor: string
    /** Of a cache: the note of the end of its log. */
    readonly end: string
  }
  /** For requests that do without a thread. */
  readonly disk: Disk
  readonly settings: Settings
  readonly clock: Clock
  readonly logger: Logger
  /** Shared by the shards of an instance. */
  readonly windows: WriteWindows
  /** Shared too: the turns of walks through all rows. */
  readonly walks: WalkTurns
  /** Whether this process may answer reads at this moment; absent: always. */
  readonly isOwner?: (() => boolean) | undefined
}

/** The writes on their way into the log, which end when the shard goes down. */
type Writes = {
  /** Groups that the log has wait on. */
  refuse(error: KeelsonError): void
  /** Nothing knows what the log has. */
  lose(error: KeelsonError): void
}

/** The name of the hold on a gate while the shard cannot show its state. */
const recoveringHold = 'recovering'

/** How a shard that is down opens again by itself. Times are monotonic, in ms. */
export type Reopening = {
  readonly since: number
  /** How often it has tried. */
  readonly tries: number
  /** When it tries next. */
  readonly at: number
}

/** The core of one shard, across the incarnations of its actors. */
export class ShardCore {
  readonly parts: CoreParts
  readonly gate: Gate
  readonly time: ShardTime
  /** How far the projection's rebuilding has come. */
  readonly recovery: Recovery
  /** The projection is durable up to this LSN, as far as this process knows. */
  projectedLsn = 0
  /** The last LSN that the applier has shown to readers. */
  appliedLsn = 0
  /** The bytes of the log that are applied and that the projection does not show. */
  lagBytes = 0
  /** Set while it is down, or tries to open, for a reason that passes. */
  reopening: Reopening | undefined
  /** The way to the member that has it while it is elsewhere; `undefined` without members. */
  way: ShardClient | undefined
  /** The beginnings of watches at this member whose position no owner has fixed yet. They never reject. */
  readonly beginnings = new Set<Promise<unknown>>()

  readonly #writes: Writes
  #state = firstState
  #notOpenSince: number | undefined
  readonly #settled = new Set<(phase: ShardPhase) => void>()
  readonly #listeners = new Set<() => void>()
  readonly #atStandstill = new Set<() => void>()
  readonly #effects: Readonly<Record<ShardEffect, (event: ShardEvent) => void>> = {
    holdGate: () => this.gate.hold(recoveringHold),
    releaseGate: () => void this.gate.release(recoveringHold),
    shutGate: () => this.gate.shut(this.closing ?? this.unavailable()),
    reopenGate: () => this.gate.reopen(),
    tell: () => this.#tell(),
    refuseWrites: () => this.#writes.refuse(this.unavailable()),
    loseWrites: () => this.#writes.lose(this.unavailable()),
    beginTime: (event) => event.kind === 'came' && this.time.begin(event.wallAheadMs),
  }

  constructor(parts: CoreParts, gate: Gate, writes: Writes) {
    this.parts = parts
    this.gate = gate
    this.#writes = writes
    this.time = new ShardTime(parts.clock)
    this.recovery = new Recovery(parts.clock)
    this.#notOpenSince = parts.clock.now()
    gate.hold(recoveringHold)
  }

  /** The shard's number. */
  get index(): number {
    return this.parts.index
  }

  /** The present phase. */
  get phase(): ShardPhase {
    return this.#state
  }

  /** How often the shard was opened since it is here. */
  get opened(): number {
    return this.#state.opened
  }

  /** Since when it is not open here, in ms since 1970; `undefined`: it is. */
  get notOpenSince(): number | undefined {
    return this.#notOpenSince
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
   * The published read view: a prefix of the log, which may have gone on elsewhere. `instead`: as
   * for `unavailable`.
   * @throws KeelsonError `SHARD_DOWN` with `details.state` while the shard cannot answer reads;
   * `ELSEWHERE` if another member has it; `CLOSED` after the instance closed
   */
  view(instead?: string): ReadView {
    if (this.#state.kind === 'open') return this.#state.view
    throw this.unavailable(instead)
  }

  /** The same, for a caller that must see each acknowledged write. @throws also as `unsure` says */
  ownersView(instead?: string): ReadView {
    const view = this.view(instead)
    const { unsure } = this
    if (unsure) throw unsure
    return view
  }

  /**
   * The reason why nothing can be answered that follows from the present state alone: the lease of
   * this process has not been renewed, and another member may own the shard (invariant M4).
   * `undefined`: it owns the shard.
   */
  get unsure(): KeelsonError | undefined {
    const { isOwner } = this.parts
    if (isOwner === undefined || isOwner()) return undefined
    const { index } = this
    const message = `shard ${index} may have another owner: the lease is not renewed`
    return new KeelsonError('SHARD_DOWN', message, { details: { shard: index, state: 'unsure' } })
  }

  /**
   * The reason why reads cannot be answered now. `instead`: what the caller has, in code, for a shard
   * at another member.
   */
  unavailable(instead?: string): KeelsonError {
    const { index } = this
    const phase = this.#state
    if (phase.kind === 'closed') return closed()
    const details = { shard: index, state: phase.kind }
    if (phase.kind === 'elsewhere')
      return elsewhere(index, this.way?.ownerOf(index), instead && fromHere(instead))
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
    if (!signal.aborted) this.#on({ kind: 'shown', view })
  }

  /**
   * Takes the view back when an actor that reads or writes need has died, or a row is damaged: no
   * read is answered until the next `publish`.
   */
  retract(): void {
    this.#on({ kind: 'hidden' })
  }

  /**
   * Takes the shard down, and logs it. Writes fail with `SHARD_DOWN`, unless they were handed to the
   * log: those wait until the shard is reopened. After a write that failed nobody waits, because
   * what the disk has is unknown. The first reason stays. Returns false if nothing changed: the
   * shard is down or closed already, or the process of `signal` has died.
   */
  goDown(reason: unknown, signal?: AbortSignal): boolean {
    const kind = isPoison(reason) ? 'poisoned' : 'failed'
    if (signal?.aborted || !this.#on({ kind, reason })) return false
    if (this.reopening === undefined || this.reopening.tries === 0)
      this.parts.logger.error(`shard ${this.index} is down: ${reasonText(reason)}`, {
        shard: this.index,
        reason,
      })
    return true
  }

  /** As `isLeaving` of its state. */
  get isLeaving(): boolean {
    return isLeaving(this.#state)
  }

  /** As `isOwn` of its state. */
  get isOwn(): boolean {
    return isOwn(this.#state)
  }

  /** As `isAway` of its state. */
  get isAway(): boolean {
    return isAway(this.#state)
  }

  /** As `isShut` of its state. */
  get isShut(): boolean {
    return isShut(this.#state)
  }

  /** As `isStill` of its state. */
  get isStill(): boolean {
    return isStill(this.#state)
  }

  /** As `mayDeliver` of its state. */
  get mayDeliver(): boolean {
    return mayDeliver(this.#state)
  }

  /** As `isComing` of its state. */
  get isComing(): boolean {
    return isComing(this.#state)
  }

  /** No subscription begins with a further entry: it may leave soon. */
  beginRest(): void {
    this.#on({ kind: 'rests' })
  }

  /**
   * The shard begins to leave. Calls made here are still taken: a handler at work may wait for an
   * actor of this shard, or for a write to it.
   */
  beginLeave(): void {
    this.#on({ kind: 'ends' })
  }

  /** From now on new calls wait for the next owner. */
  goAway(): void {
    this.#on({ kind: 'away' })
  }

  /** From now on writes wait for the next owner, too. */
  shut(): void {
    this.#on({ kind: 'shut' })
  }

  /** It does not leave: calls are taken here again. */
  stay(): void {
    this.#on({ kind: 'stays' })
  }

  /** Leaves the shard to other members: nothing of it is read or written here from now on. */
  beElsewhere(): void {
    this.#on({ kind: 'left' })
  }

  /**
   * The shard has come to this process, which has others: the tree may start it. Its time begins as
   * at a start, because a clock that was set may have been accepted elsewhere. As long as it is not,
   * the others have less than that clock, and so has this shard.
   */
  arrive(others: readonly ShardCore[] = []): void {
    const had = others.filter(({ phase }) => phase.kind !== 'elsewhere' && phase.kind !== 'closed')
    const wallAheadMs = Math.min(0, ...had.map(({ time }) => time.wallAheadMs))
    this.#on({ kind: 'came', wallAheadMs })
  }

  /** Ends the state `down`, so that the tree may start the shard again. */
  clearDown(): void {
    this.#on({ kind: 'cleared' })
  }

  /** Why the instance is closing; `undefined` while it is not. */
  get closing(): KeelsonError | undefined {
    return this.#state.closing
  }

  /** Refuses new writes for good, because the instance is closing. */
  beginClose(refusal: KeelsonError): void {
    this.#on({ kind: 'closing', refusal })
  }

  /** Closes the shard, because the instance has closed. */
  close(): void {
    this.#on({ kind: 'closed', refusal: closed() })
  }

  /**
   * Whether a read failed at a row that is damaged in the projection, which is being rebuilt: the
   * same read succeeds once the shard is open.
   */
  mends(error: unknown): boolean {
    return this.#state.kind === 'recovering' && isKeelsonError(error, 'CORRUPT')
  }

  /** Resolves with the phase when the shard is open, down, elsewhere or closed. */
  settled(): Promise<ShardPhase> {
    return this.#state.kind === 'recovering'
      ? new Promise((resolve) => this.#settled.add(resolve))
      : Promise.resolve(this.#state)
  }

  /**
   * Resolves with true when the shard is open and was opened more than `times` times; with false if
   * it is down or closed first, or `withinMs` have passed.
   */
  reopened(times: number, withinMs: number): Promise<boolean> {
    if (this.#state.kind === 'open' && this.opened > times) return Promise.resolve(true)
    if (this.isStill) return Promise.resolve(false)
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
    return new Promise((resolve) => {
      const stop = this.onPhase(() => {
        stop()
        resolve()
      })
    })
  }

  /** Calls `listener` at each change of the phase, until the function is called that it returns. */
  onPhase(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
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

  /** Takes an event. False: it changes nothing in this phase. */
  #on(event: ShardEvent): boolean {
    const before = this.#state
    const { state, effects } = decide(before, event)
    if (state === before) return false
    if (state.kind !== before.kind) this.#notOpenSince = this.#since(before.kind, state.kind)
    this.#state = state
    for (const effect of effects) this.#effects[effect](event)
    return true
  }

  #since(before: ShardKind, now: ShardKind): number | undefined {
    if (now === 'open') return undefined
    const time = this.parts.clock.now()
    return before === 'elsewhere' ? time : (this.#notOpenSince ?? time)
  }

  #tell(): void {
    const state = this.#state
    for (const listener of [...this.#listeners]) listener()
    if (state.kind === 'recovering') return
    const waiting = [...this.#settled]
    this.#settled.clear()
    for (const resolve of waiting) resolve(state)
    if (!isStill(state)) return
    for (const resolve of this.#atStandstill) resolve()
    this.#atStandstill.clear()
  }
}

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'the instance is closed')

/** The shard with this number. @throws KeelsonError `INVALID_ARGUMENT` */
export const shardAt = <S extends ShardCore>(shards: readonly S[], index: number): S => {
  const shard = shards.find((each) => each.index === index)
  if (!shard) throw invalidArgument('shard', `0 to ${shards.length - 1}`, index)
  return shard
}

/** Whether a write or a sync of the log has failed. */
const isPoison = (reason: unknown): boolean =>
  isKeelsonError(reason, 'SHARD_DOWN') && reason.details.reason === 'poisoned'
