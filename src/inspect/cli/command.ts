/**
 * Runs one command line and answers its exit status. A failure is printed on standard error with
 * its code.
 */
import { type Environment, packageVersion, printLine } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import { type ParsedCommand, parseCommandLine, usage } from './command-line.ts'

/**
 * Exit statuses: success, a failure, a wrong command line. Signals and findings of `wal` have their
 * own.
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
    return await run(command, environment, verbose)
  } catch (error) {
    printLine(environment.errors, errorText(error, verbose))
    return statuses.failure
  }
}

/** Each command loads its own code, so that `--help` and `wal verify` do not load the prompt. */
const run = async (
  command: ParsedCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  switch (command.kind) {
    case 'start': {
      const { runStart } = await import('./start-command.ts')
      return runStart(command, environment, verbose)
    }
    case 'run': {
      const { runService } = await import('./run-command.ts')
      return runService(command, environment)
    }
    case 'attach': {
      const { runAttach } = await import('./attach-command.ts')
      return runAttach(command, environment, verbose)
    }
    case 'ingest': {
      const { runIngest } = await import('./ingest-command.ts')
      return runIngest(command, environment)
    }
    case 'backup': {
      const { runBackup } = await import('../backup/backup-command.ts')
      return runBackup(command, environment)
    }
    case 'restore': {
      const { runRestore } = await import('../backup/restore-command.ts')
      return runRestore(command, environment)
    }
    case 'restore replica': {
      const { runRestoreReplica } = await import('../backup/restore-replica-command.ts')
      return runRestoreReplica(command, environment)
    }
    case 'open': {
      const { runOpen } = await import('./open-command.ts')
      return runOpen(command, environment, verbose)
    }
    case 'doctor': {
      const { runDoctor } = await import('../doctor/doctor-command.ts')
      return runDoctor(command, environment)
    }
    case 'wal verify': {
      const { runWalVerify } = await import('../wal/wal-verify.ts')
      return runWalVerify(command, environment)
    }
    case 'wal dump': {
      const { runWalDump } = await import('../wal/wal-dump.ts')
      return runWalDump(command, environment)
    }
    case 'wal salvage': {
      const { runWalSalvage } = await import('../wal/wal-salvage.ts')
      return runWalSalvage(command, environment)
    }
    case 'journal head':
    case 'journal prove': {
      const { runJournalProof } = await import('../journal/journal-proofs.ts')
      return runJournalProof(command, environment)
    }
    case 'journal verify': {
      const { runJournalVerify } = await import('../journal/journal-verify.ts')
      return runJournalVerify(command, environment)
    }
    case 'help':
      printLine(environment.output, command.text ?? usage)
      return statuses.order
    case 'version':
      printLine(environment.output, packageVersion())
      return statuses.order
  }
}
