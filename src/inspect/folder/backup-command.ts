/**
 * `keelson backup`: opens the data folder as `start` does, without a user's tree, lets the instance
 * make the backup, and closes it. A running instance that takes prompts makes it itself.
 */
import { resolve } from 'node:path'
import { type ErrorCode, type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import { nodeDisk, readDataFolder, refusing } from '../../storage/index.ts'
import type { App, BackupReport } from '../../supervisors/index.ts'
import { wrongFolder } from '../../tools/index.ts'
import { RemoteSession } from '../attach/remote-session.ts'
import { start } from '../attach/start.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { printable } from '../text/paint.ts'
import { bytesText, countText, pluralText } from '../text/quantities.ts'
import type { BackupCommand } from './backup-command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `LOCKED_DIR` for a folder whose instance takes no prompts; as `App.backup` does
 */
export const runBackup = (command: BackupCommand, environment: Environment): Promise<number> =>
  runReported(command, environment, (work) => madeBackup(command, work), { text: reportText })

const madeBackup = async (command: BackupCommand, work: Work): Promise<BackupReport> => {
  const { environment, signal, display } = work
  const dir = resolve(environment.cwd, command.dir)
  const to = resolve(environment.cwd, command.to)
  const { consistent } = command
  const app = await opened(dir)
  if (!('backup' in app)) {
    const report = await runningBackup({ dir, to, consistent, signal })
    if (report) return report
    throw app
  }
  signal.addEventListener('abort', () => void app.close())
  if (signal.aborted) void app.close()
  try {
    return await app.backup(to, {
      consistent,
      onProgress: ({ shard, ...done }) => display.show({ ...done, what: `copying shard ${shard}` }),
    })
  } finally {
    await app.close()
  }
}

/**
 * Opens a data folder for a command: nothing of the user's runs. The log keeps its past, because
 * what the user's configuration keeps of it is not known here.
 * @throws KeelsonError `INVALID_ARGUMENT` for a folder without an instance's data; as `start`
 */
export const openedFolder = async (dir: string): Promise<App> => {
  if (refusing(() => readDataFolder(nodeDisk(), dir)).state === 'absent')
    throw wrongFolder(dir, 'is not a data folder')
  return start({ dir, app: false, retention: { log: Number.MAX_SAFE_INTEGER } })
}

/** The instance, or why it is open elsewhere. */
const opened = async (dir: string): Promise<App | KeelsonError> => {
  try {
    return await openedFolder(dir)
  } catch (error) {
    if (!isKeelsonError(error, 'LOCKED_DIR')) throw error
    const hint =
      'its instance takes no prompts (the option attach), and makes its own backup: app.backup(dir), context.app.backup(dir) in an actor'
    return new KeelsonError('LOCKED_DIR', `${error.message}; ${hint}`, {
      details: error.details,
      cause: error,
    })
  }
}

const reportText = ({ dir, shards }: BackupReport): string =>
  [
    `backup in ${printable(dir)}`,
    ...shards.map(({ shard, fromLsn, lsn, copiedBytes, missing }) => {
      const reach = `lsn ${countText(fromLsn)} to ${countText(lsn)}`
      const lack = missing.length > 0 ? `, without ${pluralText(missing.length, 'blob')}` : ''
      return `shard ${shard}  ${reach}, ${bytesText(copiedBytes)} copied${lack}`
    }),
  ].join('\n')

/** The backup to make. Both paths are absolute. */
export type RunningBackup = {
  readonly dir: string
  readonly to: string
  readonly consistent: boolean
  readonly signal: AbortSignal
}

/**
 * Has the instance make its backup; `undefined` if none takes prompts.
 * @throws KeelsonError as `App.backup`; `CLOSED` when the instance or `signal` ends the wait
 */
const runningBackup = async ({
  dir,
  to,
  consistent,
  signal,
}: RunningBackup): Promise<BackupReport | undefined> => {
  const session = await openedSession(dir, signal)
  if (!session) return undefined
  try {
    // The report comes as a line of the prompt's console: an answer is text for people.
    const lines: string[] = []
    session.onLine((line) => lines.push(line))
    const { text } = await session.run(sourceOf(to, consistent))
    const line = lines.find((each) => each.startsWith(mark))
    if (line === undefined) throw new KeelsonError('CLOSED', `no report came: ${text}`)
    return reportIn(JSON.parse(line.slice(mark.length)))
  } finally {
    session.close()
  }
}

/** The beginning of the line with the outcome. */
const mark = 'the backup: '

/** The source for the prompt, which prints the report or the error as one line. */
const sourceOf = (to: string, consistent: boolean): string =>
  [
    `backup(${JSON.stringify(to)}, { consistent: ${consistent} })`,
    '.then((report) => ({ report }), ({ code, message, details }) => ({ code, message, details }))',
    `.then((outcome) => console.log(${JSON.stringify(mark)} + JSON.stringify(outcome)))`,
  ].join('')

type Outcome =
  | { readonly report: BackupReport }
  | { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }

/** @throws KeelsonError that of the instance */
const reportIn = (outcome: Outcome): BackupReport => {
  if ('report' in outcome) return outcome.report
  throw new KeelsonError(outcome.code, outcome.message, { details: outcome.details })
}

/** A session with the instance, or with a member of it. */
const openedSession = async (
  dir: string,
  signal: AbortSignal,
): Promise<RemoteSession | undefined> => {
  const terms = { colours: false, verbose: false }
  try {
    return (await RemoteSession.openAny({ dir }, terms, signal)).session
  } catch (error) {
    if (isKeelsonError(error, 'NO_PROCESS')) return undefined
    throw error
  }
}
