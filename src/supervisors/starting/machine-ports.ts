/** The ports of an instance to the outside, and those of this machine: its disk, threads, LMDB. */
import type { Elsewhere, Entities, ShardClient, WorkLedger } from '../../actors/index.ts'
import { type Clock, systemClock } from '../../clock.ts'
import type { ChildSpec } from '../../runtime/index.ts'
import {
  type BackupFolders,
  type BlobHostFactory,
  type CacheOrigin,
  type Disk,
  type LogExporter,
  type LogHostFactory,
  lmdbProjections,
  loadLmdb,
  nodeDisk,
  type Projections,
  type ShardCopier,
  type SnapshotHostFactory,
  type TurnScannerFactory,
  threadBackupFolders,
  threadBlobHost,
  threadExaminer,
  threadLogHosts,
  threadProjectionWriters,
  threadShardCopier,
  threadSnapshotHosts,
  threadTurnScanner,
} from '../../storage/index.ts'
import type { App } from '../app/app.ts'
import type { AppContext, InstanceParts } from '../app/app-context.ts'
import type { ClusterHealth } from '../app/cluster-health.ts'
import type { MemberLinks, Reach } from '../app/member-links.ts'
import type { FolderClaim } from './folder-claim.ts'

/** The ports of an instance to the outside. */
export type Ports = {
  readonly disk: Disk
  readonly clock: Clock
  readonly makeHost: LogHostFactory
  /** The logs are in an engine: the data folder is a cache of them, and may be empty. */
  readonly cache?: CacheOrigin
  /** Another member owns the logs: the shards follow them, and nothing acts. */
  readonly follows?: boolean
  /** Aborted with the reason, a `KeelsonError`, when the start is given up. */
  readonly abandoned?: AbortSignal
  /** Members share the folder: what this one has of it. */
  readonly shared?: SharedFolder
  /** The shards that are followed alone, in the folder of a member that has others. */
  readonly copied?: Pick<SharedFolder, 'claim' | 'has'>
  /** The features of an engine's logs that this build reads, as bits; by default the known ones. */
  readonly readsFeatures?: number
  /** The instance of a cluster, owned by this member. */
  readonly ownership?: InstanceOwnership
  readonly projections: Projections
  readonly makeBlobHost: BlobHostFactory
  readonly makeSnapshotHost: SnapshotHostFactory
  readonly claimBackup: BackupFolders
  readonly copyShard: ShardCopier
  /** Makes the files of a log in an engine, for a backup. */
  readonly exportLog?: LogExporter
  readonly makeScanner: TurnScannerFactory
  /** The part of the tree that serves attached prompts. The promise never rejects. */
  readonly attach?: (instance: string, app: Promise<App>) => ChildSpec
}

/** The part of a folder that one of its members has. */
export type SharedFolder = {
  /** The instance releases it at its end. */
  readonly claim: FolderClaim
  /** Whether this member holds the lock of the shard. */
  readonly has: (shard: number) => boolean
  /** Its notes of steps and alarms, for the next owners of its shards. */
  readonly ledger?: WorkLedger
  /** Makes the links to the other members. They are told which of the shards are open here. */
  readonly link: (to: Linkable) => MemberWays
  /** Answers the others about the shards here from now on. `app`: the handles of the user's processes. */
  readonly answer: (way: ShardClient, parts: InstanceParts, app: AppContext) => void
  /** The instance runs, and its shards may come and go. */
  readonly onRun: (moves: ShardMoves, running: InstanceParts) => void
  /** The instance is to close: gives its shards to members that stay, for at most `ms`. Never rejects. */
  readonly giveAll: (ms: number) => Promise<void>
  /** The copies of shards of others at this member; absent on a folder, which has all shards. */
  readonly follows?: () => NonNullable<ClusterHealth['follows']>
  /** The instance has ended. Resolves when nothing else uses the folder. Never rejects. */
  readonly ended: () => Promise<void>
}

/** The links to the other members, and the ways over them. */
export type MemberWays = {
  readonly links: MemberLinks
  readonly client: ShardClient
  /** Makes the lookup of actors at the owners of their shards. */
  readonly elsewhere: (entities: Entities) => Elsewhere
}

/** How shards come to a running instance, and leave it. */
export type ShardMoves = {
  /** Opens one more shard, whose lock this member has got. */
  open(shard: number): Promise<void>
  /**
   * Closes a shard, so that its lock can be given to another member. False: not now, as
   * `Shard.isHeld` says, or because a call in it has not ended. The work in it has `withinMs`. With
   * `isLast` calls are cut off then: the member closes.
   */
  close(shard: number, withinMs: number, isLast: boolean): Promise<boolean>
}

/** The parts of an instance that its links need. */
export type Linkable = Pick<InstanceParts, 'system' | 'instance' | 'shards' | 'ending'> & {
  /** The process that another member means by a name. */
  readonly reach: Reach
}

/** The ownership of an instance by a member of its cluster. */
export type InstanceOwnership = {
  /** Whether this process may answer reads at this moment. */
  readonly isOwner: () => boolean
  readonly health: () => ClusterHealth
  /** Gives the lease back, when the instance has ended. Never rejects. */
  readonly release: () => Promise<void>
}

/** The ports of this machine. Loads LMDB. */
export const machinePorts = async (clock: Clock): Promise<Ports> => {
  const disk = nodeDisk()
  const openDatabase = await loadLmdb()
  const makeWriter = threadProjectionWriters()
  return {
    disk,
    clock,
    makeHost: threadLogHosts(),
    makeBlobHost: threadBlobHost,
    makeSnapshotHost: threadSnapshotHosts(),
    claimBackup: threadBackupFolders,
    copyShard: threadShardCopier,
    makeScanner: threadTurnScanner,
    projections: lmdbProjections(openDatabase, disk, threadExaminer(), {
      clock: systemClock(),
      ...(makeWriter && { makeWriter }),
    }),
  }
}
