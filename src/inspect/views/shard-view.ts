/**
 * Logs, projections and replicas as text, shard by shard: the output of `wal()`, `projections()`,
 * `journal()` and `replication()`. Pure.
 */
import type { LmdbWriter, WalWriter } from '../../actors/index.ts'
import type { Ref } from '../../runtime/index.ts'
import type { App, Health } from '../../supervisors/index.ts'
import type { ShardFacts } from '../answers/shard-survey.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, lastingText, pluralText } from '../text/quantities.ts'
import { factList, textTable } from '../text/text-table.ts'
import { recordText } from './record-view.ts'
import { stateText } from './state-view.ts'

/** The options of the log that decide the level of acknowledgements. */
export type DurabilitySettings = {
  readonly enableFsync: boolean
  readonly syncInterval: number | undefined
}

/** Those of an instance: all shards have the same. */
export const durabilityOf = ({ shards }: App): DurabilitySettings =>
  shards[0]?.parts.settings.wal ?? { enableFsync: true, syncInterval: undefined }

/** The warning when acknowledgements are not durable; `undefined` otherwise. */
export const durabilityWarning = ({
  enableFsync,
  syncInterval,
}: DurabilitySettings): string | undefined => {
  if (!enableFsync)
    return 'NOT DURABLE: wal.enableFsync is false. What is acknowledged may be lost when the machine stops.'
  if (syncInterval === undefined) return undefined
  return `NOT DURABLE AT ONCE: wal.syncInterval is ${syncInterval} ms. What was acknowledged in the last ${syncInterval} ms may be lost when the machine stops.`
}

/** A line for each shard that refuses writes, with the reason. */
export const refusalLines = (shards: Health['shards'], paint: Paint): readonly string[] =>
  shards.flatMap(({ shard, space: { refusing } }) => {
    if (!refusing) return []
    const { since, groups, reason } = refusing
    const text = `shard ${shard} refuses writes since ${new Date(since).toISOString()}, ${pluralText(groups, 'group')} so far: ${reason}`
    return [paint('bad', printable(text))]
  })

/** Every shard's log. */
export const logView = (
  logs: readonly ShardFacts<WalWriter.LogWriterDescription>[],
  durability: DurabilitySettings,
  paint: Paint = plainPaint,
): string => {
  const warning = durabilityWarning(durability)
  return [
    ...(warning === undefined ? [] : [paint('bad', warning)]),
    ...logs.map((facts) => shardLog(facts, paint)),
  ].join('\n\n')
}

const shardLog = (facts: ShardFacts<WalWriter.LogWriterDescription>, paint: Paint): string => {
  const { description } = facts
  const title = shardTitle(facts, description?.mode, paint)
  if (!description) return title
  const { durableLsn, lastLsn, queued, inFlight, level, report, log } = description
  const isInEngine = log?.engineBytes !== undefined
  const place = isInEngine ? 'engine' : 'disk'
  const recovered = isInEngine ? extentText : recoveryText
  const facts_ = factList([
    [
      'level',
      level === 'durable'
        ? `durable: acknowledged after ${isInEngine ? 'the engine did' : 'fsync'}`
        : paint('bad', 'written: acknowledged before fsync'),
    ],
    ['durable LSN', countText(durableLsn)],
    ['last LSN', countText(lastLsn)],
    [
      'waiting',
      `${pluralText(queued, 'write')}, ${countText(inFlight)} on their way to the ${place}`,
    ],
    ['recovered', report ? recovered(report) : 'not yet'],
    ...(report?.remarks ?? []).map((remark) => ['note', printable(remark)] as const),
    ...(log ? logFacts(log) : []),
  ])
  const segments = log && !isInEngine ? `\n${indented(segmentTable(log.segments))}` : ''
  return `${title}\n${indented(facts_)}${segments}`
}

type Log = NonNullable<WalWriter.LogWriterDescription['log']>
type Report = NonNullable<WalWriter.LogWriterDescription['report']>

const extentText = ({ lastLsn }: Report): string =>
  lastLsn === 0 ? 'new, empty' : `up to LSN ${countText(lastLsn)}`

/** The last opening in one line. */
export const recoveryText = (report: Report): string => {
  const { lastLsn, tail, cutBytes, copiedFrames } = report
  const tails = {
    clean: 'closed cleanly',
    unclean: 'not closed, whole',
    torn: `torn, ${bytesText(cutBytes)} of an unacknowledged write cut`,
  }
  const copied = copiedFrames === 0 ? '' : `, ${pluralText(copiedFrames, 'frame')} copied forward`
  return lastLsn === 0 ? extentText(report) : `${extentText(report)}, ${tails[tail]}${copied}`
}

const logFacts = (log: Log): [string, string][] => {
  const { walId, epoch, checkpointLsn, segments, spares, engineBytes } = log
  const used = segments.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
  const allocated = segments.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
  const identity: [string, string][] = [
    ['checkpoint', `LSN ${countText(checkpointLsn)}`],
    ['log id', `${walId}, epoch ${epoch}`],
  ]
  if (engineBytes !== undefined)
    return [...identity, ['log', `${bytesText(engineBytes)} in the engine`]]
  return [
    ...identity,
    [
      'segments',
      `${countText(segments.length)}, ${bytesText(used)} used of ${bytesText(allocated)} allocated`,
    ],
    ['spares', `${countText(spares.ready)} ready${spares.making ? ', one being made' : ''}`],
  ]
}

const segmentColumns = ['file', '>LSNs', '>used', '>allocated']

/** The most segments that are listed: the newest. */
const segmentsShown = 8

const segmentTable = (segments: Log['segments']): string => {
  const rows = segments
    .slice(-segmentsShown)
    .map(({ file, baseLsn, lastLsn, usedBytes, allocatedBytes }) => [
      file,
      lastLsn < baseLsn ? 'none' : `${countText(baseLsn)} to ${countText(lastLsn)}`,
      bytesText(usedBytes),
      bytesText(allocatedBytes),
    ])
  const left = segments.length - rows.length
  return (
    textTable(segmentColumns, rows) +
    (left === 0 ? '' : `\n… and ${pluralText(left, 'older segment')}`)
  )
}

const projectionColumns = [
  'shard',
  'mode',
  '>LSN',
  '>lag',
  '>rows',
  '>size',
  '>outbox',
  '>suspensions',
]

/**
 * Every shard's projection, and below the table its suspensions. `now` is in ms since 1970. `titleOf`
 * gives the title of a process.
 */
export const projectionView = (
  projections: readonly ShardFacts<LmdbWriter.ProjectionWriterDescription>[],
  now: number,
  titleOf: (process: Ref) => string,
  paint: Paint = plainPaint,
): string => {
  const rows = projections.map(({ shard, member, description, trouble, phase }) =>
    description
      ? projectionRow(placeText(shard, member), description, paint)
      : [
          placeText(shard, member),
          `${paint('bad', phase === 'down' ? 'down' : 'no answer')}: ${printable(trouble ?? '')}`,
        ],
  )
  const notes = projections.flatMap((facts) => projectionNotes(facts, now, titleOf))
  return [rowsView(rows), ...notes].join('\n')
}

/** Long texts follow the table, whose columns are narrow. */
const rowsView = (rows: readonly (readonly string[])[]): string => {
  const whole = rows.filter((row) => row.length === projectionColumns.length)
  const broken = rows.filter((row) => row.length !== projectionColumns.length)
  return [
    ...(whole.length > 0 ? [textTable(projectionColumns, whole)] : []),
    ...broken.map(([shard, trouble]) => `shard ${shard}  ${trouble}`),
  ].join('\n')
}

const placeText = (shard: number, member: string | undefined): string =>
  member === undefined ? String(shard) : `${shard} at ${member}`

const projectionRow = (
  place: string,
  description: LmdbWriter.ProjectionWriterDescription,
  paint: Paint,
): string[] => {
  const { mode, projectedLsn, lag, rows, bytes, outbox, outboxBytes, suspensions } = description
  return [
    place,
    stateText('projection', mode, paint),
    countText(projectedLsn),
    countText(lag),
    countText(rows),
    bytesText(bytes),
    outbox === 0 ? '0' : `${countText(outbox)} (${bytesText(outboxBytes)})`,
    countText(suspensions.length),
  ]
}

const projectionNotes = (
  { shard, description }: ShardFacts<LmdbWriter.ProjectionWriterDescription>,
  now: number,
  titleOf: (process: Ref) => string,
): string[] => {
  if (!description) return []
  const degraded =
    description.degraded === undefined
      ? []
      : [`shard ${shard} is degraded: ${printable(description.degraded)}`]
  return [
    ...degraded,
    ...description.suspensions.map(({ owner, writes, since, until }) => {
      const holds = writes ? 'projection and writes' : 'projection'
      const ends =
        until === undefined
          ? 'until resume'
          : `for ${Math.ceil(Math.max(0, until - now) / 1_000)} s more`
      const seconds = Math.floor(Math.max(0, now - since) / 1_000)
      const holder = owner?.pid === undefined ? String(owner ?? 'the app') : titleOf(owner)
      return `shard ${shard}: ${holds} held by ${holder} since ${seconds} s, ${ends}`
    }),
  ]
}

const userColumns = ['projection', 'shard', 'state', '>version', '>LSN', '>lag']

/** The projections of the configuration, shard by shard; empty without one. */
export const userProjectionView = (
  projections: Health['projections'],
  paint: Paint = plainPaint,
): string => {
  if (projections.length === 0) return ''
  const all = projections.flatMap(({ name, shards }) =>
    shards.map((status) => ({ ...status, name })),
  )
  const rows = all.map(({ name, shard, state, version, building, lsn, lag }) => [
    name,
    String(shard),
    stateText('projection', state, paint) +
      (building ? ` (version ${building.version}: ${countText(building.rows)} rows)` : ''),
    String(version),
    countText(lsn),
    countText(lag),
  ])
  const notes = all.flatMap(({ name, shard, error, record }) =>
    error === undefined
      ? []
      : [
          `${name} of shard ${shard} is halted: ${printable(error)}`,
          ...recordText('the failure', record),
        ],
  )
  return [textTable(userColumns, rows), ...notes].join('\n')
}

const journalColumns = ['shard', 'subscription', 'state', '>next LSN', '>behind']

/** The journals, shard by shard: what holds the log for them, and their subscriptions. */
export const journalView = (shards: Health['shards'], paint: Paint = plainPaint): string => {
  const lines = shards.map(({ shard, journal: { replay, states, floorLsn, held } }) => {
    const saved = states.length === 0 ? 'no state' : `states of lsn ${states.join(' and ')}`
    const kept = floorLsn === undefined ? 'holds no log' : `holds the log behind lsn ${floorLsn}`
    const line = `${paint('strong', `shard ${shard}`)}  replay ${replay}, ${saved}, ${kept}`
    if (held.bytes === 0) return line
    const full = held.state === 'full' ? ', and takes no entry' : ''
    const text = `${bytesText(held.bytes)} of ${bytesText(held.maxBytes)} held by ${printable(held.by.join(', '))}${full}`
    return `${line}, ${held.state === 'fine' ? text : paint('bad', text)}`
  })
  const all = shards.flatMap(({ shard, appliedLsn, journal }) =>
    journal.subscriptions.map((each) => ({ ...each, shard, appliedLsn })),
  )
  if (all.length === 0) return lines.join('\n')
  const rows = all.map(({ shard, name, state, position, appliedLsn }) => [
    String(shard),
    printable(name),
    stateText('subscription', state, paint),
    position === undefined ? '' : countText(position.lsn),
    position === undefined ? '' : countText(Math.max(0, appliedLsn + 1 - position.lsn)),
  ])
  const notes = all.flatMap(({ name, failure, record }) =>
    failure === undefined
      ? []
      : [printable(`${name} has stopped: ${failure}`), ...recordText('the failure', record)],
  )
  return [...lines, textTable(journalColumns, rows), ...notes].join('\n')
}

const shardTitle = (
  { shard, member, phase, trouble }: ShardFacts<unknown>,
  mode: string | undefined,
  paint: Paint,
): string => {
  const word = phase === 'open' ? (mode ?? 'no answer') : phase
  const place = member === undefined ? '' : ` at member ${member}`
  const shown = paint(trouble === undefined ? 'good' : 'bad', `${word}${place}`)
  return `${paint('strong', `shard ${shard}`)}  ${shown}${trouble === undefined ? '' : `: ${printable(trouble)}`}`
}

/** `text`, and below it the members that have not answered: what they have is not in it. */
export const withSilent = (
  text: string,
  silent: readonly { readonly member: string; readonly reason: string }[],
  paint: Paint = plainPaint,
): string =>
  [
    text,
    ...silent.map(({ member, reason }) =>
      paint('bad', printable(`member ${member} does not answer: ${reason}`)),
    ),
  ].join('\n')

const indented = (text: string): string => text.replace(/^/gm, '  ')

const replicaColumns = ['shard', 'state', '>LSN', '>lag', '>bytes', '>ms']

type Replica = Health['replication'][number]

/** Each replica with a row for each shard, and why something does not go on. */
export const replicationView = (replicas: readonly Replica[], paint: Paint = plainPaint): string =>
  replicas.length === 0
    ? 'nothing replicates: see the option replication of start'
    : replicas.map((replica) => replicaView(replica, paint)).join('\n\n')

const replicaView = (replica: Replica, paint: Paint): string => {
  const { required, failures, retryInMs, shards } = replica
  const title = `${printable(replica.replica)}, ${required ? 'required' : 'optional'}`
  const retry =
    retryInMs === undefined
      ? []
      : [`${pluralText(failures, 'failed attempt')}, the next one in ${lastingText(retryInMs)}`]
  const rows = shards.map(({ shard, state, lsn, lag }) => [
    String(shard),
    stateText('replica', state, paint),
    countText(lsn),
    countText(lag.records),
    bytesText(lag.bytes),
    countText(Math.round(lag.ms)),
  ])
  const reasons = shards.flatMap(({ shard, reason }) =>
    reason === undefined ? [] : [`shard ${shard}: ${printable(reason)}`],
  )
  return [title, ...retry, textTable(replicaColumns, rows), ...new Set(reasons)].join('\n')
}
