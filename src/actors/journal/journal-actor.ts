/**
 * The actor of a shard's journal: it drives the subscriptions. They outlive it, so a new one goes
 * on where the last one was, and no entry is handled twice because it died.
 */
import { cast, type GenServer, noReply, ok, type Ref } from '../../runtime/index.ts'
import { isInstance } from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import type { JournalShard } from './journal-shard.ts'
import { findAppStates } from './saved-states.ts'
import { Subscription } from './subscription.ts'

/** The messages of the journal. */
export type Messages = {
  casts: {
    /** A subscription begins. */
    deliver: (subscription: Subscription) => void
  }
}

/** The journal of a shard. Its state is the shard's. */
export const server: GenServer<Messages, JournalShard, JournalShard> = {
  init: (shard, { signal, system }) => {
    void findAppStates(system, shard)
    for (const delivery of shard.journal.deliveries.values()) void delivery.deliver(signal)
    return ok(shard)
  },

  accepts: { calls: {}, casts: { deliver: isInstance(Subscription) }, infos: {} },

  casts: {
    deliver: (shard, subscription, { signal }) => {
      void subscription.deliver(signal)
      return noReply(shard)
    },
  },
}

/** The name of a shard's journal; prints as `journal(0)`. */
export const name = shardName<Messages>('journal')

/** Begins to deliver. A journal that starts later begins by itself. */
export const deliver = (journal: Ref<Messages>, subscription: Subscription): void => {
  cast(journal, 'deliver', subscription)
}
