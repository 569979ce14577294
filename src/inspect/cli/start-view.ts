/**
 * The output of `keelson start` before the prompt: the steps of starting, and the start screen.
 * Pure.
 */
import type { RecoveryProgress, WalWriter } from '../../actors/index.ts'
import type { StartProgress } from '../../supervisors/index.ts'
import type { ShardFacts } from '../answers/shard-survey.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, pluralText } from '../text/quantities.ts'
import { type DurabilitySettings, durabilityWarning, recoveryText } from '../views/shard-view.ts'

/** One step of starting as a line; `undefined` for a step that takes no time, or has its line in the log. */
export const stepText = (progress: StartProgress): string | undefined => {
  const { step, shard, detail, recovery } = progress
  if (step === 'created') return `created ${detail}`
  if (step === 'waiting') return `waits for the engine: ${detail}`
  if (step === 'standby') return `is a standby: ${detail}`
  if (recovery) return `shard ${shard}: ${progressText(recovery)}`
  return step === 'recovering' ? 'recovering …' : undefined
}

/** Whether the start of a member waits, perhaps for ever. */
export const isWait = ({ step }: StartProgress): boolean => step === 'waiting' || step === 'standby'

/** For example `reads its log: 1.20 GB of 3.00 GB, 210 MB/s`. */
const progressText = ({ source, bytes, bytesOfAll, bytesPerSecond }: RecoveryProgress): string =>
  `reads its ${source}: ${bytesText(bytes)} of ${bytesText(bytesOfAll)}, ${bytesText(bytesPerSecond)}/s`

/** The facts of the start screen. */
export type Started = {
  readonly version: string
  readonly dir: string
  /** The configuration file, if there is one. */
  readonly file: string | undefined
  readonly durability: DurabilitySettings
  readonly logs: readonly ShardFacts<WalWriter.LogWriterDescription>[]
}

/** One line: program, folder, shards. The output of piped input follows below. */
export const startLine = ({ version, dir, logs }: Started, paint: Paint = plainPaint): string =>
  `${paint('strong', `Keelson ${version}`)}  ${dir}  ${pluralText(logs.length, 'shard')}`

/** The lines above the prompt. */
export const startScreen = (started: Started, paint: Paint = plainPaint): string => {
  const { file, logs } = started
  const warning = durabilityWarning(started.durability)
  return [
    startLine(started, paint),
    ...(file === undefined ? [] : [`configured by ${file}`]),
    ...logs.map((facts) => shardLine(facts, paint)),
    ...remarkLines(logs).map((line) => paint('odd', line)),
    ...(warning === undefined ? [] : [paint('bad', warning)]),
    'Type help for the commands, tree() for what runs; Ctrl-D ends in order.',
  ].join('\n')
}

/**
 * Oddities that do not prevent opening the logs, each once, as `note: …`, with its shards if not
 * all have it.
 */
export const remarkLines = (logs: Started['logs']): string[] => {
  const shardsBy = new Map<string, number[]>()
  for (const { shard, description } of logs)
    for (const remark of description?.report?.remarks ?? [])
      shardsBy.set(remark, [...(shardsBy.get(remark) ?? []), shard])
  return [...shardsBy].map(([remark, shards]) => {
    const where = shards.length === logs.length ? '' : ` (shard ${shards.join(', ')})`
    return `note${where}: ${printable(remark)}`
  })
}

const shardLine = (facts: ShardFacts<WalWriter.LogWriterDescription>, paint: Paint): string => {
  const { shard, description, trouble, phase } = facts
  if (trouble !== undefined) return `shard ${shard}  ${paint('bad', phase)}: ${trouble}`
  const report = description?.report
  return `shard ${shard}  ${paint('good', phase)}: ${report ? recoveryText(report) : 'recovering'}`
}
