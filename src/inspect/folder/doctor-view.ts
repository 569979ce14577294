/** The output of `keelson doctor`, as text and as JSON. Pure. */
import type { LogVerification } from '../../storage/index.ts'
import type { Finding, LogFacts, Severity } from '../../tools/index.ts'
import { type DiskUse, diskText } from '../text/disk-text.ts'
import { type Paint, plainPaint, printable, type Tone } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'

/** A log that was judged, and its shard; no shard for a log alone. */
export type ExaminedLog = LogFacts & { readonly shard?: number; readonly dir: string }

/** The findings of an examination, and the repairs. */
export type Examined = {
  readonly dir: string
  /** Absent for a log alone. */
  readonly isDeep?: boolean
  readonly heldBy?: string
  /** The parts that fill the folder; absent for a log alone. */
  readonly disk?: DiskUse
  readonly findings: readonly Finding[]
  /** After a repair as they are then. */
  readonly logs: readonly ExaminedLog[]
  /** A sentence for each step; absent without `--repair`. */
  readonly repaired?: readonly string[]
  /** The findings that are left after a repair; absent if nothing was done. */
  readonly left?: readonly Finding[]
}

/** The exit status. A note calls for nothing. */
export const statusOf = ({ findings, left = findings }: Examined): number =>
  left.every(({ severity }) => severity === 'note') ? 0 : 1

const tones: Readonly<Record<Severity, Tone>> = { damage: 'bad', warning: 'odd', note: 'faint' }

/** The output as text. */
export const doctorText = (examined: Examined, paint: Paint = plainPaint): string => {
  const { findings, disk, logs, repaired, left } = examined
  const parts = [
    headOf(examined, findings, paint),
    ...(disk ? [diskText(disk)] : []),
    ...logs.flatMap((log) => logText(log, paint)),
    ...textsOf(findings, paint),
  ]
  if (repaired) {
    const did = repaired.length > 0 ? repaired : ['nothing: no finding has a repair']
    parts.push('repaired', ...did.map((line) => `  ${printable(line)}`))
  }
  if (left) parts.push(headOf(examined, left, paint), ...textsOf(left, paint))
  return parts.join('\n')
}

const headOf = (
  { dir, isDeep, heldBy }: Examined,
  findings: readonly Finding[],
  paint: Paint,
): string => {
  const head =
    findings.length === 0
      ? `${paint('good', 'sound')}  ${printable(dir)}`
      : `${printable(dir)}: ${pluralText(findings.length, 'finding')}`
  if (isDeep === undefined) return head
  return `${head}  (${readText(isDeep, heldBy !== undefined)})`
}

/** A folder in use changes while it is read: its rows and its large values are not judged. */
const readText = (isDeep: boolean, isInUse: boolean): string => {
  if (isInUse) return 'in use: only keelson.json, logs and snapshots were read'
  return isDeep ? 'rows of the log compared, every large value read' : 'without --deep'
}

/** The verdict on a log in one line; none for a log that has none. */
const logText = ({ shard, found }: ExaminedLog, paint: Paint): string[] => {
  if (!found) return []
  const { walId, epoch, frames, dataFrames, firstLsn, lastLsn, provenLsn, provenBy } = found
  const salvaged = found.lostBefore.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const parts = [
    `${verdictText(found, paint)}: log ${walId}, epoch ${epoch}`,
    `${pluralText(frames, 'frame')} (${countText(dataFrames)} DATA)`,
    frames > 0 ? `lsn ${countText(firstLsn)} to ${countText(lastLsn)}` : '',
    `durable up to lsn ${countText(provenLsn)} by ${printable(provenBy)}`,
    found.doubtFrom === undefined ? '' : `in doubt from lsn ${countText(found.doubtFrom)} on`,
    salvaged === 0 ? '' : `an earlier salvage had lost ${pluralText(salvaged, 'frame')}`,
    commitmentsText(found),
  ]
  const name = shard === undefined ? 'log' : `shard ${shard}`
  return [`${paint('strong', name)}  ${parts.filter((part) => part !== '').join(', ')}`]
}

const verdictText = ({ verdict, tail }: LogVerification, paint: Paint): string => {
  if (verdict === 'corrupt') return paint('bad', 'CORRUPT')
  if (verdict === 'torn') return paint('odd', 'torn')
  const how = { clean: ', closed', unclean: ', not closed', torn: '', open: ', open' }[tail]
  return paint('good', `clean${how}`)
}

const commitmentsText = ({ commitments }: LogVerification): string => {
  if (!commitments) return ''
  const { size, root, uncovered } = commitments
  const rest = uncovered > 0 ? ` without ${pluralText(uncovered, 'DATA frame')}` : ''
  return `${pluralText(size, 'group')} committed${rest}, root ${root}`
}

/** The most findings of one code that are shown as text. */
const findingsShown = 20

const textsOf = (findings: readonly Finding[], paint: Paint): string[] => {
  const counts = new Map<string, number>()
  const shown = findings.filter(({ code }) => {
    const count = (counts.get(code) ?? 0) + 1
    counts.set(code, count)
    return count <= findingsShown
  })
  const more = [...counts].filter(([, count]) => count > findingsShown)
  return [
    ...shown.map((each) => textOf(each, paint)),
    ...more.map(
      ([code, count]) =>
        `… and ${countText(count - findingsShown)} more of ${code}; --json has all`,
    ),
  ]
}

const textOf = (
  { severity, code, shard, file, means, evidence, remedy }: Finding,
  paint: Paint,
): string => {
  const place = shard === undefined ? '' : `shard ${shard}: `
  const facts = factList([
    ['file', printable(file)],
    ['seen', printable(evidence)],
    ['remedy', printable(remedy)],
  ])
  return [
    `${paint(tones[severity], severity)}  ${paint('strong', code)}  ${place}${means}`,
    ...facts.split('\n').map((line) => `  ${line}`),
  ].join('\n')
}

/** The same as plain data. */
export const doctorJson = (examined: Examined) => {
  const { dir, isDeep, heldBy, disk, findings, logs, repaired, left } = examined
  return {
    dir,
    status: statusOf(examined),
    deep: isDeep ?? false,
    heldBy: heldBy ?? null,
    disk: disk ?? null,
    findings: findings.map(jsonOf),
    logs: logs.map(logJson),
    repaired: repaired ?? null,
    left: left?.map(jsonOf) ?? null,
  }
}

const logJson = ({ shard, dir, found, refused }: ExaminedLog) => {
  const { good: _, ...judged } = found ?? {}
  const error = refused && { code: refused.code, message: refused.message }
  return { shard: shard ?? null, dir, ...judged, ...(error && { error }) }
}

const jsonOf = ({ repair, shard, ...finding }: Finding) => ({
  ...finding,
  shard: shard ?? null,
  repairable: repair.length > 0,
})
