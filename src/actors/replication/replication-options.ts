/** The option `replication` of `start`. Pure. */
import {
  type Check,
  flag,
  type Given,
  listOf,
  mapped,
  object,
  or,
  secret,
  that,
  wholeFrom,
} from '../../check.ts'
import type { Replica } from '../../storage/index.ts'
import type { FollowerTerms } from './follower.ts'

const MiB = 1024 * 1024

const replicaOptions = {
  /**
   * True: the log is kept until the replica has it, however much that is, and `ack: 'replicated'`
   * waits for this replica. False by default: one that falls behind too far gets a snapshot.
   */
  required: or(flag, false),
  /** About how many bytes of the log go in one transaction, up to 64 MiB; 1 MiB. */
  chunkBytes: or(wholeFrom(1, 64 * MiB), MiB),
}

/** One replica. */
export type ReplicationOptions = Given<typeof replicaOptions> & {
  /** The client that `postgres` or `pglite` of `keelson/postgres` made. */
  readonly client: Replica
}

const client = that<Replica>(
  'what postgres or pglite made',
  (found) => typeof (found as Partial<Replica> | undefined)?.open === 'function',
)

const replica = object({ client, ...replicaOptions })

/** The terms of each replica. */
export const replication: Check<readonly FollowerTerms[], readonly ReplicationOptions[]> = secret(
  listOf(
    mapped(replica, ({ client: made, ...terms }) => ({ replica: made, ...terms })),
    'a list of replicas',
  ) as Check<readonly FollowerTerms[], readonly ReplicationOptions[]>,
)
