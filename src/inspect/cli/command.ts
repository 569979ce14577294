/**
 * Runs one command line and answers its exit status. A failure is printed on standard error with
 * its code. It is apart from `cli.ts`, which ends Node's process, so that a test can run a command
 * line.
 */
import { availableParallelism } from 'node:os'
import { packageVersion } from '../../package-version.ts'
import { type Environment, printLine, startFailureStatus } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import {
  type InstanceCommand,
  type ParsedCommand,
  parseCommandLine,
  usage,
} from './command-line.ts'

/**
 * Exit statuses: success, a failure, a wrong command line. Signals, starts and findings of `wal`
 * have their own.
 */
export const statuses = { order: 0, failure: 1, usage: 2 } as const

const helpHint = 'keelson help lists the commands and their options'

/**
 * Runs the words after `keelson` and resolves with the exit status. Never rejects. Keeps the
 * process running until then.
 */
export const runCommandLine = async (
  words: readonly string[],
  environment: Environment,
): Promise<number> => {
  // The command may await a promise of the user's that nothing keeps alive: Node would exit with
  // status 13 and close nothing.
  const release = environment.clock.after(Number.POSITIVE_INFINITY, () => undefined)
  try {
    return await statusOf(words, environment)
  } finally {
    release()
  }
}

const statusOf = async (words: readonly string[], environment: Environment): Promise<number> => {
  const debug = environment.variables.KEELSON_DEBUG
  let verbose = debug !== undefined && debug !== '' && debug !== '0'
  let command: ParsedCommand
  try {
    command = parseCommandLine(words)
  } catch (error) {
    printLine(environment.errors, `${errorText(error, verbose)}\n${helpHint}`)
    return statuses.usage
  }
  try {
    if ('verbose' in command) verbose ||= command.verbose
    // The table has each kind with its own command.
    const run = (await commands[command.kind]()) as Run<ParsedCommand>
    return await run(command, environment, verbose)
  } catch (error) {
    printLine(environment.errors, errorText(error, verbose))
    const isStart = command.kind === 'run' || command.kind === 'start'
    return isStart ? startFailureStatus(error) : statuses.failure
  }
}

/** Runs a command. Resolves with its exit status. */
type Run<C> = (command: C, environment: Environment, verbose: boolean) => number | Promise<number>

/** Each command loads its own code, so that `--help` and `wal dump` do not load the prompt. */
const commands: {
  readonly [K in ParsedCommand['kind']]: () => Promise<
    Run<Extract<ParsedCommand, { readonly kind: K }>>
  >
} = {
  start: async () => async (command, environment, verbose) => {
    if (!environment.hasInput)
      return (await import('./run-command.ts')).runService(command, environment)
    return (await import('./start-command.ts')).runStart(command, environment, verbose)
  },
  run: async () => async (command: InstanceCommand, environment: Environment) => {
    const { members = 1 } = command
    const count = members === 'cores' ? availableParallelism() : members
    // One member is the service itself: no parent, no fork.
    if (count === 1) return (await import('./run-command.ts')).runService(command, environment)
    return (await import('./members-command.ts')).runMembers(command, environment, count)
  },
  dev: async () => (await import('./dev-command.ts')).runDev,
  check: async () => (await import('./check-command.ts')).runCheck,
  init: async () => (await import('./init-command.ts')).runInit,
  attach: async () => (await import('./attach-command.ts')).runAttach,
  observe: async () => (await import('./observe-command.ts')).runObserve,
  mcp: async () => (await import('../mcp/mcp-command.ts')).runMcp,
  health: async () => (await import('./health-command.ts')).runHealth,
  history: async () => (await import('./history-command.ts')).runHistory,
  backup: async () => (await import('../folder/backup-command.ts')).runBackup,
  restore: async () => (await import('../folder/restore-command.ts')).runRestore,
  'restore replica': async () => (await import('../folder/restore-command.ts')).runRestoreReplica,
  reshard: async () => (await import('../folder/reshard-command.ts')).runReshard,
  open: async () => (await import('./open-command.ts')).runOpen,
  flow: async () => (await import('./flow-command.ts')).runFlow,
  streams: async () => (await import('./flow-command.ts')).runStreams,
  'cluster status': async () => (await import('./cluster-command.ts')).runCluster,
  'cluster create': async () => (await import('./cluster-command.ts')).runCluster,
  'cluster drain': async () => (await import('./cluster-command.ts')).runCluster,
  'cluster move': async () => (await import('./cluster-command.ts')).runCluster,
  'cluster copies': async () => (await import('./cluster-command.ts')).runCluster,
  'cluster accept-loss': async () => (await import('./cluster-command.ts')).runCluster,
  rehearse: async () => (await import('../rehearsal/rehearse-command.ts')).runRehearse,
  doctor: async () => (await import('../folder/doctor-command.ts')).runDoctor,
  'wal dump': async () => (await import('../folder/wal-dump.ts')).runWalDump,
  'wal salvage': async () => (await import('../folder/wal-salvage.ts')).runWalSalvage,
  'journal head': async () => (await import('../folder/journal-proofs.ts')).runJournalProof,
  'journal prove': async () => (await import('../folder/journal-proofs.ts')).runJournalProof,
  'journal verify': async () => (await import('../folder/journal-proofs.ts')).runJournalVerify,
  help: async () => (command, environment) => shown(environment, command.text ?? usage),
  version: async () => (_, environment) => shown(environment, packageVersion()),
}

const shown = ({ output }: Environment, text: string): number => {
  printLine(output, text)
  return statuses.order
}
