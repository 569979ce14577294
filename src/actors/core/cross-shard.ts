/** The refusal of a unit whose keys share no shard. It is apart because store and batcher both refuse so. */
import { KeelsonError } from '../../errors.ts'
import { shardOf } from '../../storage/index.ts'

/** The refusal of one unit with keys of different shards, those of the folder or of the plan. */
export const crossShard = (
  keys: readonly string[],
  shardCount: number,
  shardsPlan: number,
): KeelsonError => {
  const placesOf = (count: number): number[] => [...new Set(keys.map((key) => shardOf(key, count)))]
  const shards = placesOf(shardCount)
  if (shards.length > 1)
    return new KeelsonError('CROSS_SHARD', 'the keys of one unit must be in one shard', {
      details: { keys, shards },
    })
  return new KeelsonError(
    'CROSS_SHARD',
    `the keys of one unit must be in one shard, even with a plan of ${shardsPlan} (the option shardsPlan)`,
    { details: { keys, shards: placesOf(shardsPlan), shardsPlan } },
  )
}
