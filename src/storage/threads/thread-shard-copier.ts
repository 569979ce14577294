/**
 * The copy of a shard on a separate thread, which lives for one copy: the host, and the thread's
 * entry. Ending the thread ends the copy: a file that is not whole has no name yet.
 */
import { copyingShard } from '../backups/shard-copy.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import type { ShardCopier, ShardCopyRequest } from '../ports/shard-copier.ts'
import { finish, stepsAs } from '../ports/steps.ts'
import { askOnce, isThread, serve } from './worker-thread.ts'

/** Copies on a new thread. */
export const threadShardCopier: ShardCopier = (request, signal, onProgress) =>
  askOnce({
    ...{ entry: import.meta.url, role: 'backup', request, signal },
    onProgress: onProgress as ((progress: unknown) => void) | undefined,
  }) as ReturnType<ShardCopier>

if (isThread('backup'))
  serve((_, request, report) => {
    const steps = copyingShard(nodeDisk(), request as ShardCopyRequest)
    return refusing(() => finish(stepsAs(steps, report)))
  })
