/**
 * `app.backup`: copies the shards of a running instance into a folder, one after another, each as
 * of one LSN. Writers go on. During the backup no snapshot is made and no frame is given back, so
 * every file stays until it has been copied, blobs included.
 */
import { resolve, sep } from 'node:path'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type BackupFolder,
  type BackupFolders,
  describeHolder,
  type LogExporter,
  type LogState,
  namesSnapshot,
  type Progress,
  refusalOf,
  type ShardCopier,
  type ShardCopy,
  shardFolder,
} from '../../storage/index.ts'
import * as WalWriter from '../log/wal-writer.ts'
import type { ControlShard } from './control-shard.ts'
import { pauseWrites } from './write-pause.ts'

/** Options of a backup. */
export type BackupOptions = {
  /**
   * Copies all shards as of one moment: new writes are held until the pending ones have settled;
   * false by default.
   */
  readonly consistent?: boolean
  /** Hears how far a shard has come, in bytes that were examined or copied. */
  readonly onProgress?: (progress: Progress & { readonly shard: number }) => void
}

/** The report of a backup. */
export type BackupReport = {
  /** The folder of the backup, absolute. */
  readonly dir: string
  /** When it was taken, in ms since 1970. */
  readonly at: number
  readonly consistent: boolean
  readonly shards: readonly BackupShard[]
}

/** One shard of a backup. */
export type BackupShard = {
  readonly shard: number
  readonly walId: string
  /** The backup can be restored to this LSN, and to any one from `fromLsn` on. */
  readonly lsn: number
  readonly fromLsn: number
  /** The bytes that were written; the rest was there and sound. */
  readonly copiedBytes: number
  /**
   * Blobs of frames since the snapshot that are missing or damaged in the origin: file and offset. A
   * refused command may leave such a frame, and then nothing is lost. Otherwise the value under its
   * key is damaged, here and there.
   */
  readonly missing: readonly string[]
}

/** The parts of its instance that a backup uses. */
export type BackupParts = {
  readonly system: System
  readonly shards: readonly ControlShard[]
  readonly claimFolder: BackupFolders
  readonly copyShard: ShardCopier
  /** Makes the files of a log in an engine. */
  readonly exportLog?: LogExporter | undefined
  /** The data folder, absolute. */
  readonly dir: string
  readonly instance: string
  /** Aborted when the instance closes. */
  readonly signal: AbortSignal
}

/** Makes a backup in `to`, or brings the one there up to date. @throws as `App.backup` */
export const backUp = async (
  parts: BackupParts,
  to: string,
  options: BackupOptions,
): Promise<BackupReport> => {
  const { consistent = false } = options
  if (typeof consistent !== 'boolean') throw invalidArgument('consistent', 'a boolean', consistent)
  if (typeof to !== 'string' || to === '') throw invalidArgument('dir', 'a path', to)
  const { dir: own, instance, system, claimFolder } = parts
  const dir = resolve(to)
  if (isWithin(dir, own) || isWithin(own, dir))
    throw invalidArgument('dir', 'a folder neither in the data folder nor around it', dir)
  const holder = describeHolder({ backupOf: own, instance, since: system.clock.now() })
  try {
    const folder = await claimFolder({ dir, own, holder })
    try {
      return await filled(parts, dir, folder, { ...options, consistent })
    } finally {
      await folder.leave()
    }
  } catch (error) {
    throw refusalOf(error)
  }
}

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** A shard's log at its cut: what it is, and the last durable LSN. */
type Cut = { readonly shard: ControlShard; readonly log: LogState; readonly unpin: () => void }

const filled = async (
  parts: BackupParts,
  dir: string,
  folder: BackupFolder,
  { consistent, onProgress }: BackupOptions & { readonly consistent: boolean },
): Promise<BackupReport> => {
  const { system, shards, signal } = parts
  const at = system.clock.now()
  const leave = await (shards[0] as ControlShard).snapshots.parts.turns.take()
  const cuts: Cut[] = []
  try {
    if (signal.aborted) throw new KeelsonError('CLOSED', 'the instance is closing')
    cuts.push(...(consistent ? await cutTogether(parts) : await cutEach(parts)))
    const copies: ShardCopy[] = []
    for (const { shard, log } of cuts) {
      const onShardProgress =
        onProgress && ((done: Progress) => onProgress({ ...done, shard: shard.index }))
      copies.push(await copied(parts, dir, shard, log, onShardProgress))
    }
    await folder.finish({ at, consistent, shards: copies })
    return { dir, at, consistent, shards: copies.map(shardReport) }
  } finally {
    for (const { unpin } of cuts) unpin()
    leave()
  }
}

const shardReport = (copy: ShardCopy, shard: number): BackupShard => {
  const { walId, lsn, firstLsn, snapshots, copiedBytes, missing } = copy
  const fromLsn = firstLsn === 1 ? 0 : (snapshots[0]?.lsn ?? lsn)
  return { shard, walId, lsn, fromLsn, copiedBytes, missing }
}

/** The cuts of all shards, or of none: what a shard that cannot be cut leaves pinned is let go. */
const cutEach = async (parts: BackupParts): Promise<Cut[]> => {
  const made = await Promise.allSettled(parts.shards.map((shard) => cut(parts, shard)))
  const cuts = made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = made.find((each) => each.status === 'rejected')
  if (!failed) return cuts
  for (const { unpin } of cuts) unpin()
  throw failed.reason
}

/** The cuts of all shards while no write is pending. */
const cutTogether = async (parts: BackupParts): Promise<Cut[]> => {
  const { system, shards } = parts
  const deadlineMs = shards[0]?.parts.settings.deadlineMs ?? 0
  const pause = await pauseWrites(system, shards, { deadlineMs, leaseMs: 2 * deadlineMs })
  try {
    const cuts = await cutEach(parts)
    if (pause.resume()) return cuts
    for (const { unpin } of cuts) unpin()
    throw new KeelsonError('TIMEOUT', 'the pause of the writes ended before the cut was made')
  } finally {
    pause.resume()
  }
}

const cut = async ({ system }: BackupParts, shard: ControlShard): Promise<Cut> => {
  const log = shard.files.log()
  const { firstLsn } = await log.run('state', null)
  const { pin } = await log.run('pin', { from: firstLsn })
  // A log that has ended has no pins.
  const unpin = (): void => void log.run('unpin', { pin }).catch(() => undefined)
  try {
    // Answered writes of the level `written` belong to the backup too.
    await WalWriter.sync(system.to(WalWriter.name(shard.parts.instance, shard.index)))
    return { shard, log: await log.run('state', null), unpin }
  } catch (error) {
    unpin()
    throw error
  }
}

const copied = async (
  { copyShard, exportLog, signal }: BackupParts,
  dir: string,
  shard: ControlShard,
  state: LogState,
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
    noteDamage(shard, error)
    throw error
  } finally {
    files?.remove()
  }
}

/** A damaged snapshot is made again, and the next backup has the new one. */
const noteDamage = (shard: ControlShard, error: unknown): void => {
  if (isKeelsonError(error, 'CORRUPT') && error.details.snapshot !== undefined)
    shard.snapshots.damaged(error)
}
