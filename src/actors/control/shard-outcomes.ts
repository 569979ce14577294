/**
 * Requests to several shards at once, and their outcomes. A failure is the outcome of one shard,
 * and does not stop the others.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { emit, type StorageEvents } from '../core/storage-events.ts'
import type { ControlShard } from './control-shard.ts'

/** The outcome of one shard. */
export type Outcome = {
  readonly shard: number
  readonly ok: boolean
  readonly error?: KeelsonError
}

/** The outcome of each shard asked; `O`: with what it answered. */
export type Outcomes<O extends Outcome = Outcome> = { readonly outcomes: readonly O[] }

/** The shards of an instance, and the system that they run in. */
export type Instance = { readonly shards: readonly ControlShard[]; readonly system: System }

/** The work on one shard. It resolves with the fields that its outcome has besides, if any. */
export type ShardWork<O extends Outcome> = (
  shard: ControlShard,
) => Promise<void> | Promise<Omit<O, keyof Outcome>>

type Request = Parameters<StorageEvents['control.outcome']>[0]['request']

/**
 * Runs `act` on each shard, side by side. The fields of its answer go into the outcome of the shard;
 * so does its failure.
 */
export const eachShard = async <O extends Outcome = Outcome>(
  request: Request,
  { shards, system }: Instance,
  indexes: readonly number[],
  act: ShardWork<O>,
): Promise<Outcomes<O>> => {
  const outcome = async (index: number): Promise<Outcome> => {
    const shard = shards[index]
    try {
      if (!shard) throw noShard(index)
      const answer = await withOutcome<unknown>(request, shard, system, act)
      return { ...(answer as object), shard: index, ok: true }
    } catch (error) {
      return { shard: index, ok: false, error: shardError(shard, error) }
    }
  }
  return { outcomes: (await Promise.all(indexes.map(outcome))) as O[] }
}

/** Runs `act` on a shard, and emits its outcome as an event. */
export const withOutcome = async <T>(
  request: Request,
  shard: ControlShard,
  system: System,
  act: (shard: ControlShard) => Promise<T>,
): Promise<T> => {
  const since = system.clock.monotonic()
  const emitOutcome = (result: string): void => {
    const tookMs = system.clock.monotonic() - since
    emit(system, shard, 'control.outcome', { request, result, tookMs })
  }
  try {
    const done = await act(shard)
    emitOutcome('ok')
    return done
  } catch (error) {
    emitOutcome(shardError(shard, error).code)
    throw error
  }
}

/** Settles as `work` does. A failure of a shard that is down says why it is. */
export const explained = <T>(shard: ControlShard, work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw shardError(shard, error)
  })

/** The error of an outcome: why the shard is down if it is, or the failure itself. */
const shardError = (shard: ControlShard | undefined, error: unknown): KeelsonError => {
  const kind = shard?.phase.kind
  if (shard && (kind === 'down' || (kind === 'elsewhere' && isAbsent(error))))
    return shard.unavailable()
  if (isKeelsonError(error) && !isAbsent(error)) return error
  return new KeelsonError('SHARD_DOWN', 'the shard did not answer', {
    details: { shard: shard?.index, state: kind },
    cause: error,
  })
}

/** Whether an actor of the shard is not there: it restarts, or the shard begins or ends here. */
const isAbsent = (error: unknown): boolean => isKeelsonError(error, 'NO_PROCESS')

/** The error for a shard number that does not exist. */
export const noShard = (shard: number): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `there is no shard ${shard}`, { details: { shard } })
