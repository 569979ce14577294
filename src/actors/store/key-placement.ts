/** Maps keys to the shards of one instance. Pure. */
import { KeelsonError } from '../../errors.ts'
import { shardOf } from '../../storage/index.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/** The shards of an instance by their keys. */
export class KeyPlacement {
  readonly shards: readonly WritingShard[]

  constructor(shards: readonly WritingShard[]) {
    this.shards = shards
  }

  /** The shard of a checked key. */
  of(key: string): WritingShard {
    return this.shards[shardOf(key, this.shards.length)] as WritingShard
  }

  /**
   * The shard of all these keys (at least one).
   * @throws KeelsonError `CROSS_SHARD` if the keys are in different shards
   */
  ofAll(keys: readonly string[]): WritingShard {
    const first = keys[0] ?? ''
    const shard = this.of(first)
    // Most calls have one key, and most instances have one shard.
    if (keys.length === 1 || this.shards.length === 1) return shard
    const others = keys.slice(1)
    const stray = others.find((key) => this.of(key) !== shard)
    if (stray === undefined) return shard
    throw new KeelsonError('CROSS_SHARD', 'the keys of one unit must be in one shard', {
      details: { keys: [first, stray], shards: [shard.index, this.of(stray).index] },
    })
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
