/** Copies shards without a thread, for simulations, with a turn of the event loop after each step. */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { copyingShard, type Disk, refusing, type ShardCopier } from '../../storage/index.ts'

/** Makes a copier on a given disk and clock. */
export const inlineShardCopier =
  (disk: Disk, clock: Clock): ShardCopier =>
  async (request, signal, onProgress) => {
    const steps = copyingShard(disk, request)
    try {
      for (;;) {
        const step = refusing(() => steps.next())
        if (step.done) return step.value
        onProgress?.(step.value)
        await new Promise<void>((resolve) => clock.soon(resolve))
        if (signal.aborted) throw new KeelsonError('CLOSED', 'the copy was ended')
      }
    } finally {
      steps.return(undefined as never)
    }
  }
