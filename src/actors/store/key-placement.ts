/** Maps keys to the shards of one instance. Pure. */
import { hasHashTag, shardOf, strayKey } from '../../storage/index.ts'
import { crossShard } from '../core/cross-shard.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/** The shards of an instance by their keys. */
export class KeyPlacement {
  readonly shards: readonly WritingShard[]
  /** How many shards the instance is to have at most. */
  readonly plan: number

  /** @internal */
  constructor(shards: readonly WritingShard[]) {
    this.shards = shards
    this.plan = shards[0]?.parts.shardsPlan ?? 1
  }

  /** The shard of a checked key. */
  of(key: string): WritingShard {
    return this.shards[shardOf(key, this.shards.length)] as WritingShard
  }

  /** The shards that can have keys with this beginning. */
  under(prefix = ''): readonly WritingShard[] {
    return hasHashTag(prefix) ? [this.of(prefix)] : this.shards
  }

  /**
   * The shard of all these keys (at least one).
   * @throws KeelsonError `CROSS_SHARD` if the keys are in different shards, or would be in those of
   * the plan
   */
  ofAll(keys: readonly string[]): WritingShard {
    const first = keys[0] ?? ''
    const stray = strayKey(keys, this.plan)
    if (stray !== undefined) throw crossShard([first, stray], this.shards.length, this.plan)
    return this.of(first)
  }

  /**
   * Groups the members of a list by the shard of their key. Groups are in the order of their first
   * members.
   */
  grouped<T>(
    list: readonly T[],
    keyOf: (member: T) => string,
  ): readonly (readonly [WritingShard, T[]])[] {
    if (this.shards.length === 1 && list.length > 0)
      return [[this.shards[0] as WritingShard, [...list]]]
    const groups = new Map<WritingShard, T[]>()
    for (const member of list) {
      const shard = this.of(keyOf(member))
      const group = groups.get(shard)
      if (group) group.push(member)
      else groups.set(shard, [member])
    }
    return [...groups]
  }
}
