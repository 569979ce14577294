/**
 * The health of an instance for reading: what is in trouble first, the worst on top, then the rest
 * in a few lines. Pure.
 */
import type { Health, ShardHealth } from '../../supervisors/index.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import type { Recorded, Records } from '../recorder/records.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import { clusterLine, clusterTrouble } from './cluster-view.ts'
import { queueTroubles } from './queue-troubles.ts'

/** A projection with more lag has trouble: three times the longest pause of its flushes. */
const lagMax = 15_000

/** The most items of a list that are named. */
const namedMax = 3

/** The health as text. `now`: in ms since 1970. */
export const healthView = (
  health: Health,
  records: Records,
  now: number,
  paint: Paint = plainPaint,
): string => {
  const troubles = [
    ...memberTroubles(health),
    ...(health.durable ? [] : ['NOT DURABLE: what is acknowledged may be lost']),
    ...health.shards.flatMap(shardTroubles),
    ...health.crashing.first.map(
      ({ child, message, failures, reason }) =>
        `${titleOf(child)} has failed ${failures} times in the last minute${
          message === undefined ? '' : `, now at ${message}`
        }: ${reason}`,
    ),
    ...actorTroubles(health.actors, now),
    ...health.projections.flatMap(userProjectionTroubles),
    ...health.replication.flatMap(replicaTroubles),
    ...Object.entries(health.parts).flatMap(partTroubles),
    ...queueTroubles(health.parts).map(
      ({ queue, sort, text }) => `queue ${queue}, ${sort}: ${text}`,
    ),
  ].map(printable)
  const head = troubles.map((line) => paint('bad', line))
  return [
    ...(head.length > 0 ? head : ['nothing is in trouble']),
    '',
    summary(health, records, now),
  ].join('\n')
}

const memberTroubles = ({ cluster }: Health): string[] => {
  const why = cluster && clusterTrouble(cluster)
  return why === undefined ? [] : [`the member is ${cluster?.phase}: ${why}`]
}

const summary = ({ durable, shards, cluster }: Health, records: Records, now: number): string => {
  const phases = new Map<string, number>()
  for (const { phase } of shards) phases.set(phase, (phases.get(phase) ?? 0) + 1)
  const free = shards.flatMap(({ space }) => space.freeBytes ?? [])
  const lag = Math.max(
    0,
    ...shards.map(({ appliedLsn, projectedLsn }) => appliedLsn - projectedLsn),
  )
  const log = shards.reduce((sum, { snapshot }) => sum + snapshot.logBytes, 0)
  const waiting = shards.reduce((sum, { writes }) => sum + writes.waiting, 0)
  const last = records.last('crash').at(-1)
  const crashes = countText(records.total('crash'))
  return factList([
    ...(cluster ? [['member', printable(clusterLine(cluster))] as const] : []),
    ['durable', durable ? 'yes' : 'no'],
    ['shards', [...phases].map(([phase, count]) => `${countText(count)} ${phase}`).join(', ')],
    ...(free.length === 0 || !Number.isFinite(Math.min(...free))
      ? []
      : [['disk', `${bytesText(Math.min(...free))} free`] as const]),
    ['writes', `${countText(waiting)} waiting`],
    ['projections', `${pluralText(lag, 'frame')} behind at most`],
    ['log', `${bytesText(log)} since the snapshots`],
    ['crashes', last ? `${crashes}, the last ${agoText(last, now)}` : crashes],
    ['restarts', countText(records.total('restart'))],
  ])
}

const agoText = ({ at, subject, reason = '' }: Recorded, now: number): string =>
  printable(`${durationText(Math.max(0, now - at))} ago: ${subject}, ${reason}`)

const shardTroubles = (health: ShardHealth): string[] => {
  const { shard, phase, reason, recovery, space, projection, lagBytes, snapshot } = health
  const of = `shard ${shard}`
  if (phase === 'down') return [`${of} is down: ${reason ?? ''}; control.reopen(${shard})`]
  const { refusing } = space
  const { mode, behindMs, reason: why } = projection
  const behind = `${durationText(behindMs)}, ${bytesText(lagBytes)}`
  return [
    ...(phase === 'open' ? [] : [`${of} is ${phase}${recovery ? `: ${recovery.source}` : ''}`]),
    ...(refusing ? [`${of} refuses writes: ${refusing.reason}`] : []),
    ...(mode === 'degraded' || mode === 'halted'
      ? [`the projection of ${of} is ${mode}: ${why ?? ''}`]
      : []),
    ...(health.suspended
      ? [`the projection of ${of} is suspended by ${health.suspendedBy.join(', ')}`]
      : []),
    ...(behindMs > lagMax ? [`the projection of ${of} is ${behind} behind`] : []),
    ...(snapshot.failure === undefined ? [] : [`no snapshot of ${of}: ${snapshot.failure}`]),
    ...health.derived.lost.map((name) => `${of} has lost derived rows of ${name}`),
    ...health.derived.setAside.map(
      ({ producer, reason }) => `${of} sets ${producer} aside: ${reason}`,
    ),
    ...journalTroubles(health),
    ...(health.clockAheadMs === 0
      ? []
      : [`the time of ${of} is ${health.clockAheadMs} ms ahead; control.acceptClock()`]),
  ]
}

const journalTroubles = ({ shard, journal: { subscriptions, held } }: ShardHealth): string[] => [
  ...subscriptions.flatMap(({ name, failure }) =>
    failure === undefined ? [] : [`the subscription ${name} of shard ${shard} stopped: ${failure}`],
  ),
  ...(held.state === 'fine'
    ? []
    : [`${bytesText(held.bytes)} of the log of shard ${shard} are held by ${held.by.join(', ')}`]),
]

const actorTroubles = (
  { blocked, parked, failing, waiting, overdue }: Health['actors'],
  now: number,
): string[] => [
  ...listed('blocked', blocked, ({ entity, reason }) => `${entity}: ${reason}`),
  ...listed('parked', parked, ({ entity, what, error }) => `${titleOf(entity)} ${what}: ${error}`),
  ...listed(
    'failing',
    failing,
    ({ entity, what, tries, error }) => `${titleOf(entity)} ${what}, try ${tries}: ${error}`,
  ),
  ...listed('waiting for space', waiting, ({ entity, what }) => `${entity} ${what}`),
  ...listed(
    'overdue',
    overdue,
    ({ entity, what, at }) => `${entity} ${what} since ${durationText(now - at)}`,
  ),
]

const titleOf = (entity: string): string => actorNamed(entity).title

const listed = <T>(
  word: string,
  { count, first }: { readonly count: number; readonly first: readonly T[] },
  text: (item: T) => string,
): string[] => {
  if (count === 0) return []
  const named = first.slice(0, namedMax).map(text)
  return [`${countText(count)} ${word}: ${named.join('; ')}${count > namedMax ? '; …' : ''}`]
}

const userProjectionTroubles = ({ name, shards }: Health['projections'][number]): string[] =>
  shards.flatMap(({ shard, state, error }) =>
    state === 'halted' || state === 'stopped'
      ? [`the projection ${name} of shard ${shard} is ${state}: ${error ?? ''}`]
      : [],
  )

const replicaTroubles = ({ replica, shards }: Health['replication'][number]): string[] =>
  shards.flatMap(({ shard, state, reason }) =>
    reason === undefined ? [] : [`${replica} is ${state} for shard ${shard}: ${reason}`],
  )

/** Parts of the user's tree report what they want; those of workflows name their blocked runs. */
const partTroubles = ([name, report]: [string, unknown]): string[] => {
  const { blocked } = Object(report) as { readonly blocked?: FlowBlocked }
  return blocked === undefined
    ? []
    : listed(`runs of ${name} blocked`, blocked, ({ run, reason }) => `${run}: ${reason}`)
}

type FlowBlocked = {
  readonly count: number
  readonly first: readonly { readonly run: string; readonly reason: string }[]
}
