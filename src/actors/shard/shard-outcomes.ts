/** What is asked of several shards at once, and what becomes of it: a failure is one shard's outcome, and stops no other. */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { Shard } from './shard.ts'
import { type StorageEvents, tell } from './storage-events.ts'

/** What became of one shard. */
export type Outcome = {
  readonly shard: number
  readonly ok: boolean
  readonly error?: KeelsonError
}

/** What became of each shard asked. */
export type Outcomes = { readonly outcomes: readonly Outcome[] }

/** The shards of an instance, and the system that they run in. */
export type Instance = { readonly shards: readonly Shard[]; readonly system: System }

type Request = Parameters<StorageEvents['control.outcome']>[0]['request']

/** Does `act` on each shard, side by side; what fails there is that shard's outcome. */
export const eachShard = async (
  request: Request,
  { shards, system }: Instance,
  indexes: readonly number[],
  act: (shard: Shard) => Promise<unknown>,
): Promise<Outcomes> => {
  const outcome = async (index: number): Promise<Outcome> => {
    const shard = shards[index]
    try {
      if (!shard) throw noShard(index)
      await told(request, shard, system, act)
      return { shard: index, ok: true }
    } catch (error) {
      return { shard: index, ok: false, error: shardError(shard, error) }
    }
  }
  return { outcomes: await Promise.all(indexes.map(outcome)) }
}

/** Does `act` on a shard, and tells what became of it. */
export const told = async <T>(
  request: Request,
  shard: Shard,
  system: System,
  act: (shard: Shard) => Promise<T>,
): Promise<T> => {
  const since = system.clock.monotonic()
  const tellOf = (result: string): void => {
    const tookMs = system.clock.monotonic() - since
    tell(system, shard, 'control.outcome', { request, result, tookMs })
  }
  try {
    const done = await act(shard)
    tellOf('ok')
    return done
  } catch (error) {
    tellOf(shardError(shard, error).code)
    throw error
  }
}

/** A shard that is down says so itself; else the failure as it is. */
export const shardError = (shard: Shard | undefined, error: unknown): KeelsonError => {
  if (shard?.phase.kind === 'down') return shard.unavailable()
  return error instanceof KeelsonError
    ? error
    : new KeelsonError('SHARD_DOWN', 'The shard did not answer.', { cause: error })
}

/** The shard with this number. @throws KeelsonError `INVALID_ARGUMENT` */
export const shardAt = (shards: readonly Shard[], index: number): Shard => {
  const shard = shards.find((each) => each.index === index)
  if (!shard) throw invalidArgument('shard', `0 to ${shards.length - 1}`, index)
  return shard
}

/** There is none with this number. */
export const noShard = (shard: number): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `There is no shard ${shard}.`, { details: { shard } })
