/** What `keelson start` says before the prompt: the steps of starting, and then who is there. Pure. */
import type { WalWriter } from '../actors/index.ts'
import type { StartProgress } from '../supervisors/index.ts'
import { type Paint, plainPaint } from './paint.ts'
import { pluralText } from './quantities.ts'
import type { ShardFacts } from './shard-survey.ts'
import { type Durability, durabilityWarning, recoveryText } from './shard-view.ts'

/** One step of starting as a line; `undefined` for those that are over at once. */
export const stepText = ({ step, shard, detail }: StartProgress): string | undefined => {
  if (step === 'created') return `created ${detail}`
  if (step === 'recovering') return 'recovering …'
  return step === 'down' ? `shard ${shard} is down` : undefined
}

/** What the start screen tells of. */
export type Started = {
  readonly version: string
  readonly dir: string
  /** The configuration file, if there is one. */
  readonly file: string | undefined
  readonly durability: Durability
  readonly logs: readonly ShardFacts<WalWriter.WriterDescription>[]
}

/** One line: program, folder, shards. What is piped in is answered below it. */
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
    ...(warning === undefined ? [] : [paint('bad', warning)]),
    'Type help for the commands, tree() for what runs; Ctrl-D ends in order.',
  ].join('\n')
}

const shardLine = (facts: ShardFacts<WalWriter.WriterDescription>, paint: Paint): string => {
  const { shard, description, trouble, phase } = facts
  if (trouble !== undefined) return `shard ${shard}  ${paint('bad', phase)}: ${trouble}`
  const report = description?.report
  return `shard ${shard}  ${paint('good', phase)}: ${report ? recoveryText(report) : 'recovering'}`
}
