/**
 * The folder of a backup on a separate thread, which lives as long as the lock: the host, and the
 * thread's entry. A lock starts a program, and in a large process that stops its caller for longer
 * than a look at a running system may.
 */
import { type ClaimedBackup, claimBackup } from '../backups/backup-folder.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { BackupClaim, BackupContent, BackupFolders } from '../ports/backup-folder.ts'
import { refusing } from '../ports/disk-failure.ts'
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

/** Its requests and answers. */
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
  serve((kind, request) => refusing(() => handle[kind]?.(request)))
}
