/**
 * The copy of a shard on a separate thread, which lives for one copy: the host, and the thread's
 * entry. Ending the thread ends the copy: a file that is not whole has no name yet.
 */
import { systemClock } from '../../clock.ts'
import { copyingShard } from '../backups/shard-copy.ts'
import { refusing } from '../disk/disk-failure.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type {
  CopyProgress,
  ShardCopier,
  ShardCopy,
  ShardCopyRequest,
} from '../ports/shard-copier.ts'
import {
  answer,
  isThread,
  report,
  startThread,
  takeQuestions,
  threadClient,
} from './worker-thread.ts'

/** Copies on a new thread. */
export const threadShardCopier: ShardCopier = async (request, signal, onProgress) => {
  const thread = threadClient(startThread(import.meta.url, 'backup'), 'backup')
  const end = () => void thread.end()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  try {
    const told = onProgress && ((at: unknown) => onProgress(at as CopyProgress))
    return (await thread.ask('copy', request, told)) as ShardCopy
  } finally {
    signal.removeEventListener('abort', end)
    await thread.end()
  }
}

/** So often, in ms, the host hears how far the copy has come: each report costs it a turn. */
const reportMs = 50

const serveCopies = (): void => {
  const disk = nodeDisk()
  const clock = systemClock()
  takeQuestions(({ id, request }) =>
    answer(id, () =>
      refusing(() => {
        const steps = copyingShard(disk, request as ShardCopyRequest)
        let reported = Number.NEGATIVE_INFINITY
        for (;;) {
          const step = steps.next()
          if (step.done) return step.value
          if (clock.monotonic() - reported < reportMs) continue
          reported = clock.monotonic()
          report(id, step.value)
        }
      }),
    ),
  )
}

if (isThread('backup')) serveCopies()
