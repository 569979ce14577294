/** The part of a shard that durable actors need. */
import type { JournalShard } from '../journal/journal-shard.ts'

/** A shard as its durable actors have it: a turn may journal entries. */
export type ActorShard = JournalShard
