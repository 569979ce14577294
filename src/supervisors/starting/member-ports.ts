/**
 * The ports of the member that owns an instance: its logs and snapshots are in the engine, and its
 * disk is a cache of them.
 */
import {
  type SharedLog,
  type SharedSession,
  type SharedStorage,
  shardFolder,
} from '../../storage/index.ts'
import type { Ports } from './machine-ports.ts'
import type { Ownership } from './ownership.ts'

/** The member's part of an engine. */
export type Membership = {
  readonly storage: SharedStorage
  readonly session: SharedSession
  readonly leaseMs: number
  /** The data folder, absolute. */
  readonly dir: string
}

/**
 * An opening or an append may be open for so long at least, in ms. A supervisor would spend its
 * restarts on shorter attempts.
 */
const leastPatienceMs = 3_000

/** The ports of the owner, over those of its machine. */
export const memberPorts = (
  ports: Ports,
  { storage, session, leaseMs, dir }: Membership,
  ownership: Ownership,
): Ports => {
  const { disk, clock } = ports
  const patienceMs = Math.max(leaseMs, leastPatienceMs)
  const logs = new Map<number, SharedLog>()
  const logOf = (shard: number): SharedLog => {
    const log = logs.get(shard) ?? session.log(`${shard}`)
    logs.set(shard, log)
    return log
  }
  const snapshotsOf = (shard: number) =>
    new storage.SharedSnapshots({
      ...{ files: session.files, disk, clock, shard },
      dir: shardFolder(dir, shard).snapshots,
    })
  return {
    ...ports,
    isCache: true,
    isOwner: () => ownership.isOwner,
    makeHost: (shard) =>
      storage.sharedLogHost({
        ...{ log: logOf(shard), clock, patienceMs },
        uploads: snapshotsOf(shard),
        mayClaim: () => ownership.owned(),
      }),
    makeSnapshotHost: (shard) => snapshotsOf(shard).host(ports.makeSnapshotHost(shard)),
  }
}
