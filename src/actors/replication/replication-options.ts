/** The option `replication` of `start`: its meaning, its defaults, and its check. Pure. */
import { configError, unknownOption } from '../../errors.ts'
import type { Replica } from '../../storage/index.ts'
import type { FollowerTerms } from './follower.ts'

/** One replica. */
export type ReplicationOptions = {
  /** What `postgres` or `pglite` of `keelson/postgres` made. */
  readonly client: Replica
  /**
   * True: the log is kept until the replica has it, however much that is, and `ack: 'replicated'`
   * waits for this replica. False by default: one that falls behind too far gets a snapshot.
   */
  readonly required?: boolean
  /** About how many bytes of the log go in one transaction, up to 64 MiB; 1 MiB. */
  readonly chunkBytes?: number
}

const names = ['client', 'required', 'chunkBytes']

const MiB = 1024 * 1024

/**
 * The terms of each replica.
 * @throws KeelsonError `CONFIG`, which never has what was given: it may be a URL with a password
 */
export const checkReplication = (replication: unknown = []): readonly FollowerTerms[] => {
  if (!Array.isArray(replication))
    throw configError('replication', 'a list of replicas', typeof replication)
  return replication.map((each: unknown, at) => {
    const path = `replication[${at}]`
    if (typeof each !== 'object' || each === null) throw configError(path, 'an object', typeof each)
    for (const name of Object.keys(each))
      if (!names.includes(name)) throw unknownOption('CONFIG', `${path}.${name}`, names)
    const { client, required = false, chunkBytes = MiB } = each as ReplicationOptions
    if (typeof client?.open !== 'function')
      throw configError(`${path}.client`, 'what postgres or pglite made', typeof client)
    if (typeof required !== 'boolean') throw configError(`${path}.required`, 'a boolean', required)
    if (!Number.isSafeInteger(chunkBytes) || chunkBytes < 1 || chunkBytes > 64 * MiB)
      throw configError(`${path}.chunkBytes`, `bytes from 1 to ${64 * MiB}`, chunkBytes)
    return { replica: client, required, chunkBytes }
  })
}
