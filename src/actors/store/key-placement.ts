/** Maps keys to the shards of one instance, and names the way to shards of other members. Pure. */
import type { Readable } from 'node:stream'
import {
  type FrameUnits,
  hasHashTag,
  type Row,
  type StoredValue,
  shardOf,
  strayKey,
} from '../../storage/index.ts'
import { crossShard } from '../core/cross-shard.ts'
import type { CheckedWrite } from '../writing/write-options.ts'
import type { Submitted } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { StreamTerms } from './store-commands.ts'
import type { ByteSource } from './stream-source.ts'
import type { StreamedIn } from './value-streams.ts'

/** A write at another member. `removed`: the keys of a `clear`, which has no other answer. */
export type RoutedWrite = Submitted & { readonly removed: number | undefined }

/** A put of a stream at another member: `terms` are all of the put but its value. */
export type StreamTo = {
  readonly source: ByteSource
  readonly size: number | undefined
  readonly options: CheckedWrite
  readonly terms: Omit<StreamTerms, 'size'>
}

/** A put of a stream that is done. */
export type RoutedStream = StreamedIn & Pick<Submitted, 'position'>

/** A row of a copy; `lsn` says up to which frame the copy has its log. */
export type CopiedRow = { readonly row: Row | undefined; readonly lsn: number }

/** The copies of shards of other members at this one. */
export interface CopiedRows {
  /**
   * A row of a copy that shows `least` or a later frame, for which it waits. `undefined` if no copy
   * of the shard is here.
   * @throws KeelsonError `TIMEOUT` after `withinMs`; `CORRUPT` for a damaged row
   */
  read(shard: number, key: string, least: number, withinMs: number): Promise<CopiedRow | undefined>
}

/** The way to shards that other members have. */
export interface Routes {
  /** The copies at this member; absent where members keep none. */
  readonly copies?: CopiedRows | undefined

  /**
   * Whether calls go this way: the shard is elsewhere, or came here while earlier writes have no
   * answer yet, which later ones must not overtake.
   */
  takes(shard: WritingShard): boolean
  /**
   * Whether reads that return a promise go this way, and streams: also while the shard comes here, until
   * it is open.
   */
  takesReads(shard: WritingShard): boolean
  /**
   * Writes units of one frame at the owner. Two calls for one shard get there in order.
   * @throws KeelsonError as `submit` does; `UNKNOWN_OUTCOME` also if the owner ended, or did not
   * answer in time; `SHARD_DOWN` if the shard had no owner in time
   */
  write(shard: WritingShard, units: FrameUnits, options: CheckedWrite): Promise<RoutedWrite>
  /** The whole value of a key; `undefined` without one. @throws KeelsonError as `load` of the store */
  load(shard: WritingShard, key: string): Promise<StoredValue | undefined>
  /**
   * The bytes of a value as a stream; `undefined` without one.
   * @throws KeelsonError as `getStream` of the store; `SHARD_DOWN` if the owner ends, also within it
   */
  streamOut(
    shard: WritingShard,
    key: string,
    from: number,
    to: number,
  ): Promise<Readable | undefined>
  /**
   * Puts a stream at the owner.
   * @throws KeelsonError as `putStream` of the store; `NOT_SUBMITTED` if the owner ends within it
   */
  streamIn(shard: WritingShard, write: StreamTo): Promise<RoutedStream>
  /** Resolves when every write that was called before is decided, in every shard elsewhere. */
  settled(): Promise<void>
}

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
