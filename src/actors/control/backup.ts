/**
 * `app.backup`: copies the shards of a running instance into a folder, one after another, each as
 * of one LSN. Writers go on. During the backup no snapshot is made and no frame is given back, so
 * every file stays until it has been copied, blobs included. Each shard is copied by the member that
 * has it.
 */

import { resolve, sep } from 'node:path'
import { argument, flag, listener, object, or } from '../../check.ts'
import { passed } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  type BackupFolder,
  type BackupFolders,
  describeHolder,
  type Progress,
  refusalOf,
  type ShardCopy,
} from '../../storage/index.ts'
import { isElsewhere } from '../core/at-owner.ts'
import type { ShardClient } from '../core/shard-client.ts'
import { PartThere } from './backup-members.ts'
import { type BackupPart, PartHere, type PartMaking } from './backup-part.ts'
import type { ControlShard } from './control-shard.ts'
import { newToken } from './write-pause.ts'

const backupOptions = object({
  consistent: or(flag, false),
  onProgress: listener<Progress & { readonly shard: number }>(),
})

/** Options of a backup. */
export type BackupOptions = {
  /**
   * Copies all shards as of one moment: new writes are held until the pending ones have settled;
   * false by default.
   */
  readonly consistent?: boolean
  /**
   * Hears how far a shard has come, in bytes that were examined or copied. Of one that another member
   * has it hears when that is done. It may throw: that changes nothing.
   */
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
export type BackupParts = PartMaking & {
  readonly shards: readonly ControlShard[]
  readonly claimFolder: BackupFolders
  /** The data folder, absolute. */
  readonly dir: string
  readonly instance: string
}

/** Makes a backup in `to`, or brings the one there up to date. @throws as `App.backup` */
export const backUp = async (
  parts: BackupParts,
  to: string,
  options: BackupOptions,
): Promise<BackupReport> => {
  const checked = backupOptions(options, argument('', 'a backup'))
  if (typeof to !== 'string' || to === '') throw invalidArgument('dir', 'a path', to)
  const { dir: own, instance, system, claimFolder } = parts
  const dir = resolve(to)
  if (isWithin(dir, own) || isWithin(own, dir))
    throw invalidArgument('dir', 'a folder neither in the data folder nor around it', dir)
  const holder = describeHolder({ backupOf: own, instance, since: system.clock.now() })
  try {
    const folder = await claimFolder({ dir, own, holder })
    try {
      return await filled(parts, dir, folder, checked)
    } finally {
      await folder.leave()
    }
  } catch (error) {
    throw refusalOf(error)
  }
}

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

const filled = async (
  backup: BackupParts,
  dir: string,
  folder: BackupFolder,
  { consistent, onProgress }: ReturnType<typeof backupOptions>,
): Promise<BackupReport> => {
  const at = backup.system.clock.now()
  const parts = await begun(backup)
  try {
    await (consistent ? cutTogether(backup, parts) : each(parts, (part) => part.cut()))
    const copies: ShardCopy[] = []
    for (const { index } of backup.shards) {
      const part = parts.find(({ shards }) => shards.includes(index)) as BackupPart
      copies.push(await part.copy(index, dir, (done) => onProgress({ ...done, shard: index })))
    }
    await folder.finish({ at, consistent, shards: copies })
    return { dir, at, consistent, shards: copies.map(shardReport) }
  } finally {
    await ended(parts)
  }
}

const shardReport = (copy: ShardCopy, shard: number): BackupShard => {
  const { walId, lsn, firstLsn, snapshots, copiedBytes, missing } = copy
  const fromLsn = firstLsn === 1 ? 0 : (snapshots[0]?.lsn ?? lsn)
  return { shard, walId, lsn, fromLsn, copiedBytes, missing }
}

/** Takes a step of every part at once. When all have ended, rejects with the first failure. */
const each = async <T>(
  parts: readonly BackupPart[],
  step: (part: BackupPart) => Promise<T>,
): Promise<readonly T[]> => {
  const taken = await Promise.allSettled(parts.map(step))
  return taken.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

const ended = async (parts: readonly BackupPart[]): Promise<void> => {
  await Promise.all(parts.map((part) => part.end()))
}

/** The cuts of all shards while no write is pending at any member. */
const cutTogether = async (
  { system }: BackupParts,
  parts: readonly BackupPart[],
): Promise<void> => {
  const token = newToken(system)
  await each(parts, (part) => part.hold(token))
  await each(parts, (part) => part.cut())
  const held = await each(parts, (part) => part.resume())
  if (held.includes(false))
    throw new KeelsonError('TIMEOUT', 'the pause of the writes ended before the cut was made')
}

/** The pause before the owners are looked for again, in ms. */
const pauseMs = 50

/**
 * The parts of all members, begun. A shard that moves at this moment is looked for again, within the
 * instance's `deadlineMs`.
 */
const begun = async (backup: BackupParts): Promise<readonly BackupPart[]> => {
  const { shards, system } = backup
  const { clock } = system
  const endsAt = clock.monotonic() + (shards[0]?.parts.settings.deadlineMs ?? 0)
  for (;;) {
    let parts: readonly BackupPart[] = []
    try {
      parts = partsOf(backup)
      // In the order of their names: two backups do not wait for each other.
      for (const part of parts) await part.begin()
      return parts
    } catch (error) {
      await ended(parts)
      const isMoving = Object(error).details?.state === 'elsewhere'
      if (!isMoving || clock.monotonic() >= endsAt || backup.signal.aborted) throw error
    }
    await passed(clock, pauseMs)
  }
}

/** A part for each member that has shards. @throws KeelsonError `SHARD_DOWN` for one without owner */
const partsOf = (backup: BackupParts): readonly BackupPart[] => {
  const { shards, system, signal } = backup
  const way = shards[0]?.way
  if (!way) return [new PartHere(backup, shards)]
  const groups = new Map<string, ControlShard[]>()
  for (const shard of shards) {
    const member = isElsewhere(shard) ? ownerOf(way, shard) : way.member
    groups.set(member, [...(groups.get(member) ?? []), shard])
  }
  const id = Buffer.from(system.clock.randomBytes(9)).toString('base64url')
  const endMs = shards[0]?.parts.settings.deadlineMs ?? 0
  return [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([member, own]) => {
      if (member === way.member) return new PartHere(backup, own)
      return new PartThere(way, member, {
        id,
        shards: own.map(({ index }) => index),
        endMs,
        signal,
      })
    })
}

const ownerOf = (way: ShardClient, { index }: ControlShard): string => {
  const owner = way.ownerOf(index)
  if (owner !== undefined && owner !== way.member) return owner
  throw new KeelsonError('SHARD_DOWN', `shard ${index} is at no member now`, {
    details: { shard: index, state: 'elsewhere' },
  })
}
