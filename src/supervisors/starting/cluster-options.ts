/**
 * The option `cluster` of `start`: the logs are in an engine that all members reach, and one member
 * at a time owns the instance. Pure.
 */
import {
  abortSignal,
  type Check,
  type Checked,
  mapped,
  object,
  oneOf,
  optional,
  or,
  secret,
  that,
  wholeFrom,
} from '../../check.ts'
import { configError } from '../../errors.ts'
import { addressIn, type ClusterEngine, type SocketAddress } from '../../storage/index.ts'
import type { FolderEngine, ForkedEngine } from './folder-engine.ts'

const isFolderEngine = (engine: object): engine is FolderEngine =>
  Array.isArray((engine as Partial<FolderEngine>).members)

/** A name of a cluster, of a member, of an instance. */
export const identifier = that<string>(
  '1 to 64 letters, digits, _, . or -',
  (found) => typeof found === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(found),
)

const madeEngine = that<ClusterEngine | FolderEngine>(
  'what folderEngine, postgresEngine or natsEngine made',
  (found) => {
    if (isFolderEngine(Object(found))) return true
    const { description, open, read } = Object(found)
    // A replica has `read`, too.
    return typeof description === 'string' && typeof open === 'function' && read === undefined
  },
)

/** An address and a port that is known before. */
const address = that<string>('a host or address and a port, such as 10.0.0.5:7400', (found) => {
  const { host, port } = addressIn(String(found))
  return typeof found === 'string' && host !== '' && port >= 1 && port <= 65_535
})

/** Whether it is the address of all networks, which others cannot connect to. */
const isWild = ({ host }: SocketAddress): boolean => ['0.0.0.0', '::'].includes(host)

/** Nobody guesses it, even with a record of connections. */
const longText = that<string>(
  'a text of 32 characters or more, such as `openssl rand -hex 32` prints',
  (found) => typeof found === 'string' && found.length >= 32 && found.length <= 1_024,
)

const clusterOptions = {
  /** The name of the instance in the engine, the same for all its members. */
  name: identifier,
  /** The name of this member. Two processes with one name exclude each other. */
  member: identifier,
  /**
   * It keeps the logs: `folderEngine`, `postgresEngine` of `keelson/postgres`, `natsEngine` of
   * `keelson/nats`.
   */
  engine: madeEngine,
  /**
   * How many machines must have what is acknowledged, the same for all members. From 2 on, the
   * server must have a synchronous standby. With `spread` so many members also have each shard in
   * their caches.
   */
  copies: or(wholeFrom(1, 9), 1),
  /**
   * `together`: one member has all shards, and the others are standbys. `spread`: each shard has an
   * owner, and the tree runs at every member. The same for all members, and as it was at first.
   */
  placement: or(oneOf('together', 'spread'), 'together'),
  /** With `spread`: where this member listens, such as `10.0.0.5:7400`. */
  listen: optional(mapped(address, addressIn)),
  /** Where the others reach it, if that is another address than `listen`. */
  advertise: optional(mapped(address, addressIn)),
  /** With `spread`: the same for all members. A peer without it gets no connection. */
  secret: optional(secret(longText)),
  /**
   * A member that cannot renew its lease for so long is replaced, in ms. A standby waits for as long as the owner's says.
   */
  leaseMs: or(wholeFrom(1_000, 600_000), 5_000),
  /**
   * A start that the engine does not serve for so long, in ms, rejects with `TIMEOUT`. By default it
   * waits without a limit. The wait of a standby for the owner does not count.
   */
  startTimeoutMs: optional(wholeFrom(1_000, 2_000_000_000)),
  /** Aborting it ends a start that waits: it rejects with `CLOSED`. */
  signal: optional(abortSignal),
}

/** A member of a cluster. */
export type ClusterOptions = {
  /** The name of the instance in the engine, the same for all its members. */
  readonly name: string
  /** The name of this member. Two processes with one name exclude each other. */
  readonly member: string
  /**
   * It keeps the logs: `folderEngine`, `postgresEngine` of `keelson/postgres`, `natsEngine` of
   * `keelson/nats`.
   */
  readonly engine: ClusterEngine | FolderEngine
  /** How many machines must have what is acknowledged; 1 by default. */
  readonly copies?: number
  /** A member that cannot renew its lease for so long is replaced; 5,000 ms by default. */
  readonly leaseMs?: number
  /** `together`, the default: one member has all shards. `spread`: each shard has its owner. */
  readonly placement?: 'together' | 'spread'
  /** With `spread`: where this member listens, such as `10.0.0.5:7400`. */
  readonly listen?: string
  /** Where the others reach it, if that is another address than `listen`. */
  readonly advertise?: string
  /** With `spread`: the same text for all members, of 32 characters or more. */
  readonly secret?: string
  /** A start that the engine does not serve for so long, in ms, rejects with `TIMEOUT`. */
  readonly startTimeoutMs?: number
  /** Aborting it ends a start that waits: it rejects with `CLOSED`. */
  readonly signal?: AbortSignal
}

type AnyCluster = Checked<typeof clusterOptions>

/** The same, with defaults. */
export type Cluster = AnyCluster & { readonly engine: ClusterEngine }

/** One of several members that share the data folder. */
export type FolderCluster = AnyCluster & { readonly engine: ForkedEngine }

/** Whether the members share the data folder. */
export const isFolderCluster = (cluster: Cluster | FolderCluster): cluster is FolderCluster =>
  isFolderEngine(cluster.engine)

/**
 * The name of the member, where several share the data folder. The options need not be checked.
 */
export const folderMemberOf = (options: {
  readonly cluster?: ClusterOptions
}): string | undefined => {
  const { engine, member } = Object(options.cluster)
  return isFolderEngine(Object(engine)) ? String(member) : undefined
}

/** The check of the option. */
export const clusterMember: Check<Cluster | FolderCluster | undefined, ClusterOptions> = optional(
  object(clusterOptions) as Check<Cluster | FolderCluster, ClusterOptions>,
)

/** Options of a log in files, and of its readers. */
const localOptions = [
  ['wal', 'maxFileSize'],
  ['wal', 'sectorBytes'],
  ['wal', 'enableFsync'],
  ['wal', 'syncInterval'],
  ['wal', 'commitments'],
  ['retention', 'log'],
  ['snapshot', 'keep'],
  ['replication'],
] as const

/** Options for an engine with servers. */
const engineOptions = [
  'copies',
  'listen',
  'advertise',
  'secret',
  'leaseMs',
  'startTimeoutMs',
] as const

/**
 * Refuses what members of one folder cannot have, also with the value of its default.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const refuseOwnAlone = (
  { replication, acts }: OwnAlone,
  { engine, member }: FolderCluster,
  given: Partial<ClusterOptions>,
): void => {
  for (const each of engineOptions)
    if (given[each] !== undefined)
      throw configError(`cluster.${each}`, 'absent: the members share a folder', given[each])
  if (given.placement === 'together')
    throw configError('cluster.placement', 'spread: the members share a folder', given.placement)
  if (!engine.members.includes(member))
    throw configError('cluster.member', `one of ${engine.members.join(', ')}`, member)
  if (replication.length > 0)
    throw configError('replication', 'absent: no member has all shards', replication.length)
  if (acts) throw configError('acts', 'false: start the folder once without members', true)
}

type OwnAlone = {
  readonly replication: readonly unknown[]
  readonly acts: boolean
}

/**
 * Refuses links without a secret or an address that others reach, and both where there are no links.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const refuseOddLinks = (
  { placement, listen, advertise, secret: shared }: Cluster,
  { replication }: Pick<OwnAlone, 'replication'>,
): void => {
  const isSpread = placement === 'spread'
  const expected = isSpread ? 'a value: placement is spread' : 'absent: placement is together'
  if (isSpread !== (listen !== undefined)) throw configError('cluster.listen', expected, listen)
  if (isSpread !== (shared !== undefined)) throw configError('cluster.secret', expected, shared)
  if (!isSpread && advertise) throw configError('cluster.advertise', expected, advertise)
  const reached = advertise ?? listen
  if (reached && isWild(reached)) {
    const path = advertise ? 'cluster.advertise' : 'cluster.listen'
    throw configError(path, 'an address of this machine, or `advertise` beside it', reached.host)
  }
  if (isSpread && replication.length > 0)
    throw configError('replication', 'absent: no member has all shards', replication.length)
}

/**
 * Refuses what has no meaning for a log in an engine, also with the value of its default.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const refuseLocalOptions = (given: object): void => {
  for (const path of localOptions) {
    const found = path.reduce<unknown>((at, part) => Object(at)[part], given)
    if (found !== undefined)
      throw configError(path.join('.'), 'absent: with cluster the engine keeps the log', found)
  }
}
