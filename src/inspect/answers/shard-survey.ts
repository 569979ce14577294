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
  /** The other member that has the shard; absent for one that is here. */
  readonly member?: string
  /** `open`, `recovering`, `down` or `closed`; `elsewhere` while its owner does not answer. */
  readonly phase: Shard['phase']['kind']
  /** The description; absent when there is a `trouble`. */
  readonly description: D | undefined
  readonly trouble: string | undefined
}

/** The part of an instance that is surveyed. */
export type Asked = { readonly system: System; readonly shards: readonly Shard[] }

/** The state of each shard's log. Its owner has `askedMs` to answer; without it only this member is asked. */
export const surveyLogs = (
  app: Asked,
  askedMs = 0,
): Promise<ShardFacts<WalWriter.LogWriterDescription>[]> =>
  eachShard(app, {
    nameOf: WalWriter.name,
    describe: WalWriter.describe,
    question: 'wal.describe',
    askedMs,
  })

/** The state of each shard's projection; `askedMs` as of `surveyLogs`. */
export const surveyProjections = (
  app: Asked,
  askedMs = 0,
): Promise<ShardFacts<LmdbWriter.ProjectionWriterDescription>[]> =>
  eachShard(app, {
    nameOf: LmdbWriter.name,
    describe: LmdbWriter.describe,
    question: 'lmdbWriter.describe',
    askedMs,
    absence: ({ projection }) => projection.refusal,
  })

type Survey<M, D> = {
  readonly nameOf: (instance: string, shard: number) => Name<M>
  readonly describe: (ref: Ref<M>) => Promise<D>
  /** The question to the owner of a shard that is elsewhere. */
  readonly question: string
  readonly askedMs: number
  /** Why an actor that does not run stays away, if that is known. */
  readonly absence?: (shard: Shard) => KeelsonError | undefined
}

const eachShard = <M, D>(
  { system, shards }: Asked,
  survey: Survey<M, D>,
): Promise<ShardFacts<D>[]> =>
  Promise.all(
    shards.map(async (shard) => {
      const { nameOf, describe, absence = () => undefined } = survey
      if (shard.phase.kind === 'elsewhere') return describedThere(shard, survey)
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

/** The description of a shard by its owner. */
const describedThere = async <M, D>(
  { index, way, phase }: Shard,
  { question, askedMs }: Survey<M, D>,
): Promise<ShardFacts<D>> => {
  const member = way?.ownerOf(index)
  const facts = { shard: index, ...(member !== undefined && { member }) }
  const none = { ...facts, phase: phase.kind, description: undefined }
  if (!way || member === undefined) return { ...none, trouble: 'no member has it open' }
  if (askedMs === 0) return { ...none, trouble: undefined }
  try {
    const description = (await way.ask(index, question, [index], askedMs)) as D
    return { ...facts, phase: 'open', description, trouble: undefined }
  } catch (error) {
    return { ...none, trouble: reasonText(error) }
  }
}

const troubleOf = (
  { phase }: Shard,
  status: string | undefined,
  absence = 'not running',
): string | undefined => {
  if (phase.kind === 'down') return reasonText(phase.reason)
  if (status === undefined) return absence
  return status === 'suspended' ? 'suspended; resume(…) lets it continue' : undefined
}
