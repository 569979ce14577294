/** The output of `keelson wal salvage`, as text and as JSON. Pure. */

import type { Damage, LogVerification, LsnRange, SalvagedShard } from '../../storage/index.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'

/**
 * One salvaged log. `found` is the finding about its source; absent when nothing was left of it.
 */
export type SalvagedLog = SalvagedShard & {
  readonly shard?: number
  readonly found?: LogVerification
}

/** A folder that was salvaged. */
export type SalvagedFolder = {
  readonly from: string
  readonly to: string
  readonly logs: readonly SalvagedLog[]
  readonly elapsedMs: number
}

/** The output as text. */
export const salvageText = (
  { from, to, logs, elapsedMs }: SalvagedFolder,
  paint: Paint = plainPaint,
): string => {
  const bytes = logs.reduce((sum, { salvaged }) => sum + salvaged.bytes, 0)
  const rate = (bytes / Math.max(elapsedMs, 1)) * 1_000
  return [
    `salvaged ${printable(from)} to ${printable(to)}, in ${durationText(elapsedMs)}, ${bytesText(rate)}/s`,
    ...logs.map((log) => logText(log, paint)),
    'From here on the new folder is the log: keep the old one as it is, and open only one of both.',
    ...(logs.some(({ shard }) => shard !== undefined)
      ? ['It waits: start it with --acts, or with --no-app to look at its store alone.']
      : []),
  ].join('\n')
}

const logText = (
  { shard, found, salvaged, snapshots, uncopied }: SalvagedLog,
  paint: Paint,
): string => {
  const { frames, lost, lastLsn, segments, bytes } = salvaged
  const facts: (readonly [string, string])[] = [
    [
      'copied',
      `${pluralText(frames, 'frame')} into ${pluralText(segments, 'segment')}, ${bytesText(bytes)}`,
    ],
    [
      'lost',
      lost.length === 0
        ? paint('good', 'nothing')
        : paint('bad', `${rangesText(lost)}; LOST frames stand for them`),
    ],
  ]
  const base = snapshots.at(-1)
  if (base)
    facts.push([
      'snapshot',
      `of lsn ${countText(base.lsn)}: it has the rows of all frames up to there, of lost ones too`,
    ])
  if (!found) facts.push(['note', paint('bad', 'nothing was left of this log')])
  if (found?.doubtFrom !== undefined)
    facts.push([
      'in doubt',
      paint('odd', `lsn ${countText(found.doubtFrom)} and on: nothing proves that there were any`),
    ])
  if (found?.torn)
    facts.push(['torn', `${countText(found.torn.bytes)} bytes that opening would have cut`])
  facts.push(['next', `writes go on with lsn ${countText(lastLsn + 1)}`])
  const name = shard === undefined ? 'log' : `shard ${shard}`
  const damage = found?.damage ?? []
  if (damage.length > 0) facts.push(['damage', paint('bad', pluralText(damage.length, 'place'))])
  if (uncopied.length > 0)
    facts.push([
      'unread',
      paint(
        'bad',
        `${pluralText(uncopied.length, 'place')} beside the log; CORRUPT when asked for`,
      ),
    ])
  const lines = factList(facts).split('\n')
  return [
    name,
    ...lines.map((line) => `  ${line}`),
    ...damageLines(damage),
    ...unreadLines(uncopied),
  ].join('\n')
}

/** The most damaged places of one log that are shown; the rest is counted, and in `--json`. */
const placesShown = 20

/** `5`, or `5 to 9`. */
const rangeText = ({ from, to }: LsnRange): string =>
  from === to ? countText(from) : `${countText(from)} to ${countText(to)}`

/** `3 frames: lsn 5, 7 to 8`. */
const rangesText = (ranges: readonly LsnRange[]): string => {
  const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const shown = ranges.slice(0, placesShown).map(rangeText).join(', ')
  const more = ranges.length > placesShown ? `, and ${ranges.length - placesShown} more ranges` : ''
  return `${pluralText(count, 'frame')}: lsn ${shown}${more}`
}

/** Damaged places, two lines each; those beyond the limit are counted. */
const damageLines = (damage: readonly Damage[]): string[] => {
  const more = damage.length - placesShown
  return [
    ...damage
      .slice(0, placesShown)
      .flatMap(({ file, offset, lsn, evidence }) => [
        `    ${printable(file)}  offset ${countText(offset)}  lsn ${countText(lsn)}`,
        `      ${printable(evidence)}`,
      ]),
    ...(more > 0 ? [`    … and ${pluralText(more, 'more place')}; --json has them all`] : []),
  ]
}

const unreadLines = (uncopied: SalvagedLog['uncopied']): string[] => {
  const more = uncopied.length - placesShown
  return [
    ...uncopied
      .slice(0, placesShown)
      .flatMap(({ file, offset, evidence }) => [
        `    ${printable(file)}  offset ${countText(offset)}`,
        `      ${printable(evidence)}`,
      ]),
    ...(more > 0 ? [`    … and ${pluralText(more, 'more place')}; --json has them all`] : []),
  ]
}

/** The same as plain data. */
export const salvageJson = ({ logs, ...facts }: SalvagedFolder) => ({
  ...facts,
  logs: logs.map(({ shard, found, salvaged, snapshots, uncopied }) => ({
    shard: shard ?? null,
    ...salvaged,
    snapshots,
    uncopied,
    doubtFrom: found?.doubtFrom ?? null,
    torn: found?.torn ?? null,
    damage: found?.damage ?? [],
  })),
})
