/**
 * The metrics that an instance knows at any time: of its shards, durable actors, subscriptions and
 * replicas. Reading them changes nothing and wakes no actor. They are apart from `scrape.ts`, which
 * decides when each is taken.
 */
import {
  InstanceStreams,
  levelOf,
  overdueOf,
  projectionStatus,
  stuckTries,
} from '../../actors/index.ts'
import { isKeelsonError } from '../../errors.ts'
import { workerKind } from '../../storage/index.ts'
import type { InstanceParts } from '../../supervisors/index.ts'
import type { Trouble } from '../answers/troubles.ts'
import { entityKindOf } from '../recorder/recorder.ts'
import type { RecordedSort, Records } from '../recorder/records.ts'
import { type Metric, metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

type Shard = InstanceParts['shards'][number]

const phases: readonly Shard['phase']['kind'][] = [
  ...(['recovering', 'open', 'down', 'elsewhere', 'closed'] as const),
]

/** The metrics of the instance that are no shard's. */
export const takeInstance = (parts: InstanceParts, into: Measurements): void => {
  const { version, build = '' } = parts.runs
  const { instance, shards, entities, followers, crashLoops, system } = parts
  into.of(metrics.build).add(1, instance, version, process.versions.node, build)
  const isDurable = shards.every(({ parts }) => levelOf(parts.settings) === 'durable')
  into.of(metrics.durable).add(isDurable ? 1 : 0)
  const member = parts.cluster?.()
  if (member) {
    into.of(metrics.memberOwner).add(member.phase === 'owner' ? 1 : 0)
    into.of(metrics.memberLease).add(member.leftMs / 1_000)
    into.of(metrics.memberEpoch).add(member.epoch)
  }
  const { way } = parts
  if (way) {
    const own = shards.filter(({ index }) => way.ownerOf(index) === way.member)
    into.of(metrics.memberShards).add(own.length)
  }
  into.of(metrics.childrenCrashing).add(crashLoops.all.length)
  for (const kind of entities.kinds) {
    into.of(metrics.entitiesLive).add(entities.kind(kind)?.live ?? 0, kind)
    into.of(metrics.entitiesBlocked).add(entities.kind(kind)?.blocked.size ?? 0, kind)
    into.of(metrics.stepsStuck).add(0, kind)
    into.of(metrics.alarmsOverdue).add(0, kind)
  }
  into.of(metrics.entitiesBlocked).add(entities.trouble.blockedWorkers.size, workerKind)
  for (const ofActor of entities.trouble.failing.values())
    for (const { entity, tries } of ofActor.values())
      if (tries >= stuckTries) into.of(metrics.stepsStuck).add(1, entityKindOf(entity))
  for (const [kind, { ok, failed }] of entities.trouble.turns) {
    into.of(metrics.turns).add(ok, kind, 'ok')
    for (const [result, count] of failed) into.of(metrics.turns).add(count, kind, result)
  }
  const streams = parts.kept.get(InstanceStreams) as InstanceStreams | undefined
  if (streams)
    for (const [via, waiting] of Object.entries(streams.waiting))
      into.of(metrics.streamReaders).add(waiting, via)
  const now = system.clock.monotonic()
  const namesOf = uniqueNames(followers.map((follower) => follower.health(now).replica))
  followers.forEach((follower, at) => {
    const { shards } = follower.health(now)
    const name = namesOf[at] ?? at
    const records = shards.reduce((sum, { lag }) => sum + lag.records, 0)
    into.of(metrics.replicationLag).add(records, name)
    const isUp = shards.every(({ state }) => !['waiting', 'fenced', 'halted'].includes(state))
    into.of(metrics.replicationUp).add(isUp ? 1 : 0, name)
  })
}

/** Names of which no two are the same: a second one has its number too. */
const uniqueNames = (names: readonly string[]): readonly string[] =>
  names.map((name, at) => (names.indexOf(name) === at ? name : `${name} ${at}`))

/** The troubles, by what may be a label: no id, no key. */
export const takeTroubles = (troubles: readonly Trouble[], into: Measurements): void => {
  for (const { kind, severity, subject, link, count = 1 } of troubles)
    into.of(metrics.troubles).add(count, kind, severity, placeOf(subject, link))
}

/** Shards, a kind of entities, a workflow or a queue: a number, or a name in code. */
const placeOf = (subject: string, link: Trouble['link']): string => {
  if (/^shards? \d/.test(subject)) return subject
  const { view = '', parts: [name = ''] = [] } = link ?? {}
  return ['entity', 'run', 'runs', 'queue'].includes(view) ? name : ''
}

/** The metrics of one shard. Another member that has it knows them. */
export const takeShard = (shard: Shard, into: Measurements): void => {
  const { index, appends, gate, space, projection, snapshots, time, way } = shard
  const isElsewhere = shard.phase.kind === 'elsewhere'
  if (isElsewhere && way?.ownerOf(index) !== undefined) return
  for (const phase of phases)
    into.of(metrics.shardPhase).add(shard.phase.kind === phase ? 1 : 0, index, phase)
  if (isElsewhere) return
  const durableLsn = appends.durability?.durableLsn ?? 0
  // A mark of the log itself, at rest, is durable and no write.
  into.of(metrics.lastLsn).add(Math.max(appends.writtenLsn, durableLsn), index)
  into.of(metrics.durableLsn).add(durableLsn, index)
  into.of(metrics.writesWaiting).add(gate.load.waiting, index)
  into.of(metrics.writesInflight).add(gate.load.bytes, index)
  into.of(metrics.lagFrames).add(Math.max(0, shard.appliedLsn - shard.projectedLsn), index, '')
  into.of(metrics.lagBytes).add(shard.lagBytes, index, '')
  into.of(metrics.lagSeconds).add(projection.behindMs / 1_000, index, '')
  into.of(metrics.logSinceSnapshot).add(snapshots.logBytes, index)
  into.of(metrics.clockAhead).add(time.aheadMs / 1_000, index)
  if (shard.phase.kind === 'open') {
    const { alone, actors } = shard.streamCount.next(shard.view(), shard.now())
    if (alone > 0) into.of(metrics.streams).add(alone, index, 'itself')
    if (actors > 0) into.of(metrics.streams).add(actors, index, 'actor')
  }
  const { madeAt, failures } = snapshots
  if (madeAt !== undefined)
    into.of(metrics.snapshotAge).add((shard.parts.clock.now() - madeAt) / 1_000, index)
  into.of(metrics.snapshotFailures).add(failures, index)
  const { freeBytes, neededBytes } = space.health
  if (freeBytes !== undefined) into.of(metrics.diskFree).add(freeBytes, index)
  into.of(metrics.diskNeeded).add(neededBytes, index)
  for (const [code, refused] of [...Object.entries(space.refused), ...gate.refused])
    into.of(metrics.writesRefused).add(refused, index, code)
  for (const { name, position } of shard.journal.health.subscriptions)
    into.of(metrics.journalLag).add(Math.max(0, shard.appliedLsn + 1 - (position?.lsn ?? 1)), name)
  for (const { entity } of overdueOf(shard))
    into.of(metrics.alarmsOverdue).add(1, entityKindOf(entity))
}

/**
 * The lag of the projections of users. A live one follows every frame, so it is as far as that of its
 * shard. Of another one the log says how much comes after it, and since when. Returns the questions to
 * the log, which may wait for its disk. A log that cannot say it now leaves the lag out.
 */
export const takeProjectionLags = (
  shard: Shard,
  into: Measurements,
): readonly (() => Promise<void>)[] => {
  if (shard.phase.kind === 'elsewhere') return []
  const { index, appliedLsn, projection, parts } = shard
  const questions: (() => Promise<void>)[] = []
  for (const { name } of parts.settings.projections) {
    const take = (behind: { readonly bytes: number; readonly ms: number } | undefined): void => {
      if (!behind) return
      into.of(metrics.lagBytes).add(behind.bytes, index, name)
      into.of(metrics.lagSeconds).add(behind.ms / 1_000, index, name)
    }
    for (const { lsn, state } of projectionStatus([shard], name)) {
      into.of(metrics.lagFrames).add(Math.max(0, appliedLsn - lsn), index, name)
      if (state === 'live') take({ bytes: shard.lagBytes, ms: projection.behindMs })
      else questions.push(() => logAfter(shard, lsn).catch(unlessUnknown).then(take))
    }
  }
  return questions
}

/** The log after a frame: its bytes, and the age of its first frame, as far as the log has it. */
const logAfter = async (shard: Shard, lsn: number): Promise<{ bytes: number; ms: number }> => {
  if (shard.appliedLsn <= lsn) return { bytes: 0, ms: 0 }
  const log = shard.files.log()
  const { bytesAfter: bytes, firstLsn } = await log.run('state', { after: lsn })
  const { frames } = await log.run('read', { from: Math.max(lsn + 1, firstLsn), maxBytes: 1 })
  const [{ time } = { time: shard.now() }] = frames
  return { bytes, ms: Math.max(0, shard.now() - time) }
}

const unlessUnknown = (error: unknown): undefined => {
  if (!isKeelsonError(error)) throw error
}

const failures: Readonly<Partial<Record<RecordedSort, Metric>>> = {
  crash: metrics.crashes,
  restart: metrics.restarts,
  gave_up: metrics.gaveUp,
  step_failed: metrics.stepFailures,
}

/** The failures that the recorder has counted. */
export const takeFailures = (records: Records, into: Measurements): void => {
  for (const { what, kind, code, count } of records.failures.all)
    into.of(metrics.failures).add(count, what, kind, code)
  for (const { sort, kind, code, count } of records.counts()) {
    const metric = failures[sort]
    if (metric) into.of(metric).add(count, kind, code)
    else if (sort === 'slow_handler' && code === 'slow')
      into.of(metrics.handlerSlow).add(count, kind)
  }
}

/** The metrics of the process. */
export const takeProcess = (loopDelayMs: number | undefined, into: Measurements): void => {
  const { user, system } = process.cpuUsage()
  into.of(metrics.cpu).add((user + system) / 1e6)
  const { rss, heapUsed, external } = process.memoryUsage()
  into.of(metrics.memory).add(rss)
  into.of(metrics.heapUsed).add(heapUsed)
  into.of(metrics.external).add(external)
  into.of(metrics.startTime).add(Math.round(performance.timeOrigin / 1_000))
  if (loopDelayMs !== undefined) into.of(metrics.loopDelay).add(loopDelayMs / 1_000)
}
