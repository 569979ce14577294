/**
 * The part of an instance whose shards are spread over members of an engine: its cache, of which any
 * shard may be filled at any time, and the shards that it takes at its start. It is apart from
 * `member-start.ts`, which has the session and the lease of every member of an engine.
 */
import { tlsTransport } from '../../actors/index.ts'
import { type EngineStorage, refusing, shardFolder } from '../../storage/index.ts'
import { EngineNotes, type EngineNotesParts } from '../sharing/engine-notes.ts'
import type { EngineShares } from '../sharing/engine-shares.ts'
import type { Cluster } from './cluster-options.ts'
import { claimFolder, type FolderClaim } from './folder-claim.ts'
import type { Ports, SharedFolder } from './machine-ports.ts'
import type { Membership } from './member-ports.ts'
import { MemberWatch, sharing } from './member-watch.ts'
import { emptyCache } from './shard-inspection.ts'
import type { CheckedOptions } from './start-options.ts'

/** A member of an engine whose members share the shards. */
export type SpreadParts = {
  readonly options: CheckedOptions & { readonly shards: number }
  readonly cluster: Cluster
  readonly ports: Ports
  readonly membership: Membership
  readonly shares: EngineShares
  readonly calls: Pick<InstanceType<EngineStorage['EngineCalls']>, 'ask'>
}

/** Claims the cache, and takes the shards that are free and belong here. @throws as `claimFolder` */
export const spreadPart = async (parts: SpreadParts): Promise<SharedFolder> => {
  const { cluster, ports, membership, shares } = parts
  const { name, member } = cluster
  const claim = await cacheOf(parts)
  try {
    const notes = new EngineNotes(notesParts(parts), shares.incarnation)
    const release = (): void => {
      notes.close()
      claim.release()
    }
    const watch = new MemberWatch(shares, member, ports.clock)
    notes.saw(shares.view)
    shares.onChange = () => {
      notes.saw(shares.view)
      watch.stir()
    }
    await watch.look()
    return sharing({
      ...{ directory: shares, claim: { ...claim, release }, ledger: notes, name, member, watch },
      admits: (peer) => shares.admits(peer),
      transport:
        ports.folder?.transport(membership.dir, member) ?? linksBetweenMachines(cluster, shares),
    })
  } catch (error) {
    claim.release()
    throw error
  }
}

/** The parts of the notes of a member's work. */
export const notesParts = ({
  cluster,
  ports,
  membership,
  calls,
}: Omit<SpreadParts, 'options' | 'shares'>): EngineNotesParts => {
  const { storage, session, dir } = membership
  const { disk, clock } = ports
  return {
    ...{ ends: storage.ends, directory: session.directory, calls, disk, clock, dir },
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
