/** The findings of `keelson wal verify`, as an exit status, as text and as JSON. Pure. */

import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import type {
  Damage,
  LogKnowledge,
  LogVerification,
  LsnRange,
  SalvagedShard,
} from '../../storage/index.ts'
import { errorText } from '../text/error-view.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type { LogTarget, WalTarget } from './wal-target.ts'

/** Exit statuses of `keelson wal`, beside the usual ones. */
export const walStatuses = { clean: 0, torn: 3, corrupt: 4 } as const

/** The finding about one log: its verification, or why there is none. */
export type VerifiedLog = {
  readonly target: LogTarget
  /** Facts from beside the log, such as its snapshots and LMDB's position. */
  readonly knowledge: LogKnowledge
  /** Oddities beside the log. */
  readonly remarks: readonly string[]
  readonly found?: LogVerification
  /** There is no log, or a newer version wrote it. */
  readonly refused?: KeelsonError
  readonly elapsedMs: number
}

/** The findings about a folder. */
export type VerifiedFolder = { readonly target: WalTarget; readonly logs: readonly VerifiedLog[] }

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

/** The faults of the folder as a whole: its `keelson.json`, or a missing log. */
export const folderDamage = ({ target, logs }: VerifiedFolder): Damage[] => {
  const isUnmade = logs.every(({ found }) => !found || found.frames === 0)
  const gone = logs.filter(
    ({ refused }) => target.facts !== undefined && isKeelsonError(refused, 'NO_SEGMENTS'),
  )
  return [
    ...(isUnmade && !target.facts && target.isDataFolder ? [] : target.damage),
    ...gone.map(({ target: { dir } }) => ({
      file: dir,
      offset: 0,
      lsn: 1,
      evidence: 'keelson.json says that this log was made, and there is none',
    })),
  ]
}

/** The exit status: that of the worst finding. */
export const statusOf = (folder: VerifiedFolder): number => {
  const { logs } = folder
  const verdicts = logs.map(({ found }) => found?.verdict)
  if (folderDamage(folder).length > 0 || verdicts.includes('corrupt')) return walStatuses.corrupt
  if (logs.some(({ refused }) => refused)) return 1
  return verdicts.includes('torn') ? walStatuses.torn : walStatuses.clean
}

/** The most damaged places of one log that are shown; the rest is counted, and in `--json`. */
export const placesShown = 20

/** `5`, or `5 to 9`. */
const rangeText = ({ from, to }: LsnRange): string =>
  from === to ? countText(from) : `${countText(from)} to ${countText(to)}`

/** `3 frames: lsn 5, 7 to 8`. */
export const rangesText = (ranges: readonly LsnRange[]): string => {
  const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const shown = ranges.slice(0, placesShown).map(rangeText).join(', ')
  const more = ranges.length > placesShown ? `, and ${ranges.length - placesShown} more ranges` : ''
  return `${pluralText(count, 'frame')}: lsn ${shown}${more}`
}

/** The output as text. */
export const verifyText = (folder: VerifiedFolder, paint: Paint = plainPaint): string => {
  const { target, logs } = folder
  const status = statusOf(folder)
  const held = target.heldBy
    ? [paint('odd', `${target.heldBy}; it is judged up to what is durable, and its end is open`)]
    : []
  const damage = folderDamage(folder).map(
    ({ file, evidence }) =>
      `${paint('bad', 'CORRUPT')}  ${printable(file)}: ${printable(evidence)}`,
  )
  const next =
    status === 4
      ? [
          `Nothing was changed. This command copies everything readable into a new folder:`,
          `  keelson wal salvage ${printable(target.dir)} --to DIR2`,
        ]
      : []
  return [...held, ...damage, ...logs.map((log) => logText(log, paint)), ...next].join('\n')
}

const logText = (log: VerifiedLog, paint: Paint): string => {
  const { target, remarks, found, refused, elapsedMs } = log
  const name = target.known === undefined ? 'log' : `shard ${target.known.shard}`
  const head = `${paint('strong', name)}  ${printable(target.dir)}`
  if (!found) return `${head}\n  ${refused ? errorText(refused) : ''}`
  const { damage } = found
  const facts = [
    ...logFacts(found, elapsedMs, paint),
    ...remarkFacts([...remarks, ...found.remarks]),
    ...(damage.length > 0
      ? [['damage', paint('bad', pluralText(damage.length, 'place'))] as const]
      : []),
  ]
  const lines = factList(facts).split('\n')
  return [head, ...lines.map((line) => `  ${line}`), ...damageLines(damage)].join('\n')
}

const verdictText = ({ verdict, tail }: LogVerification, paint: Paint): string => {
  if (verdict === 'corrupt') return paint('bad', 'CORRUPT: what was durable is damaged or missing')
  if (verdict === 'torn')
    return paint('odd', 'a torn tail, which opening cuts: nothing acknowledged is in it')
  const how = { clean: ', closed', unclean: ', not closed', torn: '', open: ', open' }[tail]
  return paint('good', `clean${how}`)
}

const logFacts = (
  found: LogVerification,
  elapsedMs: number,
  paint: Paint,
): (readonly [string, string])[] => {
  const { walId, epoch, segments, bytes, frames, dataFrames, firstLsn, lastLsn, torn } = found
  const rate = (bytes / Math.max(elapsedMs, 1)) * 1_000
  const lsns = frames > 0 ? `, lsn ${rangeText({ from: firstLsn, to: lastLsn })}` : ''
  return [
    ['verdict', verdictText(found, paint)],
    ['log', `${walId}, epoch ${epoch}, ${pluralText(segments, 'segment')}, ${bytesText(bytes)}`],
    ['frames', `${countText(frames)} good (${countText(dataFrames)} DATA)${lsns}`],
    ['durable', `proven up to lsn ${countText(found.provenLsn)}, by ${printable(found.provenBy)}`],
    ...(found.lost.length > 0
      ? [['lost', paint('bad', `${rangesText(found.lost)}; proven to have been durable`)] as const]
      : []),
    ...(found.doubtFrom !== undefined
      ? [
          [
            'in doubt',
            `lsn ${countText(found.doubtFrom)} and on: nothing proves that there were such frames, or that there were none`,
          ] as const,
        ]
      : []),
    ...(torn
      ? [
          [
            'torn',
            `${torn.file}, offset ${countText(torn.offset)}, lsn ${countText(torn.lsn)}: ${countText(torn.bytes)} bytes`,
          ] as const,
        ]
      : []),
    ...(found.commitments ? [['committed', commitmentsText(found.commitments)] as const] : []),
    ...(found.lostBefore.length > 0
      ? [['salvaged', `an earlier salvage had lost ${rangesText(found.lostBefore)}`] as const]
      : []),
    ['read', `${bytesText(bytes)} in ${durationText(elapsedMs)}, ${bytesText(rate)}/s`],
  ]
}

const commitmentsText = ({
  size,
  root,
  uncovered,
}: NonNullable<LogVerification['commitments']>): string => {
  const rest = uncovered > 0 ? `, without ${pluralText(uncovered, 'DATA frame')}` : ''
  return `${pluralText(size, 'group')}, root ${root}${rest}`
}

const remarkFacts = (remarks: readonly string[]): (readonly [string, string])[] =>
  remarks.map((remark) => ['note', printable(remark)])

/** Damaged places, two lines each; those beyond the limit are counted. */
export const damageLines = (damage: readonly Damage[]): string[] => {
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

/** The same as plain data. */
export const verifyJson = (folder: VerifiedFolder) => ({
  dir: folder.target.dir,
  status: statusOf(folder),
  verdict: { 0: 'clean', 3: 'torn', 4: 'corrupt' }[statusOf(folder)] ?? 'unreadable',
  heldBy: folder.target.heldBy ?? null,
  damage: folderDamage(folder),
  logs: folder.logs.map(({ target, remarks, found, refused, elapsedMs }) => ({
    shard: target.known?.shard ?? null,
    dir: target.dir,
    elapsedMs,
    ...(refused
      ? { error: { code: refused.code, message: refused.message, details: refused.details } }
      : {}),
    ...(found ? withoutFrames(found, remarks) : {}),
  })),
})

const withoutFrames = ({ good: _, ...found }: LogVerification, remarks: readonly string[]) => ({
  ...found,
  remarks: [...remarks, ...found.remarks],
})
