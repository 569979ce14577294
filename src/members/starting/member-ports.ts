/**
 * The ports of a member: its logs, snapshots and large values are in the engine, and its disk
 * is a cache of them.
 */
import {
  type CacheOrigin,
  type EngineLog,
  type EngineSession,
  engineTurnScanner,
  type LogFeatures,
  logExporter,
  type SnapshotHostFactory,
  shardFolder,
} from '../../storage/index.ts'
import type { Ports } from '../../supervisors/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import type { Ownership } from './ownership.ts'

/** The member's part of an engine. */
export type Membership = {
  readonly storage: EngineStorage
  readonly session: EngineSession
  readonly leaseMs: number
  readonly origin: CacheOrigin
  /** The data folder, absolute. */
  readonly dir: string
  /** Aborted with the reason when the start is given up: no request waits for the engine then. */
  readonly abandoned: AbortSignal
  /** The handle of a shard's log. */
  readonly logOf: (shard: number) => EngineLog
  readonly blobsOf: (shard: number) => InstanceType<EngineStorage['EngineBlobs']>
  readonly features: LogFeatures
}

/** The part of one session. The parts of a shard are made when they are needed. */
export const membershipOf = (
  { disk, clock }: Ports,
  parts: Omit<Membership, 'blobsOf'>,
): Membership => {
  const { storage, session, logOf, leaseMs, dir } = parts
  const blobsOf = once(
    (shard) =>
      new storage.EngineBlobs({
        files: session.files,
        directory: session.directory,
        log: logOf(shard),
        disk,
        clock,
        shard,
        dir: shardFolder(dir, shard).blobs,
        patienceMs: patienceOf(leaseMs),
      }),
  )
  return { ...parts, blobsOf }
}

/** One handle of the log of each shard. */
export const logsOf = (session: EngineSession): Membership['logOf'] =>
  once((shard) => session.log(`${shard}`))

/** Makes the value of each shard when it is asked for first. */
const once = <T>(make: (shard: number) => T): ((shard: number) => T) => {
  const made = new Map<number, T>()
  return (shard) => {
    const value = made.get(shard) ?? make(shard)
    made.set(shard, value)
    return value
  }
}

/**
 * An opening or an append may be open for so long at least, in ms. A supervisor would spend its
 * restarts on shorter attempts.
 */
const leastPatienceMs = 3_000

const patienceOf = (leaseMs: number): number => Math.max(leaseMs, leastPatienceMs)

/** The ports of the owner, over those of its machine. */
export const ownersPorts = (ports: Ports, member: Membership, ownership: Ownership): Ports => ({
  ...ports,
  abandoned: member.abandoned,
  cache: member.origin,
  makeHost: (shard) =>
    member.storage.ownedLogHost({
      ...logOptions(ports, member, shard),
      uploads: snapshotsOf(ports, member, shard),
      blobs: member.blobsOf(shard),
      mayClaim: () => ownership.owned(),
    }),
  makeSnapshotHost: snapshotHosts(ports, member),
  makeBlobHost: (shard) => member.blobsOf(shard).host(ports.makeBlobHost(shard)),
  makeScanner: engineTurnScanner(ports.clock),
  exportLog: logExporter({
    disk: ports.disk,
    clock: ports.clock,
    dir: member.dir,
    fetch: (shard, snapshot, signal) =>
      snapshotsOf(ports, member, shard).fetchUntil(signal, snapshot),
  }),
})

/** The ports of a standby that follows the logs. */
export const followerPorts = (ports: Ports, member: Membership): Ports => ({
  ...ports,
  abandoned: member.abandoned,
  cache: member.origin,
  follows: true,
  makeHost: (shard) =>
    member.storage.followedLogHost({
      ...logOptions(ports, member, shard),
      blobs: member.blobsOf(shard),
    }),
  makeSnapshotHost: snapshotHosts(ports, member),
})

const logOptions = (
  { disk, clock }: Ports,
  { storage, dir, logOf, leaseMs, abandoned, features }: Membership,
  shard: number,
) => ({
  log: logOf(shard),
  clock,
  signal: abandoned,
  features,
  patienceMs: patienceOf(leaseMs),
  endNote: new storage.EndNote({ disk, clock, path: shardFolder(dir, shard).end }),
})

const snapshotsOf = (
  { disk, clock }: Ports,
  { storage, session, dir, logOf }: Membership,
  shard: number,
): InstanceType<EngineStorage['EngineSnapshots']> =>
  new storage.EngineSnapshots({
    files: session.files,
    log: logOf(shard),
    disk,
    clock,
    shard,
    dir: shardFolder(dir, shard).snapshots,
  })

const snapshotHosts =
  (ports: Ports, member: Membership): SnapshotHostFactory =>
  (shard) =>
    snapshotsOf(ports, member, shard).host(ports.makeSnapshotHost(shard), member.abandoned)
