/** The health of an instance, as this process knows it. Reading it changes nothing, and costs microseconds. */
import {
  type ActorsHealth,
  actorsHealth,
  type DerivedHealth,
  type Entities,
  type Follower,
  type FollowerHealth,
  type FullStream,
  type JournalHealth,
  levelOf,
  type ProjectionHealth,
  type ProjectionStatus,
  projectionStatus,
  type RecoveryProgress,
  type ShardClient,
  type ShardPhase,
  type SnapshotHealth,
  type Some,
  type SpaceHealth,
  some,
} from '../../actors/index.ts'
import { isKeelsonError, reasonText } from '../../errors.ts'
import { keyedByNames } from '../../redaction.ts'
import { type Ref, type System, summaryOf } from '../../runtime/index.ts'
import type { Shard } from '../tree/shard.ts'
import type { ClusterHealth } from './cluster-health.ts'
import type { CrashLoop, CrashLoops, GivenUp } from './crash-loops.ts'

/** The program of a member. */
export type RunningBuild = {
  /** The version of Keelson. */
  readonly version: string
  /** The option `build` of its start; `undefined`: it has none. */
  readonly build: string | undefined
}

/** The parts of an instance that its health is read from. */
export type HealthParts = {
  readonly system: System
  readonly shards: readonly Shard[]
  readonly entities: Entities
  readonly followers: readonly Follower[]
  readonly crashLoops: CrashLoops
  /** The way to other members of the folder. */
  readonly way: ShardClient | undefined
  /** The last reports of the others. */
  readonly reports: Reports | undefined
  readonly cluster: (() => ClusterHealth) | undefined
}

/** The last report of another member. */
export type MemberReport = {
  /** The version of Keelson and the build that it runs; an earlier version does not say it. */
  readonly version?: string | undefined
  readonly build?: string | undefined
  /** Its health as it is there. Its own `members` are without reports. */
  readonly health: Health
  /** When it started, in ms since 1970. */
  readonly since: number
  /** How long ago it came, in ms. */
  readonly ageMs: number
}

/** A member by its reports. */
export type Reported = {
  /** `undefined` for this member, and for one without a link or an answer. */
  readonly report: MemberReport | undefined
  /** Why it has not answered the last question; `undefined`: it has, or none was asked. */
  readonly unanswered: string | undefined
  /** Since when it has no link, or does not answer, in ms since 1970; `undefined`: not known, or it does. */
  readonly awaySince: number | undefined
}

/** The answer of a member about itself. */
export type Answered = Omit<MemberReport, 'ageMs'>

/** The last reports of the other members. */
export interface Reports {
  /** The last report of a member. */
  of(member: string): Reported
  /** Since when no member has a shard, in ms since 1970, as far as this was seen. */
  unownedSince(shard: number): number | undefined
  /** Asks each linked member for its next report, unless that was asked for just now. */
  askAll(): void
  /** Asks a member now. @throws KeelsonError why it has not answered */
  ask(member: string, timeoutMs: number): Promise<Answered>
}

/** A member, as another one knows it by its links. */
export type MemberStatus = {
  readonly member: string
  /** Whether it is this member, or linked to it. One that is not has ended, starts, or hangs. */
  readonly linked: boolean
  /** The shards that it has. */
  readonly shards: readonly number[]
}

/** The health of one shard. */
export type ShardHealth = {
  readonly shard: number
  readonly phase: ShardPhase['kind']
  /**
   * Since when it is not open here, in ms since 1970; `undefined`: it is. Of one that no member has open:
   * since when none has.
   */
  readonly notOpenSince: number | undefined
  /** The member that has it; `undefined`: none has it open, or there are no members. */
  readonly member: string | undefined
  /** Why it is down. */
  readonly reason: string | undefined
  readonly appliedLsn: number
  readonly projectedLsn: number
  /**
   * Set while the shard is down for a reason that passes: it opens by itself. `tries` so far, and ms
   * until the next one.
   */
  readonly reopening: { readonly tries: number; readonly inMs: number } | undefined
  /** The bytes of the log that are applied and not projected. */
  readonly lagBytes: number
  /** How far the projection is rebuilt, while the shard recovers; `undefined` otherwise. */
  readonly recovery: RecoveryProgress | undefined
  readonly suspended: boolean
  /** The holders of its suspensions: a process, or `the app` for its holder. */
  readonly suspendedBy: readonly string[]
  /** Space on its disk: free, needed, and whether writes are refused for want of it. */
  readonly space: SpaceHealth
  /** Its snapshots: the last one, the log since, the next one, the last failure. */
  readonly snapshot: SnapshotHealth
  /** The writer of its projection: whether it makes progress, and why not. */
  readonly projection: ProjectionHealth
  /** Rows that actors derive from the log: what waits, and what was lost. */
  readonly derived: DerivedHealth
  /** Its journal: subscriptions, saved states, and the log that is kept for them. */
  readonly journal: JournalHealth
  /**
   * How far the shard's time is ahead of the machine's clock, because that was set; negative: behind.
   * See `control.acceptClock`.
   */
  readonly clockAheadMs: number
  /**
   * Streams that have refused an append in the last ten minutes because they are at their bound of
   * bytes or producers, ten at most. `since` and `last`: the first and the last refusal.
   */
  readonly fullStreams: readonly FullStream[]
  readonly writes: { readonly entered: number; readonly bytes: number; readonly waiting: number }
}

/** A full disk, by the shards whose log, snapshots or projection have no space. */
export type FullDisk = {
  /** Since when writes are refused, in ms since 1970. */
  readonly since: number
  readonly reason: string
  /** The shards that refuse writes. */
  readonly writes: readonly number[]
  /** The shards whose last snapshot failed for want of space, and whose projection waits for it. */
  readonly snapshots: readonly number[]
  readonly projections: readonly number[]
}

/**
 * The health of an instance. `durable` is false when its options say so: then an acknowledgement
 * does not mean that data are on disk.
 */
export type Health = {
  readonly durable: boolean
  readonly shards: readonly ShardHealth[]
  /** Set while writes are refused here because a disk is full: the one cause of many shards. */
  readonly fullDisk: FullDisk | undefined
  /** The durable actors that have trouble: that wait for space, fail, are blocked or overdue. */
  readonly actors: ActorsHealth
  /** The children of supervisors, and entities, that failed three times or more in the last minute. */
  readonly crashing: Some<CrashLoop>
  /** The supervisors that spent their restarts in the last ten minutes, the last one at the end. */
  readonly gaveUp: readonly GivenUp[]
  /** The projections of the configuration, each in the shards that are open. */
  readonly projections: readonly {
    readonly name: string
    readonly shards: readonly ProjectionStatus[]
  }[]
  /** The replicas of the configuration, each with every shard. */
  readonly replication: readonly FollowerHealth[]
  /**
   * The members that share the folder, and the last report of each of the others; none without
   * members. A call of `health()` asks for the next reports.
   */
  readonly members: readonly (MemberStatus & Reported)[]
  /** The member in its cluster; `undefined` for an instance of one machine. */
  readonly cluster: ClusterHealth | undefined
  /**
   * The health of parts of the user's tree that report it, by their names: `flow` for workflows, of
   * the shards that are open. It is `{ unknown }` with a reason while a part cannot be read, as its
   * shard is unsure.
   */
  readonly parts: Readonly<Record<string, unknown>>
}

/** The health of the instance, with the last reports of its other members. It asks for the next ones. */
export const reportedHealth = (all: HealthParts): Health => {
  const { reports } = all
  const own = healthOf(all)
  if (!reports) return own
  reports.askAll()
  const members = own.members.map((each) => ({ ...each, ...reports.of(each.member) }))
  const shards = own.shards.map((each) =>
    each.phase === 'elsewhere' && each.member === undefined
      ? { ...each, notOpenSince: reports.unownedSince(each.shard) }
      : each,
  )
  return { ...own, shards, members }
}

const unreported: Reported = { report: undefined, unanswered: undefined, awaySince: undefined }

/** The health of the instance with these parts. It asks nobody. */
export const healthOf = (all: HealthParts): Health => {
  const { system, shards, entities, followers, crashLoops, cluster } = all
  const [first] = shards
  const now = system.clock.monotonic()
  const ofShards = shards.map(shardHealth)
  return {
    durable: first !== undefined && levelOf(first.parts.settings) === 'durable',
    shards: ofShards,
    fullDisk: fullDiskOf(ofShards),
    actors: actorsHealth(entities),
    crashing: some(crashLoops.all),
    gaveUp: crashLoops.gaveUp,
    projections: (first?.parts.settings.projections ?? []).map(({ name }) => ({
      name,
      shards: projectionStatus(shards, name),
    })),
    replication: followers.map((follower) => follower.health(now)),
    members: all.way ? memberStatus(all.way, shards.length) : [],
    cluster: cluster?.(),
    parts: keyedByNames(
      Object.fromEntries([...entities.reports].map(([name, of]) => [name, partHealth(of)])),
    ),
  }
}

/** The full disk that shards name as the reason of what they cannot do. */
export const fullDiskOf = (shards: readonly ShardHealth[]): FullDisk | undefined => {
  const refusals = shards.flatMap(({ shard, space: { refusing } }) =>
    refusing && isFull(refusing.reason) ? [{ ...refusing, shard }] : [],
  )
  const [first] = refusals
  if (!first) return undefined
  const named = (reasonOf: (shard: ShardHealth) => string | undefined): readonly number[] =>
    shards.filter((each) => isFull(reasonOf(each) ?? '')).map(({ shard }) => shard)
  return {
    since: Math.min(...refusals.map(({ since }) => since)),
    reason: first.reason,
    writes: refusals.map(({ shard }) => shard),
    snapshots: named(({ snapshot }) => snapshot.failure),
    projections: named(({ projection: { mode, reason } }) =>
      mode === 'degraded' ? reason : undefined,
    ),
  }
}

/** A port to a disk says so, and LMDB in other words. Free space does not help a file at its limit. */
const isFull = (reason: string): boolean =>
  /\bNO_SPACE\b|\bno space\b/i.test(reason) && !reason.includes('may not be larger')

/** A part that cannot be read now says why: the health is asked for when something is wrong. */
const partHealth = (report: () => unknown): unknown => {
  try {
    return report()
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return { unknown: reasonText(error) }
  }
}

const holderText = (owner: Ref | undefined): string => {
  if (owner === undefined) return 'the app'
  const { label, name } = summaryOf(owner) ?? {}
  return `${label ?? name ?? ''} ${owner}`.trim()
}

const shardHealth = (shard: Shard): ShardHealth => ({
  shard: shard.index,
  phase: shard.phase.kind,
  notOpenSince: shard.notOpenSince,
  member: shard.way?.ownerOf(shard.index),
  reason: shard.phase.kind === 'down' ? reasonText(shard.phase.reason) : undefined,
  appliedLsn: shard.appliedLsn,
  projectedLsn: shard.projectedLsn,
  reopening: shard.reopening && {
    tries: shard.reopening.tries,
    inMs: Math.max(0, shard.reopening.at - shard.parts.clock.monotonic()),
  },
  lagBytes: shard.lagBytes,
  recovery: shard.recovery.present,
  suspended: shard.suspensions.byToken.size > 0,
  suspendedBy: [...shard.suspensions.byToken.values()].map(({ owner }) => holderText(owner)),
  space: shard.space.health,
  snapshot: shard.snapshots.health,
  projection: shard.projection.health,
  derived: shard.derived.health,
  journal: shard.journal.health,
  clockAheadMs: shard.time.aheadMs,
  fullStreams: shard.fullStreams.at(shard.parts.clock.now()),
  writes: shard.gate.load,
})

/** The members in the order of their names. */
const memberStatus = (way: ShardClient, shardCount: number): Health['members'] => {
  const owners = Array.from({ length: shardCount }, (_, shard) => way.ownerOf(shard))
  return [way.member, ...way.others].sort().map((member) => ({
    member,
    linked: member === way.member || way.isLinked(member),
    shards: owners.flatMap((owner, shard) => (owner === member ? [shard] : [])),
    ...unreported,
  }))
}
