/** Parses `keelson cluster`: words in, a checked command out. Pure. */
import {
  flag,
  type GroupedCommand,
  parsedWords,
  parseGroup,
  reported,
  text,
  usageOf,
  type WordOptions,
  whole,
  wrongWords,
} from '../command/command-words.ts'

/** `keelson cluster status`. */
export type ClusterStatusCommand = ReturnType<typeof statusCommand>

/** `keelson cluster create`. */
export type ClusterCreateCommand = ReturnType<typeof createCommand>

/** `keelson cluster drain`. */
export type ClusterDrainCommand = ReturnType<typeof drainCommand>

/** `keelson cluster move`. Without `member` the members decide again. */
export type ClusterMoveCommand = ReturnType<typeof moveCommand>

/** `keelson cluster accept-loss`. */
export type ClusterAcceptLossCommand = ReturnType<typeof acceptLossCommand>

/** `keelson cluster copies`. */
export type ClusterCopiesCommand = ReturnType<typeof copiesCommand>

/** The commands of `keelson cluster`. */
export type ClusterCommand =
  | ClusterStatusCommand
  | ClusterCreateCommand
  | ClusterDrainCommand
  | ClusterMoveCommand
  | ClusterAcceptLossCommand
  | ClusterCopiesCommand

/** The options of a command, and its words before the configuration. */
const words = <O extends WordOptions>(
  name: string,
  given: readonly string[],
  table: O,
  needed: readonly string[] = [],
) => {
  const { values, positionals } = parsedWords(given, { ...table, ...reported, config: text })
  const [file, second] = positionals.slice(needed.length)
  if (positionals.length < needed.length || positionals.includes(''))
    throw wrongWords(`cluster ${name} needs ${needed.join(' ')}`)
  if (second !== undefined || (file !== undefined && values.config !== undefined))
    throw wrongWords(`cluster ${name} takes one configuration file`)
  return { values: { ...values, config: file ?? values.config }, named: positionals }
}

/** No instance has more. */
const shardsMax = 1_024

const shardNumber = (command: string, word: string): number => {
  if (!/^\d{1,4}$/.test(word))
    throw wrongWords(`cluster ${command} needs the number of a shard, found '${word}'`)
  return Number(word)
}

const statusCommand = (given: readonly string[]) =>
  ({ kind: 'cluster status', ...words('status', given, {}).values }) as const

const createCommand = (given: readonly string[]) => {
  const table = { shards: whole(1, undefined), from: text }
  const { values } = words('create', given, table)
  if ((values.shards ?? 0) > shardsMax) throw wrongWords(`--shards needs at most ${shardsMax}`)
  if (values.from !== undefined && values.shards !== undefined)
    throw wrongWords('cluster create takes --shards or --from: a folder has its number of shards')
  return { kind: 'cluster create', ...values } as const
}

const drainCommand = (given: readonly string[]) => {
  const { values, named } = words('drain', given, {}, ['MEMBER'])
  return { kind: 'cluster drain', member: named[0] as string, ...values } as const
}

const moveCommand = (given: readonly string[]) => {
  const isAnywhere = given.includes('--anywhere')
  const needed = isAnywhere ? ['SHARD'] : ['SHARD', 'MEMBER']
  const { values, named } = words('move', given, { anywhere: flag }, needed)
  const { anywhere: _, ...rest } = values
  const [word = '', second] = named
  const shard = shardNumber('move', word)
  const member = isAnywhere ? undefined : second
  return { kind: 'cluster move', shard, member, ...rest } as const
}

const copiesCommand = (given: readonly string[]) => {
  const { values, named } = words('copies', given, {}, ['N'])
  const [copies = ''] = named
  if (!/^[1-9]$/.test(copies))
    throw wrongWords(`cluster copies needs a number from 1 to 9, found '${copies}'`)
  return { kind: 'cluster copies', copies: Number(copies), ...values } as const
}

const acceptLossCommand = (given: readonly string[]) => {
  const { values, named } = words('accept-loss', given, { yes: flag }, ['SHARD'])
  const [word = ''] = named
  const shard = shardNumber('accept-loss', word)
  return { kind: 'cluster accept-loss', shard, ...values } as const
}

const commands: Readonly<Record<string, GroupedCommand<ClusterCommand>>> = {
  status: {
    parse: statusCommand,
    usage: `  keelson cluster status [FILE] [--json]
      Members, owner and logs of the cluster that the configuration FILE names, as the engine shows
      them. It works while members run, and while none does.`,
  },
  create: {
    parse: createCommand,
    usage: `  keelson cluster create [FILE] [--shards N | --from DIR] [--json]
      Makes a cluster in the engine: an empty one, which the first member makes without it, or one
      with everything of a data folder that no process uses.
      --shards N      by default the configuration's, else 1
      --from DIR      the folder. It is a cache of the cluster afterwards`,
  },
  drain: {
    parse: drainCommand,
    usage: `  keelson cluster drain MEMBER [FILE] [--json]
      Ends a member in order, waits until it has given its lease back, and until another one owns.`,
  },
  move: {
    parse: moveCommand,
    usage: `  keelson cluster move SHARD MEMBER [FILE] [--json]
  keelson cluster move SHARD --anywhere [FILE] [--json]
      Gives a shard to a member, and waits until it is there. It stays there while that member runs.
      --anywhere      the members decide again where it is`,
  },
  copies: {
    parse: copiesCommand,
    usage: `  keelson cluster copies N [FILE] [--json]
      Changes how many machines must have what is acknowledged. No member may run. All members must
      say the same number in their configuration.`,
  },
  'accept-loss': {
    parse: acceptLossCommand,
    usage: `  keelson cluster accept-loss SHARD [FILE] [--yes] [--json]
      Shows what the engine lost of a shard that is marked as lost. No member starts it until then.
      --yes           accepts it: members continue with what the engine has`,
  },
}

/** The part of `keelson help` about clusters. */
export const clusterUsage = usageOf(commands)

/** Parses the words after `keelson cluster`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseClusterCommand = (given: readonly string[]) =>
  parseGroup('cluster', commands, given)
