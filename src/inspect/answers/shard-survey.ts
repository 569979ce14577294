/**
 * Asks the actors of a shard for their descriptions. An actor that is suspended or does not answer
 * is reported as such: a view never waits for it and never hides it.
 */

import { LmdbWriter, WalWriter } from '../../actors/index.ts'
import { type KeelsonError, reasonText } from '../../errors.ts'
import type { Name, Ref, System } from '../../runtime/index.ts'
import type { Shard } from '../../supervisors/index.ts'

/** The description of one actor of one shard, or the reason why there is none. */
export type ShardFacts<D> = {
  readonly shard: number
  /** `open`, `recovering`, `down` or `closed`. */
  readonly phase: Shard['phase']['kind']
  /** The description; absent when there is a `trouble`. */
  readonly description: D | undefined
  readonly trouble: string | undefined
}

/** The part of an instance that is surveyed. */
export type Asked = { readonly system: System; readonly shards: readonly Shard[] }

/** The state of each shard's log. */
export const surveyLogs = (app: Asked): Promise<ShardFacts<WalWriter.LogWriterDescription>[]> =>
  eachShard(app, WalWriter.name, WalWriter.describe)

/** The state of each shard's projection. */
export const surveyProjections = (
  app: Asked,
): Promise<ShardFacts<LmdbWriter.ProjectionWriterDescription>[]> =>
  eachShard(app, LmdbWriter.name, LmdbWriter.describe, ({ projection }) => projection.refusal)

const eachShard = <M, D>(
  { system, shards }: Asked,
  nameOf: (instance: string, shard: number) => Name<M>,
  describe: (ref: Ref<M>) => Promise<D>,
  /** Why an actor that does not run stays away, if that is known. */
  absence: (shard: Shard) => KeelsonError | undefined = () => undefined,
): Promise<ShardFacts<D>[]> =>
  Promise.all(
    shards.map(async (shard) => {
      const name = nameOf(shard.parts.instance, shard.index)
      const facts = { shard: shard.index, phase: shard.phase.kind }
      const trouble = troubleOf(shard, system.info(name)?.status, absence(shard)?.message)
      if (trouble !== undefined) return { ...facts, description: undefined, trouble }
      try {
        return { ...facts, description: await describe(system.to(name)), trouble: undefined }
      } catch (error) {
        return { ...facts, description: undefined, trouble: reasonText(error) }
      }
    }),
  )

const troubleOf = (
  { phase }: Shard,
  status: string | undefined,
  absence = 'not running',
): string | undefined => {
  if (phase.kind === 'down') return reasonText(phase.reason)
  if (status === undefined) return absence
  return status === 'suspended' ? 'suspended; resume(…) lets it go on' : undefined
}
