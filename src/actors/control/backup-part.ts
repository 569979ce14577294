/**
 * The part of a backup that one member makes: of the shards that it has. A member that makes a
 * backup has its own part, and others make theirs when it asks them (`backup-members.ts`).
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type LogExporter,
  type LogState,
  type NamedSnapshot,
  namesSnapshot,
  type Progress,
  type ShardCopier,
  type ShardCopy,
  shardFolder,
} from '../../storage/index.ts'
import { isElsewhere } from '../core/at-owner.ts'
import * as WalWriter from '../log/wal-writer.ts'
import type { ControlShard } from './control-shard.ts'
import { explained } from './shard-outcomes.ts'
import { pauseWrites, type WritePause } from './write-pause.ts'

/** The terms of the part of a member. */
export type PartMaking = {
  readonly system: System
  readonly copyShard: ShardCopier
  /** Makes the files of a log in an engine. */
  readonly exportLog?: LogExporter | undefined
  /** Aborted when the instance closes. */
  readonly signal: AbortSignal
}

/** The steps of a part, in their order. Every part takes one before any takes the next. */
export interface BackupPart {
  readonly shards: readonly number[]
  /** From now on no snapshot is made, and no frame is given back. */
  begin(): Promise<void>
  /** From now on no write is pending, and none is admitted. @throws KeelsonError `TIMEOUT` */
  hold(token: string): Promise<void>
  /** Fixes the LSN of each copy. */
  cut(): Promise<void>
  /** Lets writes go on. False: they have gone on before. */
  resume(): Promise<boolean>
  /** Copies a shard as of its cut. @throws KeelsonError as `App.backup` */
  copy(
    shard: number,
    dir: string,
    onProgress: ((progress: Progress) => void) | undefined,
  ): Promise<ShardCopy>
  /** Ends whatever the part holds, and a copy that is being made. Never rejects. */
  end(): Promise<void>
}

/** A shard's log at its cut: what it is, and the last durable LSN. */
type Cut = { readonly shard: ControlShard; readonly log: LogState; readonly unpin: () => void }

/** The part of this member. */
export class PartHere implements BackupPart {
  readonly #making: PartMaking
  readonly #shards: readonly ControlShard[]
  readonly #ending = new AbortController()
  #leave: Promise<() => void> | undefined
  #pause: WritePause | undefined
  #cuts: readonly Cut[] = []
  #copying: Promise<unknown> = Promise.resolve()

  /** @internal */
  constructor(making: PartMaking, shards: readonly ControlShard[]) {
    this.#making = making
    this.#shards = shards
    const { signal } = making
    if (signal.aborted) this.#ending.abort()
    signal.addEventListener('abort', () => this.#ending.abort(), { signal: this.#ending.signal })
  }

  get shards(): readonly number[] {
    return this.#shards.map(({ index }) => index)
  }

  async begin(): Promise<void> {
    this.#leave = this.#shards[0]?.snapshots.parts.turns.takeForBackup()
    await this.#leave
    this.#check()
    // From here on none leaves. One may have left before it was the turn of this backup.
    const gone = this.#shards.find(isElsewhere)
    if (gone) throw gone.unavailable()
  }

  async hold(token: string): Promise<void> {
    const deadlineMs = this.#shards[0]?.parts.settings.deadlineMs ?? 0
    const terms = { token, deadlineMs, leaseMs: 2 * deadlineMs }
    const pause = await pauseWrites(this.#making.system, this.#shards, terms)
    this.#pause = pause
    if (this.#ending.signal.aborted) pause.resume()
    this.#check()
  }

  /** The cuts of all shards, or of none: what a shard that cannot be cut leaves pinned is let go. */
  async cut(): Promise<void> {
    const { system } = this.#making
    const made = await Promise.allSettled(
      this.#shards.map((shard) => explained(shard, cut(system, shard))),
    )
    this.#cuts = made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    if (this.#ending.signal.aborted) this.#unpin()
    const failed = made.find((each) => each.status === 'rejected')
    if (failed) throw failed.reason
    this.#check()
  }

  async resume(): Promise<boolean> {
    return this.#pause?.resume() === true
  }

  async copy(
    index: number,
    dir: string,
    onProgress: ((progress: Progress) => void) | undefined,
  ): Promise<ShardCopy> {
    this.#check()
    const cut = this.#cuts.find(({ shard }) => shard.index === index)
    if (!cut) throw new KeelsonError('INVALID_ARGUMENT', `shard ${index} is not cut`)
    const making = { ...this.#making, signal: this.#ending.signal }
    const copying = copied(making, dir, cut, onProgress)
    this.#copying = copying
    return copying
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await this.#copying.catch(() => undefined)
    this.#unpin()
    this.#pause?.resume()
    const leave = await this.#leave
    leave?.()
  }

  #unpin(): void {
    for (const { unpin } of this.#cuts) unpin()
    this.#cuts = []
  }

  #check(): void {
    if (this.#making.signal.aborted) throw new KeelsonError('CLOSED', 'the instance is closing')
    if (this.#ending.signal.aborted) throw new KeelsonError('CLOSED', 'the backup has ended')
  }
}

const cut = async (system: System, shard: ControlShard): Promise<Cut> => {
  const log = shard.files.log()
  const { firstLsn } = await log.run('state', null)
  const { pin } = await log.run('pin', { from: firstLsn })
  let copied = shard.appliedLsn
  const unpin = (): void => {
    // Another backup may have begun since.
    if (shard.journal.copiedLsn === copied) shard.journal.copiedLsn = 0
    // A log that has ended has no pins.
    log.run('unpin', { pin }).catch(() => undefined)
  }
  try {
    // A state that is saved from now on replaces none that this backup has.
    shard.journal.copiedLsn = copied
    // Answered writes of the level `written` belong to the backup too.
    await WalWriter.sync(system.to(WalWriter.name(shard.parts.instance, shard.index)))
    const state = await log.run('state', null)
    copied = state.durableLsn
    shard.journal.copiedLsn = copied
    return { shard, log: state, unpin }
  } catch (error) {
    unpin()
    throw error
  }
}

const copied = async (
  { copyShard, exportLog, signal }: PartMaking,
  dir: string,
  { shard, log: state }: Cut,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<ShardCopy> => {
  const { durableLsn, snapshots, firstLsn } = state
  const sound = snapshots.filter((each) => !namesSnapshot(shard.snapshots.unusable, each))
  if (firstLsn > 1 && !sound.some(({ lsn }) => lsn >= firstLsn - 1))
    throw new KeelsonError('DEGRADED', `shard ${shard.index} has no sound snapshot at present`, {
      details: { shard: shard.index, firstLsn },
    })
  const request = { shard: shard.index, log: shard.files.log(), state, snapshots: sound }
  const files = await exportLog?.(request, signal)
  const { wal, blobs, snapshots: folder } = shard.parts.folders
  const from = { wal: files?.dir ?? wal, blobs, snapshots: folder }
  const target = shardFolder(dir, shard.index)
  const to = { wal: target.wal, blobs: target.blobs, snapshots: target.snapshots }
  try {
    return await copyShard({ from, to, lsn: durableLsn, snapshots: sound }, signal, onProgress)
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) {
      const damaged = sound.find(({ lsn }) => lsn === error.details.snapshot)
      if (damaged) await noteDamage(shard, damaged, signal)
    }
    throw error
  } finally {
    files?.remove()
  }
}

/**
 * A damaged snapshot is made again, and the next backup leaves it out. It is read once more: it may
 * be the copy that is damaged, or a file of a cache that an engine has whole.
 */
const noteDamage = async (
  { snapshots }: ControlShard,
  snapshot: NamedSnapshot,
  signal: AbortSignal,
): Promise<void> => {
  try {
    await snapshots.run('verify', { dir: snapshots.parts.dir, snapshot }, signal)
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) snapshots.damaged(error, snapshot)
  }
}
