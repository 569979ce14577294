/**
 * The names of a shard's actors: `wal_writer(0)`, or `wal_writer('orders', 0)` for an instance with
 * its own name.
 */
import { type Name, name } from '../../runtime/index.ts'

/** The instance of a name that gives none. */
export const defaultInstance = 'default'

/** The name of an actor of the whole instance: `control`, `control('orders')`. */
export const instanceName = <M>(part: string, instance = defaultInstance): Name<M> =>
  name<M>(instance === defaultInstance ? part : `${part}('${instance}')`)

/** The two ways to name an actor of a shard: `name(shard)` and `name(instance, shard)`. */
export type ShardName<M> = {
  (shard: number): Name<M>
  (instance: string, shard: number): Name<M>
}

/** Makes the `name` function of an actor that exists once per shard. */
export const shardName =
  <M>(part: string): ShardName<M> =>
  (instanceOrShard: string | number, shard?: number): Name<M> =>
    name<M>(
      shard === undefined || instanceOrShard === defaultInstance
        ? `${part}(${shard ?? instanceOrShard})`
        : `${part}('${instanceOrShard}', ${shard})`,
    )
