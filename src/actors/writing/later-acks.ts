/**
 * The acknowledgements after `applied`: a write that is applied waits until it is replicated
 * (`ack: 'replicated'`), or until the projection durably shows it (`ack: 'projected'`).
 *
 * The path of a write (`write-path.ts`, its only importer) ends with `applied`; most writes never
 * come here.
 */
import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { Position } from '../core/shard-core.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import type { CheckedWrite } from './write-options.ts'
import type { WritingShard } from './writing-shard.ts'

/**
 * Resolves when everything up to `position` has reached the level `ack`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write is durable
 */
export const reached = (
  ack: CheckedWrite['ack'],
  ...of: Parameters<typeof projectedUpTo>
): Promise<void> => (ack === 'projected' ? projectedUpTo : replicatedUpTo)(...of)

/**
 * Resolves when everything up to `position` is replicated.
 * @throws KeelsonError `TIMEOUT` with `details.position`: the write is durable
 */
const replicatedUpTo = async (
  system: System,
  { replication }: WritingShard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { done, giveUp } = replication.reached(position.lsn)
  const late = (cause?: unknown): KeelsonError =>
    new KeelsonError('TIMEOUT', 'the write is applied, but not replicated yet', {
      details: { position },
      cause,
    })
  const cancel = system.clock.after(timeoutMs, () => giveUp(late()))
  try {
    await done
  } catch (error) {
    throw isKeelsonError(error, 'TIMEOUT') ? error : late(error)
  } finally {
    cancel()
  }
}

/**
 * Resolves when the projection durably shows everything up to `position`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write is durable
 */
const projectedUpTo = async (
  system: System,
  shard: WritingShard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { clock } = system
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  const endsAt = clock.monotonic() + timeoutMs
  try {
    for (;;) {
      const request = LmdbWriter.request(writer, position.lsn, endsAt - clock.monotonic())
      const failure = await LmdbWriter.answerOf(shard, request)
        .then(() => undefined)
        .catch((error) => error)
      if (failure === undefined) return
      const isOver = shard.phase.kind === 'closed' || clock.monotonic() >= endsAt
      if (isOver || !isPassing(failure)) throw failure
      // The request was discarded, or the projection's writer restarts. The log brings the write.
      await new Promise<void>((resolve) => clock.after(retryMs, resolve))
    }
  } catch (error) {
    const code = isKeelsonError(error, 'DEGRADED') ? 'DEGRADED' : 'TIMEOUT'
    throw new KeelsonError(code, 'the write is applied, but the projection does not show it yet', {
      details: { position },
      cause: error,
    })
  }
}

/** Whether a failed request says nothing about the projection itself. */
const isPassing = (error: unknown): boolean =>
  ['DISCARDED', 'EXITED', 'NO_PROCESS'].some((code) => isKeelsonError(error, code as ErrorCode))

/** The pause before the next request, in ms. */
const retryMs = 10
