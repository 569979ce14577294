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

/** The options of each command: the configuration with its option `cluster`, and the output. */
type Common = {
  readonly config: string | undefined
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** `keelson cluster status`. */
export type ClusterStatusCommand = Common & { readonly kind: 'cluster status' }

/** `keelson cluster create`. */
export type ClusterCreateCommand = Common & {
  readonly kind: 'cluster create'
  readonly shards: number | undefined
  readonly from: string | undefined
}

/** `keelson cluster drain`. */
export type ClusterDrainCommand = Common & {
  readonly kind: 'cluster drain'
  readonly member: string
}

/** `keelson cluster move`. */
export type ClusterMoveCommand = Common & {
  readonly kind: 'cluster move'
  readonly shard: number
  /** Absent: the members decide again. */
  readonly member: string | undefined
}

/** `keelson cluster accept-loss`. */
export type ClusterAcceptLossCommand = Common & {
  readonly kind: 'cluster accept-loss'
  readonly shard: number
  readonly yes: boolean
}

/** `keelson cluster copies`. */
export type ClusterCopiesCommand = Common & {
  readonly kind: 'cluster copies'
  readonly copies: number
}

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

const commands: Readonly<Record<string, GroupedCommand<ClusterCommand>>> = {
  status: {
    usage: `  keelson cluster status [FILE] [--json]
      Members, owner and logs of the cluster that the configuration FILE names, as the engine shows
      them. It works while members run, and while none does.`,
    parse: (given) => ({ kind: 'cluster status', ...words('status', given, {}).values }),
  },
  create: {
    usage: `  keelson cluster create [FILE] [--shards N | --from DIR] [--json]
      Makes a cluster in the engine: an empty one, which the first member makes without it, or one
      with everything of a data folder that no process uses.
      --shards N      by default the configuration's, else 1
      --from DIR      the folder. It is a cache of the cluster afterwards`,
    parse: (given) => {
      const table = { shards: whole(1, undefined), from: text }
      const { values } = words('create', given, table)
      if ((values.shards ?? 0) > shardsMax) throw wrongWords(`--shards needs at most ${shardsMax}`)
      if (values.from !== undefined && values.shards !== undefined)
        throw wrongWords(
          'cluster create takes --shards or --from: a folder has its number of shards',
        )
      return { kind: 'cluster create', ...values }
    },
  },
  drain: {
    usage: `  keelson cluster drain MEMBER [FILE] [--json]
      Ends a member in order, waits until it has given its lease back, and until another one owns.`,
    parse: (given) => {
      const { values, named } = words('drain', given, {}, ['MEMBER'])
      return { kind: 'cluster drain', member: named[0] as string, ...values }
    },
  },
  move: {
    usage: `  keelson cluster move SHARD MEMBER [FILE] [--json]
  keelson cluster move SHARD --anywhere [FILE] [--json]
      Gives a shard to a member, and waits until it is there. It stays there while that member runs.
      --anywhere      the members decide again where it is`,
    parse: (given) => {
      const isAnywhere = given.includes('--anywhere')
      const needed = isAnywhere ? ['SHARD'] : ['SHARD', 'MEMBER']
      const { values, named } = words('move', given, { anywhere: flag }, needed)
      const { anywhere: _, ...rest } = values
      const [shard = '', member] = named
      return {
        kind: 'cluster move',
        shard: shardNumber('move', shard),
        member: isAnywhere ? undefined : member,
        ...rest,
      }
    },
  },
  copies: {
    usage: `  keelson cluster copies N [FILE] [--json]
      Changes how many machines must have what is acknowledged. No member may run. All members must
      say the same number in their configuration.`,
    parse: (given) => {
      const { values, named } = words('copies', given, {}, ['N'])
      const [copies = ''] = named
      if (!/^[1-9]$/.test(copies))
        throw wrongWords(`cluster copies needs a number from 1 to 9, found '${copies}'`)
      return { kind: 'cluster copies', copies: Number(copies), ...values }
    },
  },
  'accept-loss': {
    usage: `  keelson cluster accept-loss SHARD [FILE] [--yes] [--json]
      Shows what the engine lost of a shard that is marked as lost. No member starts it until then.
      --yes           accepts it: members go on with what the engine has`,
    parse: (given) => {
      const { values, named } = words('accept-loss', given, { yes: flag }, ['SHARD'])
      const [shard = ''] = named
      return {
        kind: 'cluster accept-loss',
        shard: shardNumber('accept-loss', shard),
        ...values,
      }
    },
  },
}

/** The part of `keelson help` about clusters. */
export const clusterUsage = usageOf(commands)

/** Parses the words after `keelson cluster`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseClusterCommand = (given: readonly string[]) =>
  parseGroup('cluster', commands, given)
