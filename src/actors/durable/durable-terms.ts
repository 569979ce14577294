/** What the process of one durable actor is made from, and what its units have in common. */
import type { KeelsonError } from '../../errors.ts'
import type { Process } from '../../runtime/index.ts'
import { unitBytesMax } from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'
import type { KeepIds } from '../turns/call-ids.ts'
import type { DurableTable } from '../turns/durable-table.ts'
import type { Identity } from '../turns/memory.ts'
import type { TurnDraft, UnitTerms } from '../turns/turn-draft.ts'
import type { TurnLog } from '../turns/turn-log.ts'

/** What the process of one durable actor is made from. */
export type DurableTerms = {
  readonly table: DurableTable
  readonly identity: Identity
  readonly shard: Shard
  /** The argument of `init` for an actor without a row. */
  readonly arg: unknown
  /** The most turns on their way. */
  readonly pipeline: number
  readonly keepIds: KeepIds
  /** Without a message for this long the process rests; `undefined`: never. */
  readonly idleMs: number | undefined
  /** The process ends when one of its handlers is pending for this long; `undefined`: never. */
  readonly handlerTimeoutMs: number | undefined
  /** Why it is not tried again to wake; `undefined`: it is. */
  readonly blockedBy: () => KeelsonError | undefined
  /** Freezes a state, outside of production. */
  readonly freeze: <T>(state: T) => T
  /** Resolves when the actor may wake: earlier incarnations are decided, its back-off is over. */
  readonly mayWake: () => Promise<unknown>
  /** The actor's log of turns begins; it must be known until it is drained. */
  readonly began: (log: TurnLog<TurnDraft>) => void
  /** Its process has ended: the log is still known until it is drained. */
  readonly ended: (log: TurnLog<TurnDraft>) => void
  /** The process that takes its messages after it ended of its own accord. */
  readonly successor: () => Process | undefined
  /** It has woken; `reason` if it is blocked. */
  readonly woke: (reason: KeelsonError | undefined) => void
  /** Its rows are removed, and with them what it was blocked by. */
  readonly removed: () => void
}

/** What all units of an actor have in common. */
export const unitTerms = ({ identity, table, shard }: DurableTerms): UnitTerms => ({
  identity,
  version: table.version,
  shape: table.shape,
  stateBytesMax: stateBytesMax(shard),
  shard: shard.index,
  shardCount: shard.parts.shardCount,
})

/** A state takes at most 1 MiB, and half of a unit: the turn may carry more. */
const stateBytesMax = (shard: Shard): number =>
  Math.min(1024 * 1024, unitBytesMax(shard.files.parts.logOptions) >> 1)
