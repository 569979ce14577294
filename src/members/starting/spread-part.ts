/**
 * The part of an instance whose shards are spread over members of an engine: its cache, of which any
 * shard may be filled at any time, and the shards that it takes at its start. It is apart from
 * `member-start.ts`, which has the session and the lease of every member of an engine.
 */

import { type KeelsonError, reasonText } from '../../errors.ts'
import { refusing, shardFolder } from '../../storage/index.ts'
import {
  type CheckedOptions,
  type Cluster,
  claimFolder,
  emptyCache,
  type FolderClaim,
  type SharedFolder,
} from '../../supervisors/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import { tlsTransport } from '../links/tls-transport.ts'
import { EngineNotes, type EngineNotesParts } from '../sharing/engine-notes.ts'
import type { EngineShares } from '../sharing/engine-shares.ts'
import { ShardCopies } from '../sharing/shard-copies.ts'
import type { MemberPorts } from './folder-ports.ts'
import { followerPorts, type Membership } from './member-ports.ts'
import { MemberWatch, sharing } from './member-watch.ts'
import { follow } from './standby.ts'

/** A member of an engine whose members share the shards. */
export type SpreadParts = {
  readonly options: CheckedOptions & { readonly shards: number }
  readonly cluster: Cluster
  readonly ports: MemberPorts
  readonly membership: Membership
  readonly shares: EngineShares
  readonly calls: Pick<InstanceType<EngineStorage['EngineCalls']>, 'ask'>
  /** The engine has lost what the cache has. */
  readonly onLoss: (error: KeelsonError) => void
}

/** Claims the cache, and takes the shards that are free and belong here. @throws as `claimFolder` */
export const spreadPart = async (parts: SpreadParts): Promise<SharedFolder> => {
  const { cluster, ports, membership, shares } = parts
  const { name, member } = cluster
  const claim = await cacheOf(parts)
  try {
    const notes = new EngineNotes(notesParts(parts), shares.incarnation)
    const watch = new MemberWatch(shares, member, ports.clock)
    const copies = copiesOf(parts, claim, watch)
    const release = (): void => {
      notes.close()
      claim.release()
    }
    notes.saw(shares.view)
    shares.onChange = () => {
      notes.saw(shares.view)
      watch.stir()
    }
    await watch.look()
    return sharing({
      directory: shares,
      ledger: notes,
      name,
      member,
      watch,
      copies,
      claim: { ...claim, release },
      admits: (peer) => shares.admits(peer),
      transport:
        ports.folder?.transport(membership.dir, member) ?? linksBetweenMachines(cluster, shares),
    })
  } catch (error) {
    claim.release()
    throw error
  }
}

/** The copies in the cache. Each round starts another instance, in which nothing acts. */
const copiesOf = (
  { options, cluster, ports, membership, shares, onLoss }: SpreadParts,
  claim: FolderClaim,
  watch: MemberWatch,
): ShardCopies => {
  const { storage, logOf } = membership
  const { clock } = ports
  const logger = options.logger ?? options.system?.logger
  const ended = new AbortController()
  const calls = new storage.EngineCalls(clock, { signal: ended.signal })
  // The member has claimed the folder, and keeps it.
  const kept = { release: nothing, undo: nothing, finish: nothing, raise: nothing }
  return new ShardCopies({
    clock,
    onLoss,
    copies: cluster.copies,
    everyMs: cluster.leaseMs,
    ended,
    wanted: (copies) => watch.wanted(copies),
    isOwn: (shard) => shares.own.has(shard),
    endOf: (shard, known) => storage.movedEnd(logOf(shard), calls, known),
    isOutdated: storage.isOutdated,
    follow: (shards) => {
      const copied = {
        claim: { ...claim, ...kept },
        has: (shard: number) => shards.includes(shard),
      }
      return follow(
        { ...options, allowDown: false, onProgress: nothing },
        { ...followerPorts(ports, { ...membership, abandoned: ended.signal }), copied },
      )
    },
    open: async (shard) => {
      const { lmdb } = shardFolder(membership.dir, shard)
      const { state } = await ports.projections.examine(lmdb)
      return state === 'sound'
        ? ports.projections.open(lmdb, options.settings.lmdb.mapBytes)
        : undefined
    },
    onFailure: (error, shards) => {
      const text = `the copies of shards ${shards.join(', ')} are not kept: ${reasonText(error)}`
      logger?.warn(text, { shards, reason: error })
    },
  })
}

const nothing = (): void => undefined

/** The parts of the notes of a member's work. */
export const notesParts = ({
  cluster,
  ports,
  membership,
  calls,
}: Omit<SpreadParts, 'options' | 'shares' | 'onLoss'>): EngineNotesParts => {
  const { storage, session, dir } = membership
  const { disk, clock } = ports
  return {
    ends: storage.ends,
    directory: session.directory,
    calls,
    disk,
    clock,
    dir,
    member: cluster.member,
  }
}

const linksBetweenMachines = (
  { listen, secret }: Cluster,
  shares: EngineShares,
): ReturnType<typeof tlsTransport> => {
  if (!listen || secret === undefined) throw new Error('the options are checked')
  return tlsTransport({ listen, secret, addressOf: (other) => shares.addressOf(other) })
}

/**
 * The cache. It is known for every shard which log its files are of, before any is here: one that
 * comes later is opened as it is.
 */
const cacheOf = async ({
  options,
  ports,
  membership,
  calls,
}: SpreadParts): Promise<FolderClaim> => {
  const { disk, clock, projections } = ports
  const { instance, shards } = options
  const { dir, origin, logOf } = membership
  const indexes = Array.from({ length: shards }, (_, shard) => shard)
  const heads = await calls.ask(() => Promise.all(indexes.map((shard) => logOf(shard).head())))
  const logs = heads.map(({ logId }) => logId)
  const claim = claimFolder({ disk, clock, dir, instance, shards, cache: origin })
  const { isUnknown, isOutdated } = claim
  try {
    refusing(() =>
      logs.forEach((log, shard) => {
        const folders = shardFolder(dir, shard)
        const isOther = isUnknown || (claim.logs !== undefined && claim.logs[shard] !== log)
        if (isOther || isOutdated) emptyCache(disk, folders)
        if (isOutdated) projections.remove(folders.lmdb)
      }),
    )
    if (logs.some((log, shard) => log !== claim.logs?.[shard])) claim.finish(logs)
    return { ...claim, logs, isUnknown: false, isOutdated: false }
  } catch (error) {
    claim.undo()
    claim.release()
    throw error
  }
}
