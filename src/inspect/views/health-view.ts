/**
 * The health of an instance for reading: what is in trouble first, the worst on top, then the rest
 * in a few lines. Pure.
 */

import { inspect } from 'node:util'
import type { Facts } from '../answers/facts.ts'
import type { Trouble } from '../answers/troubles.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, lastingText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import { clusterLine } from './cluster-view.ts'

/** The health and its troubles as text. */
export const healthView = (
  facts: Facts,
  troubles: readonly Trouble[],
  paint: Paint = plainPaint,
): string => {
  const lines = troubles.map((trouble) =>
    paint(
      trouble.severity === 'critical' ? 'bad' : 'odd',
      printable(troubleLine(trouble, facts.now)),
    ),
  )
  return [...(lines.length > 0 ? lines : ['nothing is in trouble']), '', summary(facts)].join('\n')
}

/** `critical: shard down, shard 1, for 2 min: EIO; wal()`. */
const troubleLine = (trouble: Trouble, now: number): string => {
  const { severity, kind, subject, text, since, link, count = 1, others = [] } = trouble
  const left = others.length === 0 ? 0 : count - 1 - others.length
  const subjects = [subject, ...others.map((each) => each.subject)].join(', ')
  const more = left > 0 ? ` and ${countText(left)} more` : ''
  const lasting = since === undefined ? '' : `, for ${lastingText(Math.max(0, now - since))}`
  const word = link && wordFor(link)
  return [
    `${severity}: ${kind}, ${subjects}${more}${lasting}`,
    ...(text === '' ? [] : [`: ${text}`]),
    ...(word === undefined ? [] : [`; ${word}`]),
  ].join('')
}

/** The word of the prompt that looks where a link of the page leads. */
const wordFor = ({ view, parts }: NonNullable<Trouble['link']>): string | undefined => {
  const args = parts.map((part) => inspect(part)).join(', ')
  return {
    ...{ entity: `entity(${args})`, entities: 'entities()', tree: 'tree()', storage: 'wal()' },
    ...{ run: `flow.show(${args})`, runs: `flow.list(${args})`, queue: `flow.show(${args})` },
    replication: 'replication()',
  }[view]
}

const summary = ({ health, crashes, restarts, now }: Facts): string => {
  const { durable, shards, cluster } = health
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
    ['crashes', `${countText(count)}${last ? `, the last ${agoText(last, now)}` : ''}`],
    ['restarts', countText(restarts)],
  ])
}

type Crash = NonNullable<Facts['crashes']['last']>

const agoText = ({ at, subject, reason = '' }: Crash, now: number): string =>
  printable(`${durationText(Math.max(0, now - at))} ago: ${subject}, ${reason}`)
