/** Parses the command line: words in, a checked command out. Pure. */

import {
  type ClusterCommand,
  clusterUsage,
  parseClusterCommand,
} from '../cluster/cluster-command-line.ts'
import { flag, parsedWords, read, text, whole, wrongWords } from '../command/command-words.ts'
import { parseStreamsCommand, type StreamsCommand, streamsUsage } from '../command/streams-words.ts'
import {
  type BackupCommand,
  backupUsage,
  type OpenCommand,
  parseBackup,
  parseOpen,
  parseReshard,
  parseRestore,
  type ReshardCommand,
  type RestoreCommand,
  type RestoreReplicaCommand,
} from '../folder/backup-command-line.ts'
import { type DoctorCommand, doctorUsage, parseDoctor } from '../folder/doctor-command-line.ts'
import {
  type JournalCommand,
  journalUsage,
  parseJournalCommand,
} from '../folder/journal-command-line.ts'
import { parseWalCommand, type WalCommand, walUsage } from '../folder/wal-command-line.ts'
import { type McpCommand, mcpUsage, parseMcp } from '../mcp/mcp-command-line.ts'
import {
  parseRehearse,
  type RehearseCommand,
  rehearseUsage,
} from '../rehearsal/rehearse-command-line.ts'
import { type FlowCommand, flowUsage, parseFlowCommand } from './flow-command-line.ts'

/** The words that say which instance. Paths are as they were written. */
export type InstanceWords = {
  readonly config: string | undefined
  readonly dir: string | undefined
  /** `--acts`: a copy acts from here on. */
  readonly acts?: true
  /** `--no-app`: the store alone, whatever the configuration has. */
  readonly app?: false
}

/** `keelson start`, `run`, `dev`, `check` and `attach`. */
export type InstanceCommand = InstanceWords & {
  readonly kind: 'start' | 'run' | 'dev' | 'check' | 'attach'
  readonly verbose: boolean
  /** Its prompt hides nothing: `--reveal` of `keelson open`. */
  readonly reveal?: boolean
  /** `--log json` of `keelson run`: its lines are JSON. */
  readonly log?: 'json'
  /** `--members` of `keelson run`: how many processes share the folder. */
  readonly members?: number | 'cores'
  /** `--member` of `keelson attach`: one of several that share the folder. */
  readonly member?: string
  /** `--against` of `keelson check`: the stored data that the tree is checked against. */
  readonly against?: string
}

/** `keelson observe`. */
export type ObserveCommand = ReturnType<typeof observeCommand>

/** `keelson init`. */
export type InitCommand = ReturnType<typeof initCommand>

/** `keelson health`. */
export type HealthCommand = ReturnType<typeof healthCommand>

/** `keelson history`. `entity`: its kind and its id. `at`: an LSN. */
export type HistoryCommand = ReturnType<typeof historyCommand>

/** The commands of `keelson`. */
export type ParsedCommand =
  | InstanceCommand
  | ObserveCommand
  | McpCommand
  | InitCommand
  | HealthCommand
  | HistoryCommand
  | BackupCommand
  | RestoreCommand
  | RestoreReplicaCommand
  | ReshardCommand
  | OpenCommand
  | DoctorCommand
  | RehearseCommand
  | WalCommand
  | JournalCommand
  | FlowCommand
  | StreamsCommand
  | ClusterCommand
  /** `text`: the help of one command; `usage` by default. */
  | { readonly kind: 'help'; readonly text?: string }
  | { readonly kind: 'version' }

const initUsage = `  keelson init [DIR] [--ts | --js] [--http | --no-http] [--docker | --no-docker]
      Writes a service into a folder: a durable actor, a workflow, and a test of both. It adds what is
      missing beside a package.json, overwrites nothing, and says what it left. On a terminal it asks
      for what the words leave open; elsewhere that is JavaScript, no HTTP and no Dockerfile.
      --ts            TypeScript, as it is where the folder has a tsconfig.json
      --js            JavaScript with types in comments
      --http          an HTTP server in the tree, with orders, stock and health
      --docker        a Dockerfile`

const devUsage = `  keelson dev [FILE] [--dir DIR]
      keelson run for work on the service: it starts again when a file of the folder changes, keeps the
      data, and says which parts of the tree are new or gone. A service that fails waits for the next
      change. Ctrl-C ends in order.`

/** The output of `keelson help`. */
export const usage = `Usage:
  keelson start [FILE] [--dir DIR] [--acts | --no-app]
      Starts the instance and gives a prompt. Piped input is run line by line.
      Without a terminal and without piped input it is keelson run.
      FILE            keelson.config.ts, .mts, .js, .mjs or .json, or --config FILE;
                      by default the one in this folder, if any
      --dir DIR       the data folder; by default the configuration's, else ./keelson-data
      --acts          a restored folder acts from here on, in the place of its origin
      --no-app        the store alone: no actor runs, no alarm fires, no replica is written

  keelson run [FILE] [--dir DIR] [--acts | --no-app] [--log text|json] [--members N|cores]
      The same as a service: no prompt, a line that says ready, an orderly end at SIGTERM or SIGINT.
      --log json      one object of JSON for each line
      --members N     N processes on the data folder, or as many as there are cores

${devUsage}

${initUsage}

  keelson check [FILE] [--dir DIR] [--against DIR|BACKUP|CASES]
      Checks the configuration and prints the tree that it would start. Nothing starts.
      --against DATA  names the parts that these data need and the tree lacks: kinds, workers, workflows,
                      queues, versions. A copy is read, as by rehearse; nothing of the tree is called

  keelson attach [FILE] [--dir DIR] [--member NAME]
      The prompt of an instance that runs: of keelson run, or one with the option attach.
      It ends without ending the instance.
      --member NAME   one of several processes on the folder; without it they are listed

  keelson observe [FILE] [--dir DIR] [--member NAME] [--port PORT] [--write] [--open]
      A page in the browser that shows an instance that runs, on this machine alone. Of several
      processes on the folder it shows all; --member says over which one.
      --port PORT     the port on 127.0.0.1; by default a free one
      --write         the page may act: kill, restart, cancel, retry, delete
      --open          opens the browser

  keelson health [FILE] [--dir DIR] [--member NAME] [--json]
      Prints the troubles of an instance that runs, the worst first, since when, and the word of the
      prompt that leads to the cause. Status 1: something is in trouble, or no instance answers. Of
      several processes on the folder one answers for all; --member says which one.
      --json          all facts as one line of JSON, with troubles

${mcpUsage}

  keelson history DIR KIND ID [--at LSN] [--limit N] [--before CURSOR] [--reveal] [--json]
      The turns of a durable actor, the newest first: of a folder at rest, or of a running instance with
      the option attach.
      KIND            of a durable worker $worker, of a run $flow- and its workflow; quote the dollar
      --at LSN        as of this LSN: later turns are left out
      --before CURSOR continues before the page that named it
      --reveal        prints states, of which a folder at rest shows type and length, and secrets

${backupUsage}

${doctorUsage}

${rehearseUsage}

${flowUsage}

${streamsUsage}

${clusterUsage}

${walUsage}

${journalUsage}

  keelson help, keelson --version

Everywhere: --verbose shows stacks of errors, as KEELSON_DEBUG=1 does.
Exit status: 0 in order, 1 a failure (CODE: message on standard error), 2 a wrong command line;
of wal salvage: 4 something is lost; of rehearse and check: 4 findings; of journal verify: 4 the proof
does not hold; of restore --shards and reshard: 4 something is against more shards.`

/**
 * Parses the words after `keelson`.
 * @throws KeelsonError `INVALID_ARGUMENT` that names the fault
 */
export const parseCommandLine = (words: readonly string[]): ParsedCommand => {
  const [first, ...rest] = words
  if (first === 'wal') return parseWalCommand(rest)
  if (first === 'flow') return parseFlowCommand(rest)
  if (first === 'streams') return parseStreamsCommand(rest)
  if (first === 'cluster') return parseClusterCommand(rest)
  if (first === 'journal') return parseJournalCommand(rest)
  const isHelp = words.includes('--help') || words.includes('-h')
  if (first === 'init' && isHelp) return { kind: 'help', text: `Usage:\n${initUsage}` }
  if (first === 'dev' && isHelp) return { kind: 'help', text: `Usage:\n${devUsage}` }
  if (first === undefined || first === 'help' || isHelp) return { kind: 'help' }
  if (first === '--version' || first === '-v' || first === 'version') return { kind: 'version' }
  if (isInstanceKind(first)) return instanceCommand(first, rest)
  if (first === 'observe') return observeCommand(rest)
  if (first === 'mcp') return parseMcp(rest)
  if (first === 'init') return initCommand(rest)
  if (first === 'health') return healthCommand(rest)
  if (first === 'history') return historyCommand(rest)
  if (first === 'backup') return parseBackup(rest)
  if (first === 'restore') return parseRestore(rest)
  if (first === 'reshard') return parseReshard(rest)
  if (first === 'open') return parseOpen(rest)
  if (first === 'doctor') return parseDoctor(rest)
  if (first === 'rehearse') return parseRehearse(rest)
  throw wrongWords(
    `there is no command '${first}'; the commands are init, start, run, dev, check, attach, health, observe, mcp, history, backup, restore, reshard, open, doctor, rehearse, flow, streams, cluster, wal, journal, help`,
  )
}

const count = read((given, option): number | 'cores' | undefined => {
  if (given === undefined || given === 'cores') return given
  if (/^[1-9]\d{0,3}$/.test(given)) return Number(given)
  throw wrongWords(`${option} needs a whole number from 1, or cores, found '${given}'`)
})

const instanceKinds = ['start', 'run', 'dev', 'check', 'attach'] as const

const isInstanceKind = (word: string): word is InstanceCommand['kind'] =>
  instanceKinds.some((kind) => kind === word)

const instanceCommand = (
  kind: InstanceCommand['kind'],
  words: readonly string[],
): InstanceCommand => {
  const options = {
    config: text,
    dir: text,
    acts: flag,
    'no-app': flag,
    log: text,
    members: count,
    member: text,
    against: text,
  }
  const { values, positionals } = parsedWords(words, options)
  const { log, acts, 'no-app': noApp, dir, verbose, members, member, against } = values
  if (acts && noApp) throw wrongWords('--acts and --no-app exclude each other')
  if (kind !== 'start' && kind !== 'run' && (acts || noApp))
    throw wrongWords('--acts and --no-app are of start and run')
  if (kind !== 'run' && (log !== undefined || members !== undefined))
    throw wrongWords(`--${log === undefined ? 'members' : 'log'} is of run`)
  if (kind !== 'attach' && member !== undefined)
    throw wrongWords('--member is of attach, health, observe and mcp')
  if (kind !== 'check' && against !== undefined)
    throw wrongWords('--against is of check and rehearse')
  if (log !== undefined && log !== 'text' && log !== 'json')
    throw wrongWords(`--log must be text or json, found '${log}'`)
  const named = [...(values.config === undefined ? [] : [values.config]), ...positionals]
  const [config, second] = named
  if (second !== undefined)
    throw wrongWords(`${kind} takes one configuration file, and '${second}' is another`)
  if (config === '') throw wrongWords(`${kind}: the name of the configuration file is empty`)
  return {
    kind,
    config,
    dir,
    verbose,
    ...(log === 'json' && { log }),
    ...(members !== undefined && { members }),
    ...(member !== undefined && { member }),
    ...(against !== undefined && { against }),
    ...(acts && { acts }),
    ...(noApp && { app: false }),
  }
}

const observeCommand = (words: readonly string[]) => {
  const options = {
    config: text,
    dir: text,
    member: text,
    port: whole(0, 0),
    write: flag,
    open: flag,
  }
  const { values, positionals } = parsedWords(words, options)
  const [config = values.config, second] = positionals
  if (second !== undefined || (positionals.length > 0 && values.config !== undefined))
    throw wrongWords('observe takes one configuration file')
  if (values.port > 65_535) throw wrongWords(`--port needs a port, found ${values.port}`)
  return { kind: 'observe', ...values, config } as const
}

const initCommand = (words: readonly string[]) => {
  const { values, positionals } = parsedWords(words, {
    ts: flag,
    js: flag,
    http: flag,
    'no-http': flag,
    docker: flag,
    'no-docker': flag,
  })
  const [dir = '.', second] = positionals
  if (dir === '' || second !== undefined) throw wrongWords('init takes one folder, or none')
  const chosen = (yes: keyof typeof values, no: keyof typeof values): boolean | undefined => {
    if (values[yes] && values[no]) throw wrongWords(`--${yes} and --${no} exclude each other`)
    return values[yes] ? true : values[no] ? false : undefined
  }
  const form = { typescript: chosen('ts', 'js'), http: chosen('http', 'no-http') }
  const container = chosen('docker', 'no-docker')
  return { kind: 'init', dir, ...form, container, verbose: values.verbose } as const
}

const healthCommand = (words: readonly string[]) => {
  const options = { config: text, dir: text, member: text, json: flag }
  const { values, positionals } = parsedWords(words, options)
  const [config = values.config, second] = positionals
  if (second !== undefined || (positionals.length > 0 && values.config !== undefined))
    throw wrongWords('health takes one configuration file')
  return { kind: 'health', ...values, config } as const
}

const historyCommand = (words: readonly string[]) => {
  const lsn = whole(1, undefined)
  const { values, positionals } = parsedWords(words, {
    at: lsn,
    limit: lsn,
    before: text,
    reveal: flag,
    json: flag,
  })
  const [dir, kind, id] = positionals
  if (!dir || !kind || !id || positionals.length > 3) throw wrongWords('history needs DIR KIND ID')
  return { kind: 'history', dir, entity: [kind, id], ...values } as const
}
