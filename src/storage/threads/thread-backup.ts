/**
 * The threads of a backup: the hosts, and their entry. One holds the lock of its folder and lives
 * as long as that: a lock starts a program, and in a large process that stops its caller for longer
 * than a look at a running system may. The other one copies a shard and lives for one copy: ending
 * it ends the copy, and a file that is not whole has no name yet.
 */
import { ownOf } from '../../own-names.ts'
import { type ClaimedBackup, claimBackup } from '../backups/backup-folder.ts'
import { copyingShard } from '../backups/shard-copy.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { BackupClaim, BackupContent, BackupFolders } from '../ports/backup-folder.ts'
import { refusing } from '../ports/disk-failure.ts'
import type { ShardCopier, ShardCopyRequest } from '../ports/shard-copier.ts'
import { finish, stepsAs } from '../ports/steps.ts'
import { isThread, serve, startThread, threadClient } from './worker-thread.ts'

/** Locks a folder on a new thread. */
export const threadBackupFolders: BackupFolders = async (claim) => {
  const thread = threadClient(startThread(import.meta.url, 'target'), 'target')
  try {
    await thread.ask('claim', claim)
  } catch (error) {
    await thread.end()
    throw error
  }
  return {
    finish: async (content) => {
      await thread.ask('finish', content)
    },
    leave: () =>
      thread
        .ask('release', null)
        .then(() => undefined)
        .finally(() => thread.end()),
  }
}

/** The requests to the thread of a folder, and its answers. */
const handlers = (disk = nodeDisk()): Record<string, (request: unknown) => void> => {
  let claimed: ClaimedBackup | undefined
  return {
    claim: (claim) => {
      claimed = claimBackup(disk, claim as BackupClaim)
    },
    finish: (content) => claimed?.finish(content as BackupContent),
    release: () => claimed?.release(),
  }
}

if (isThread('target')) {
  const handle = handlers()
  serve((kind, request) => refusing(() => ownOf(handle, kind)?.(request)))
}

/** Copies a shard on a new thread, which ends with the copy. */
export const threadShardCopier: ShardCopier = async (request, signal, onProgress) => {
  const thread = threadClient(startThread(import.meta.url, 'backup'), 'backup')
  const end = () => void thread.end()
  signal?.addEventListener('abort', end, { once: true })
  if (signal?.aborted) end()
  try {
    const progress = onProgress as ((progress: unknown) => void) | undefined
    return (await thread.ask('backup', request, progress)) as Awaited<ReturnType<ShardCopier>>
  } finally {
    signal?.removeEventListener('abort', end)
    await thread.end()
  }
}

if (isThread('backup'))
  serve((_, request, report) => {
    const steps = copyingShard(nodeDisk(), request as ShardCopyRequest)
    return refusing(() => finish(stepsAs(steps, report)))
  })
