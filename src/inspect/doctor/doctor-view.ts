/** The output of `keelson doctor`, as text and as JSON. Pure. */
import type { Finding, Severity } from '../../storage/index.ts'
import { type Paint, plainPaint, printable, type Tone } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'

/** The findings of an examination, and the repairs. */
export type Examined = {
  readonly dir: string
  readonly isDeep: boolean
  readonly heldBy?: string
  readonly findings: readonly Finding[]
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
  const { findings, repaired, left } = examined
  const parts = [headOf(examined, findings, paint), ...findings.map((each) => textOf(each, paint))]
  if (repaired) {
    const did = repaired.length > 0 ? repaired : ['nothing: no finding has a repair']
    parts.push('repaired', ...did.map((line) => `  ${printable(line)}`))
  }
  if (left) parts.push(headOf(examined, left, paint), ...left.map((each) => textOf(each, paint)))
  return parts.join('\n')
}

const headOf = ({ dir, isDeep }: Examined, findings: readonly Finding[], paint: Paint): string => {
  const how = isDeep ? 'rows of the log compared, every large value read' : 'without --deep'
  return findings.length === 0
    ? `${paint('good', 'sound')}  ${printable(dir)}  (${how})`
    : `${printable(dir)}: ${pluralText(findings.length, 'finding')}  (${how})`
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
  const { dir, isDeep, heldBy, findings, repaired, left } = examined
  return {
    dir,
    status: statusOf(examined),
    deep: isDeep,
    heldBy: heldBy ?? null,
    findings: findings.map(jsonOf),
    repaired: repaired ?? null,
    left: left?.map(jsonOf) ?? null,
  }
}

const jsonOf = ({ repair, shard, ...finding }: Finding) => ({
  ...finding,
  shard: shard ?? null,
  repairable: repair.length > 0,
})
