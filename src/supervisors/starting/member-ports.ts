/**
 * The ports of a member: its logs and snapshots are in the engine, and its disk is a cache of them.
 */
import {
  type CacheOrigin,
  type SharedLog,
  type SharedSession,
  type SharedStorage,
  type SnapshotHostFactory,
  shardFolder,
} from '../../storage/index.ts'
import type { Ports } from './machine-ports.ts'
import type { Ownership } from './ownership.ts'

/** The member's part of an engine. */
export type Membership = {
  readonly storage: SharedStorage
  readonly session: SharedSession
  readonly leaseMs: number
  readonly origin: CacheOrigin
  /** The data folder, absolute. */
  readonly dir: string
  /** The handle of a shard's log. */
  readonly logOf: (shard: number) => SharedLog
}

/** The part of one session. Each log has one handle, which is made when it is needed. */
export const membershipOf = (parts: Omit<Membership, 'logOf'>): Membership => {
  const logs = new Map<number, SharedLog>()
  const logOf = (shard: number): SharedLog => {
    const log = logs.get(shard) ?? parts.session.log(`${shard}`)
    logs.set(shard, log)
    return log
  }
  return { ...parts, logOf }
}

/**
 * An opening or an append may be open for so long at least, in ms. A supervisor would spend its
 * restarts on shorter attempts.
 */
const leastPatienceMs = 3_000

/** The ports of the owner, over those of its machine. */
export const ownersPorts = (ports: Ports, member: Membership, ownership: Ownership): Ports => ({
  ...ports,
  cache: member.origin,
  makeHost: (shard) =>
    member.storage.sharedLogHost({
      ...logOptions(ports, member, shard),
      uploads: snapshotsOf(ports, member, shard),
      mayClaim: () => ownership.owned(),
    }),
  makeSnapshotHost: snapshotHosts(ports, member),
  makeScanner: member.storage.sharedTurnScanner(ports.clock),
  exportLog: member.storage.logExporter({
    ...{ disk: ports.disk, clock: ports.clock, dir: member.dir },
    fetch: (shard, snapshot) => snapshotsOf(ports, member, shard).fetch(snapshot),
  }),
})

/** The ports of a standby that follows the logs. */
export const followerPorts = (ports: Ports, member: Membership): Ports => ({
  ...ports,
  cache: member.origin,
  follows: true,
  makeHost: (shard) => member.storage.followedLogHost(logOptions(ports, member, shard)),
  makeSnapshotHost: snapshotHosts(ports, member),
})

const logOptions = ({ clock }: Ports, { logOf, leaseMs }: Membership, shard: number) => ({
  ...{ log: logOf(shard), clock },
  patienceMs: Math.max(leaseMs, leastPatienceMs),
})

const snapshotsOf = (
  { disk, clock }: Ports,
  { storage, session, dir, logOf }: Membership,
  shard: number,
): InstanceType<SharedStorage['SharedSnapshots']> =>
  new storage.SharedSnapshots({
    ...{ files: session.files, log: logOf(shard), disk, clock, shard },
    dir: shardFolder(dir, shard).snapshots,
  })

const snapshotHosts =
  (ports: Ports, member: Membership): SnapshotHostFactory =>
  (shard) =>
    snapshotsOf(ports, member, shard).host(ports.makeSnapshotHost(shard))
