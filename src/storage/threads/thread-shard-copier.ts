/**
 * The copy of a shard on a separate thread, which lives for one copy: the host, and the thread's
 * entry. Ending the thread ends the copy: a file that is not whole has no name yet.
 */
import { systemClock } from '../../clock.ts'
import { copyingShard } from '../backups/shard-copy.ts'
import { refusing } from '../disk/disk-failure.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { finish, stepsAs } from '../disk/steps.ts'
import type { ShardCopier, ShardCopyRequest } from '../ports/shard-copier.ts'
import { answer, askOnce, isThread, reporter, takeQuestions } from './worker-thread.ts'

/** Copies on a new thread. */
export const threadShardCopier: ShardCopier = (request, signal, onProgress) =>
  askOnce({
    ...{ entry: import.meta.url, role: 'backup', request, signal },
    onProgress: onProgress as ((progress: unknown) => void) | undefined,
  }) as ReturnType<ShardCopier>

const serveCopies = (): void => {
  const disk = nodeDisk()
  const clock = systemClock()
  takeQuestions(({ id, request }) => {
    const steps = copyingShard(disk, request as ShardCopyRequest)
    answer(id, () => refusing(() => finish(stepsAs(steps, reporter(id, clock)))))
  })
}

if (isThread('backup')) serveCopies()
