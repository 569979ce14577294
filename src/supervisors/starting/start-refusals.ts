/**
 * Why an instance is not started, in words that say what its user can do. They are apart from
 * `instance.ts`, their only importer, so that a start reads without them.
 */
import { dirname } from 'node:path'
import { isLoss, withSpace } from '../../actors/index.ts'
import { configError, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { notStarted } from '../../runtime/index.ts'
import type { Disk } from '../../storage/index.ts'
import type { Shard } from '../tree/shard.ts'
import type { FolderClaim } from './folder-claim.ts'
import type { CheckedOptions } from './start-options.ts'

/** Another instance on the System has the name. */
export const nameTaken = (instance: string): KeelsonError =>
  configError('instance', 'a name that no other instance on this System has', instance)

/** @throws KeelsonError `CONFIG` for an option of a shard that the folder does not have */
export const refuseUnknownShards = (
  { settings }: CheckedOptions,
  { shards }: FolderClaim,
): void => {
  for (const shard of settings.wal.minDurable.keys())
    if (shard >= shards)
      throw configError('wal.minDurable', `shards from 0 to ${shards - 1}`, shard)
}

/** @throws KeelsonError `CONFIG` for a copy that would act, and was not allowed to */
export const refuseWaiting = ({ acts, app }: CheckedOptions, { waits, dir }: FolderClaim): void => {
  if (!waits || acts || app === false) return
  throw new KeelsonError(
    'CONFIG',
    `${dir} is a copy: what its origin has done since would be done again. ` +
      'Start it with acts: true (--acts) if it takes the place of its origin, ' +
      'or with app: false (--no-app) to look at its store alone',
    { details: { path: 'acts', expected: 'true, or app: false', found: false, dir } },
  )
}

/** A refusal of the disk for want of space says how much a start needs. */
export const withSpaceNeeded = (
  error: unknown,
  disk: Disk,
  { dir, shards }: FolderClaim,
  { settings, cluster }: CheckedOptions,
): unknown => {
  // A cache grows as it is filled.
  if (cluster) return error
  const isDisk = isKeelsonError(error, 'NO_SPACE') && error.details.errno !== undefined
  if (!isDisk) return error
  const neededBytes = shards * 2 * settings.wal.maxFileSize
  return withSpace(error, { freeBytes: freeAt(disk, dir), neededBytes })
}

/** A new folder is gone again: the disk is that of the folder above it. */
const freeAt = (disk: Disk, path: string): number | undefined => {
  try {
    return disk.free(path)
  } catch {
    return path === dirname(path) ? undefined : freeAt(disk, dirname(path))
  }
}

/**
 * The error of a tree that did not start. Another instance with this name may have started on the
 * same System since. A part of the user's tree that fails is named from the root of that tree on.
 */
export const treeError = (instance: string, error: unknown): unknown => {
  if (!isKeelsonError(error, 'EXITED')) return error
  const { reason, path } = error.details as { reason: unknown; path: readonly string[] }
  if (Array.isArray(reason) && reason[0] === 'already_started') return nameTaken(instance)
  if (path[1] !== 'services' || !Array.isArray(reason)) return error
  return notStarted(reason[1][2], [])
}

/** The error of a start with a shard that went down for `reason`. It has a code. */
export const downError = (shards: readonly Shard[], reason: unknown): KeelsonError => {
  const shard = shards.find(({ phase }) => phase.kind === 'down' && phase.reason === reason)
  if (!isKeelsonError(reason))
    return shard?.unavailable() ?? new KeelsonError('SHARD_DOWN', reasonText(reason))
  if (!isLoss(reason)) return reason
  // The mark of a loss names the shard.
  const { code, message, details, cause } = reason
  return new KeelsonError(code, message, { details: { ...details, shard: shard?.index }, cause })
}
