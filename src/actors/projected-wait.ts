/** Waits until the projection shows a write: what `ack: 'projected'` adds to an acknowledged one. */
import { type ErrorCode, isKeelsonError, KeelsonError } from '../errors.ts'
import type { System } from '../runtime/index.ts'
import * as LmdbWriter from './lmdb-writer.ts'
import type { Shard } from './shard.ts'
import type { Position } from './wal-writer.ts'

/**
 * Resolves once the projection durably shows everything up to `position`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write stands
 */
export const projectedUpTo = async (
  system: System,
  shard: Shard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { clock } = system
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  const endsAt = clock.monotonic() + timeoutMs
  try {
    for (;;) {
      const failure = await LmdbWriter.request(writer, position.lsn, endsAt - clock.monotonic())
        .then(() => undefined)
        .catch((error) => error)
      if (failure === undefined) return
      const isOver = shard.phase.kind === 'closed' || clock.monotonic() >= endsAt
      if (isOver || !isPassing(failure)) throw failure
      // What waits for the projection was discarded, or its writer starts again: the log brings it, so wait on.
      await new Promise<void>((resolve) => clock.after(retryMs, resolve))
    }
  } catch (error) {
    const code = isKeelsonError(error, 'DEGRADED') ? 'DEGRADED' : 'TIMEOUT'
    throw new KeelsonError(code, 'The write stands; the projection does not show it yet.', {
      details: { position },
      cause: error,
    })
  }
}

/** Failures of a wait that say nothing about the projection itself. */
const isPassing = (error: unknown): boolean =>
  ['DISCARDED', 'EXITED', 'NO_PROCESS'].some((code) => isKeelsonError(error, code as ErrorCode))

/** How long a wait pauses before it asks again. */
const retryMs = 10
