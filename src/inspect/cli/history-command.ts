/**
 * `keelson history`: the turns of a durable actor. A folder at rest is opened without a user's tree,
 * so that nothing acts, and closed again; a running instance is asked, as an attached prompt asks it.
 */
import { resolve } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { openedFolder } from '../folder/backup-command.ts'
import { historyWords } from '../prompt/history-words.ts'
import { ShownValues } from '../prompt/shown-values.ts'
import type { HistoryCommand } from './command-line.ts'
import { callOf, runLine } from './flow-command.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a folder without data; as `EntityHandle.history`; as
 * `start`, or as `runLine` for a running instance
 */
export const runHistory = async (
  command: HistoryCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const { entity, json, reveal, limit, at: atLsn, before } = command
  const dir = resolve(environment.cwd, command.dir)
  const options = {
    json,
    reveal,
    inShell: true,
    ...(limit !== undefined && { limit }),
    ...(atLsn !== undefined && { atLsn }),
    ...(before !== undefined && { before }),
  }
  try {
    const text = await pastOf(dir, [...entity, options], reveal)
    printLine(environment.output, text)
    return 0
  } catch (error) {
    if (!isKeelsonError(error, 'LOCKED_DIR')) throw error
    return runLine(
      callOf('history', [...entity, options]),
      { dir, config: undefined },
      environment,
      verbose,
    )
  }
}

/** The word of the prompt, on a folder that is opened for it. */
const pastOf = async (dir: string, args: readonly unknown[], reveal: boolean): Promise<string> => {
  const app = await openedFolder(dir)
  try {
    return (await historyWords(app, new ShownValues(reveal)).history(...args)).text
  } finally {
    await app.close()
  }
}
