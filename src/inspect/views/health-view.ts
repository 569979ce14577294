/** The health of an instance and its troubles as text, and the data that it is made from. Pure. */
import { buildText, unnamedOf } from '../../observe/index.ts'
import type { Facts } from '../answers/facts.ts'
import type { CrashCount } from '../answers/member-looks.ts'
import type { Trouble } from '../answers/troubles.ts'
import { troublesOfAll } from '../answers/troubles-of-all.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, lastingText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import { clusterLine } from './cluster-view.ts'

/** The answer of `keelson health --json`. `at`: ms since 1970. The worst troubles come first. */
export type HealthAnswer = Omit<Facts, 'now' | 'seen'> & {
  readonly at: number
  readonly troubles: readonly Trouble[]
  /** How many crashes the other members have had, as far as they have answered. */
  readonly crashesElsewhere?: readonly CrashCount[]
}

/** The health and the troubles of all members, from the facts of one of them. */
export const healthAnswer = (facts: Facts): HealthAnswer => ({
  version: facts.version,
  ...(facts.build !== undefined && { build: facts.build }),
  since: facts.since,
  at: facts.now,
  troubles: troublesOfAll(facts),
  crashes: facts.crashes,
  restarts: facts.restarts,
  health: facts.health,
})

/** The health and its troubles as text. */
export const healthView = (answer: HealthAnswer, paint: Paint = plainPaint): string => {
  const lines = answer.troubles.map((trouble) =>
    paint(
      trouble.severity === 'critical' ? 'bad' : 'odd',
      printable(troubleLine(trouble, answer.at)),
    ),
  )
  return [...(lines.length > 0 ? lines : ['nothing is in trouble']), '', summary(answer)].join('\n')
}

/** `critical: shard down, shard 1, for 2 min: EIO; wal()`. */
const troubleLine = (trouble: Trouble, now: number): string => {
  const { severity, kind, subject, member, text, since, look, others = [] } = trouble
  const { members = [] } = trouble
  const left = unnamedOf(trouble)
  const subjects = [subject, ...others.map((each) => each.subject)].join(', ')
  const more = left > 0 ? ` and ${countText(left)} more` : ''
  const only = member === undefined ? '' : ` at member ${member}${asOfText(trouble, now)}`
  const place = members.length > 0 ? ` at members ${members.join(', ')}` : only
  const lasting = since === undefined ? '' : `, for ${lastingText(Math.max(0, now - since))}`
  return [
    `${severity}: ${kind}, ${subjects}${more}${place}${lasting}`,
    ...(text === '' ? [] : [`: ${text}`]),
    ...(look === undefined ? [] : [`; ${look}`]),
  ].join('')
}

const asOfText = ({ asOf }: Trouble, now: number): string =>
  asOf === undefined ? '' : ` as of ${lastingText(now - asOf)} ago`

const summary = (answer: HealthAnswer): string => {
  const { health, crashes, restarts, since, at, crashesElsewhere: elsewhere = [] } = answer
  const { durable, shards, cluster, members } = health
  const phases = new Map<string, number>()
  for (const { phase } of shards) phases.set(phase, (phases.get(phase) ?? 0) + 1)
  const free = shards.flatMap(({ space }) => space.freeBytes ?? [])
  const lag = Math.max(
    0,
    ...shards.map(({ appliedLsn, projectedLsn }) => appliedLsn - projectedLsn),
  )
  const log = shards.reduce((sum, { snapshot }) => sum + snapshot.logBytes, 0)
  const waiting = shards.reduce((sum, { writes }) => sum + writes.waiting, 0)
  const { count, last } = crashes
  // They are counted by the recorder of this member: crashes() asks all.
  const here = members.length > 1 ? ' here' : ''
  return factList([
    ...(cluster ? [['member', printable(clusterLine(cluster))] as const] : []),
    ...(members.length > 0
      ? [['members', members.map((each) => memberText(each, at)).join(', ')] as const]
      : []),
    [`build${here}`, printable(buildText(answer))],
    [`started${here}`, `${lastingText(Math.max(0, at - since))} ago`],
    ['durable', durable ? 'yes' : 'no'],
    ['shards', [...phases].map(([phase, count]) => `${countText(count)} ${phase}`).join(', ')],
    ...(free.length === 0 || !Number.isFinite(Math.min(...free))
      ? []
      : [['disk', `${bytesText(Math.min(...free))} free`] as const]),
    ['writes', `${countText(waiting)} waiting`],
    ['projections', `${pluralText(lag, 'frame')} behind at most`],
    ['log', `${bytesText(log)} since the snapshots`],
    [`crashes${here}`, `${countText(count)}${last ? `, the last ${agoText(last, at)}` : ''}`],
    ...(elsewhere.length > 0 ? [['crashes elsewhere', crashCountText(elsewhere)] as const] : []),
    [`restarts${here}`, countText(restarts)],
  ])
}

const crashCountText = (counts: readonly CrashCount[]): string =>
  `${printable(counts.map(({ member, total }) => `${countText(total)} at ${member}`).join(', '))}; crashes() has them`

const memberText = (
  { member, linked, shards, report }: HealthAnswer['health']['members'][number],
  now: number,
): string => {
  const since = report && lastingText(Math.max(0, now - report.since))
  const started = report ? `, ${buildText(report)}, started ${since} ago` : ''
  const age = report && report.ageMs >= oldMs ? `, as of ${durationText(report.ageMs)} ago` : ''
  return printable(
    `${member} ${linked ? pluralText(shards.length, 'shard') : 'away'}${started}${age}`,
  )
}

/** A report that is older says so, in ms. */
const oldMs = 2_000

type Crash = NonNullable<HealthAnswer['crashes']['last']>

const agoText = ({ at, subject, reason = '' }: Crash, now: number): string =>
  printable(`${durationText(Math.max(0, now - at))} ago: ${subject}, ${reason}`)
