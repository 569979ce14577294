/** Parses `keelson flow`: words in, a checked command out. Pure. */
import { noOptions } from '../../own-names.ts'
import {
  flag,
  type GroupedCommand,
  parsedWords,
  parseGroup,
  read,
  text,
  usageOf,
  type WordOptions,
  whole,
  wrongWords,
} from '../command/command-words.ts'
import { whereIn } from '../text/where-text.ts'

/** `keelson flow`: a word of `flow` at the prompt, with its arguments. */
export type FlowCommand = {
  readonly kind: 'flow'
  readonly word: string
  readonly args: readonly unknown[]
  readonly config: string | undefined
  readonly dir: string | undefined
  readonly verbose: boolean
}

/** The positional words by their names, and the options, as the arguments of the word. */
type ArgsOf = (
  given: readonly (string | undefined)[],
  options: Readonly<Record<string, unknown>>,
) => readonly unknown[]

const inOrder: ArgsOf = (given, options) => [...given, options]

/** A word with positional words; those whose names end with `?` may be left out. */
const command = (
  usage: string,
  names: readonly string[],
  options: WordOptions = noOptions,
  argsOf: ArgsOf = inOrder,
): GroupedCommand<FlowCommand> => {
  const word = /^ {2}keelson flow (\w+)/.exec(usage)?.[1] ?? ''
  const parse = (words: readonly string[]): FlowCommand => {
    const where = { config: text, dir: text, json: flag }
    const { values, positionals } = parsedWords(words, { ...options, ...where })
    const { config, dir, verbose, ...others } = values as typeof values & Record<string, unknown>
    const needed = names.filter((name) => !name.endsWith('?'))
    const { length } = positionals
    const empty = positionals.indexOf('')
    if (empty >= 0) {
      const name = names[empty] ?? 'word'
      throw wrongWords(`flow ${word}: ${name.replace('?', '').toUpperCase()} is empty`)
    }
    if (length < needed.length || length > names.length)
      throw wrongWords(`flow ${word} needs ${names.join(' ').toUpperCase() || 'no word'}`)
    const args = argsOf(
      names.map((_, at) => positionals[at]),
      others,
    )
    return { kind: 'flow', word, args, config, dir, verbose }
  }
  return { usage, parse }
}

const time = read((given, option) => {
  if (given === undefined) return undefined
  const at = /^\d+$/.test(given) ? Number(given) : Date.parse(given)
  if (Number.isFinite(at)) return at
  throw wrongWords(`${option} needs a time such as 2026-11-21T10:00:00Z, found '${given}'`)
})

const json = (given: string | undefined, what: string): unknown => {
  try {
    return given === undefined ? undefined : JSON.parse(given)
  } catch {
    throw wrongWords(`${what} must be JSON, found '${given}'`)
  }
}

const conditions = read((given) => (given === undefined ? undefined : whereIn(given)))

const page = { limit: whole(1, undefined), cursor: text }

const chosen = { status: text, since: time, until: time, parent: text, root: text }

/** Without the flag the instance knows whether there is a queue of this name. */
const ofSchedule: ArgsOf = ([name], { schedule, ...options }) => [
  name,
  { ...options, ...(schedule === true && { schedule }) },
]

const commands: Readonly<Record<string, GroupedCommand<FlowCommand>>> = {
  list: command(
    `  keelson flow list [TYPE] [--status S | --parent TYPE/ID | --root TYPE/ID | --correlation C
                | --where customer=c-7,status=failed]
                [--since TIME] [--until TIME] [--order oldest] [--show input,output] [--limit N] [--cursor C]
      The runs of the workflow TYPE; without it all workflows and queues, with counts.`,
    ['type?'],
    {
      ...chosen,
      ...page,
      correlation: text,
      where: conditions,
      order: text,
      show: read((given) => given?.split(',')),
    },
  ),
  show: command(
    `  keelson flow show TYPE ID [--limit N] [--cursor C]
  keelson flow show QUEUE
      A run with its operations; or a queue.`,
    ['name', 'id?'],
    page,
  ),
  cancel: command(
    `  keelson flow cancel TYPE ID [--reason TEXT] [--force]
      Cancels a run. --force ends it without undos.`,
    ['type', 'id'],
    { reason: text, force: flag },
  ),
  retry: command(
    `  keelson flow retry TYPE ID [--from KEY]
  keelson flow retry QUEUE ID [--queue]
      Resumes a run that failed, was cancelled or is blocked; or a dead job.
      --from KEY      this operation of the run and the later ones run again
      --queue         there is a workflow of this name too`,
    ['name', 'id'],
    { queue: flag, from: text },
    ([name, id], { queue, ...options }) => [
      name,
      id,
      { ...options, ...(queue === true && { queue }) },
    ],
  ),
  fork: command(
    `  keelson flow fork TYPE ID --from KEY --id ID
      Starts a run with the outcomes of this one from before the operation KEY.`,
    ['type', 'id'],
    { from: text, id: text },
  ),
  undo: command(
    `  keelson flow undo TYPE ID
      Undoes a run that was cancelled by --force.`,
    ['type', 'id'],
  ),
  signal: command(
    `  keelson flow signal TYPE ID NAME [JSON] [--id ID]
      Sends a signal with this value. One with the same --id counts once.`,
    ['type', 'id', 'name', 'json?'],
    { id: text },
    ([type, id, name, value], options) => [type, id, name, json(value, 'the value'), options],
  ),
  settle: command(
    `  keelson flow settle TYPE ID KEY --value JSON | --error TEXT
      Decides the outcome of a step that blocks its run.`,
    ['type', 'id', 'key'],
    { value: text, error: text },
    (given, { value, error, ...options }) => {
      if ((value === undefined) === (error === undefined))
        throw wrongWords('flow settle needs --value or --error')
      const decision =
        error === undefined
          ? { value: json(value as string, '--value') }
          : { error: { message: error } }
      return [...given, decision, options]
    },
  ),
  jobs: command(
    `  keelson flow jobs QUEUE [--state S] [--where customer=c-7] [--limit N] [--cursor C]
      The jobs of a queue in one state, or with these attributes.
      --state         waiting (by default without --where), delayed, running, dead or done`,
    ['queue'],
    { ...page, state: text, where: conditions },
  ),
  dead: command(
    `  keelson flow dead QUEUE [--limit N] [--cursor C]
      The dead jobs of a queue.`,
    ['queue'],
    page,
  ),
  job: command(
    `  keelson flow job QUEUE ID
      One job, wherever it is.`,
    ['queue', 'id'],
  ),
  remove: command(
    `  keelson flow remove QUEUE ID
      Removes a job. One that runs is cancelled.`,
    ['queue', 'id'],
  ),
  pause: command(
    `  keelson flow pause QUEUE
  keelson flow pause SCHEDULE [--schedule]
      Lets no job start, or no run by the times of a schedule, until resume. Running ones continue.
      --schedule      there is a queue of this name too`,
    ['name'],
    { schedule: flag },
    ofSchedule,
  ),
  resume: command(
    `  keelson flow resume QUEUE | SCHEDULE [--schedule]`,
    ['name'],
    { schedule: flag },
    ofSchedule,
  ),
  limits: command(
    `  keelson flow limits QUEUE [--concurrency N] [--per-key N] [--rate JSON | --reset]
      The limits of a queue. Given ones change, over restarts and deploys, until --reset.
      --rate          such as '{"max":100,"per":"1s"}'; null: no rate`,
    ['queue'],
    {
      concurrency: whole(1, undefined),
      'per-key': whole(1, undefined),
      rate: read((given) => json(given, '--rate')),
      reset: flag,
    },
    ([queue], { 'per-key': perKey, reset, ...options }) => [
      queue,
      {
        ...options,
        ...(perKey !== undefined && { perKey }),
        ...(reset === true && { reset }),
      },
    ],
  ),
  schedules: command(
    `  keelson flow schedules [--limit N] [--cursor C]
      The schedules of the tree, and those made at run time.`,
    [],
    page,
  ),
  trigger: command(
    `  keelson flow trigger SCHEDULE
      Starts a run of a schedule now, even of a paused one.`,
    ['schedule'],
  ),
  unschedule: command(
    `  keelson flow unschedule SCHEDULE
      Removes a schedule that was made at run time. Its run continues.`,
    ['schedule'],
  ),
}

/** The part of `keelson help` about workflows and queues. */
export const flowUsage = `${usageOf(commands)}
      All of them ask an instance that runs, found as by keelson attach: --config FILE or --dir DIR.
      --json          one line of JSON`

/** Parses the words after `keelson flow`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseFlowCommand = (words: readonly string[]) => parseGroup('flow', commands, words)
