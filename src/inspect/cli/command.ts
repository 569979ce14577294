/** Runs one command line from its words to its exit status. What goes wrong is told on standard error, with its code. */

import { type Environment, packageVersion, printLine } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import { runWalDump } from '../wal/wal-dump.ts'
import { runWalSalvage } from '../wal/wal-salvage.ts'
import { runWalVerify } from '../wal/wal-verify.ts'
import { type Command, parseCommandLine, usage } from './command-line.ts'
import { runIngest } from './ingest-command.ts'
import { runStart } from './start-command.ts'

/** Exit statuses: in order, a failure, a wrong command line. A signal has its own, and so has what `wal` finds. */
export const statuses = { order: 0, failure: 1, usage: 2 } as const

/** Runs the words behind `keelson`; answers the exit status. Never rejects. Holds the process open until then. */
export const runCommandLine = async (
  words: readonly string[],
  environment: Environment,
): Promise<number> => {
  // What is awaited may be a promise of the user's that nothing holds: Node would end with status 13, and close nothing.
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
  let command: Command
  try {
    command = parseCommandLine(words)
  } catch (error) {
    printLine(environment.errors, `${errorText(error, verbose)}\n\n${usage}`)
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

const run = (command: Command, environment: Environment, verbose: boolean): Promise<number> => {
  if (command.kind === 'start') return runStart(command, environment, verbose)
  if (command.kind === 'ingest') return runIngest(command, environment)
  if (command.kind === 'wal verify') return runWalVerify(command, environment)
  if (command.kind === 'wal dump') return runWalDump(command, environment)
  if (command.kind === 'wal salvage') return runWalSalvage(command, environment)
  const text = command.kind === 'help' ? (command.text ?? usage) : packageVersion()
  printLine(environment.output, text)
  return Promise.resolve(statuses.order)
}
